export type { Agreement, PairTable } from "./agreement.ts";
export {
  type ComparedMethod,
  type Comparison,
  type ComparisonOptions,
  compareMethods,
  type SkippedMethod,
} from "./comparison.ts";
export { comparisonSummary } from "./comparison-summary.ts";
export { creditColumns, creditTitle, creditTitles } from "./credit-columns.ts";
export { type Disagreement, rankDisagreements } from "./disagreement.ts";
export { FeatureCollector, type Seen } from "./features.ts";
export { type Feed, FeedCollector, type FileFeed } from "./feed.ts";
export {
  GroupCollector,
  type GroupSummary,
  type GroupsSummary,
  type Lengths,
  type LengthUnit,
  summarizeGroups,
} from "./groups.ts";
export { type CreditLevel, creditLevels } from "./levels.ts";
export { type Aligned, align, type Credit, creditAt, type Series, seriesOfColumn, seriesOfMethod } from "./series.ts";
export { type Said, type ShownCall, type Transcript, type TranscriptRow, transcriptOf } from "./transcript.ts";
export { type TellingPair, tellingPair, truthCorrelations } from "./truth.ts";
