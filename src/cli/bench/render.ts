import type { BenchSummary, BiasVerdict, EntrySummary, Interval } from "../../lab/benchmark/summary.ts";
import { tableLines } from "../render/table.ts";
import type { Terminal } from "../render/terminal.ts";
import { wrap } from "../render/text.ts";

const minus = "−";

/** A number with so many decimals and a true minus sign; a dash where there is none. */
export function fixed(interval: Interval | null, decimals = 2): string {
  if (interval === null) return "–";
  const text = interval.mean.toFixed(decimals);
  return /[1-9]/.test(text) ? text.replace("-", minus) : text.replace("-", "");
}

/** `0.31 ± 0.02`. */
export function withMargin(interval: Interval | null, decimals = 2): string {
  return interval === null ? "–" : `${fixed(interval, decimals)} ± ${interval.margin.toFixed(decimals)}`;
}

export const biasWords: Readonly<Record<BiasVerdict, string>> = {
  none: "none",
  scale: "scale only",
  biased: "biased",
  unclear: "unclear",
};

/** `none`, `scale only`, or how far the direction is off: `12 %`. */
export function biasText({ bias, skew }: Pick<EntrySummary, "bias" | "skew">): string {
  if (bias === null) return "–";
  return bias === "biased" ? `${Math.round(100 * skew)} %` : biasWords[bias];
}

/** Short words for what a method takes beyond rewards. */
const sourceWords = {
  critic: "critic",
  "process model": "PRM",
  judge: "judge",
  answer: "answer",
  samples: "samples",
} as const;

export function needs({ sources, method, granularity }: EntrySummary): string {
  if (granularity === "turn" && method === "true advantage") return "the truth";
  return sources.map((source) => sourceWords[source as keyof typeof sourceWords]).join(", ");
}

/** The label, and on how many tasks if not on all. */
export function titleOf({ label, partial }: EntrySummary): string {
  return partial === null ? label : `${label} (${partial} task${partial === 1 ? "" : "s"})`;
}

/**
 * What a leaderboard row says, as text, in the order of `leaderboardTitles`.
 * @param measured how the numbers are written whose intervals matter most: with their margins where there is room.
 */
export function leaderboardRow(entry: EntrySummary, measured = fixed): string[] {
  const { overall, episodes, reached, gap } = entry;
  return [
    titleOf(entry),
    needs(entry),
    measured(episodes, 0),
    `${reached.runs}/${reached.of}`,
    measured(overall.pearson),
    fixed(overall.own),
    fixed(overall.sign),
    fixed(overall.top),
    measured(overall.luck),
    fixed(overall.cosine),
    biasText(entry),
    fixed(overall.nanoseconds, 0),
    fixed(overall.extra, 1),
    measured(gap),
  ];
}

export const leaderboardTitles = [
  "method",
  "takes",
  "episodes",
  "got there",
  "skill",
  "own level",
  "sign",
  "top-k",
  "luck",
  "cosine",
  "bias",
  "ns/token",
  "extra",
  "gap",
] as const;

/** Columns of narrow terminals; wide ones show all. */
const always: ReadonlySet<string> = new Set(["method", "takes", "episodes", "skill", "luck", "cosine", "bias", "gap"]);
const roomForAll = 132;

/** The whole report of a run, line by line. */
export function benchLines(summary: BenchSummary, { width, style }: Terminal): string[] {
  const { entries, leftOut, seeds, tasks, mostEpisodes } = summary;
  const shown = leaderboardTitles.flatMap((title, k) => (width >= roomForAll || always.has(title) ? [k] : []));
  const columns = shown.map((k) => ({
    title: leaderboardTitles[k],
    align: k < 2 ? ("left" as const) : ("right" as const),
    ...(k < 2 ? { shrinkTo: k === 0 ? 12 : 6 } : {}),
  }));
  const rows = entries.map((entry) => {
    const texts = leaderboardRow(entry);
    return shown.map((k) => (k === 0 ? { text: texts[k], set: style.accent } : texts[k]));
  });
  const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  return [
    ` ${style.bold(`${plural(entries.length, "row")} on ${plural(tasks.length, "exactly solvable task")}, ${plural(seeds.length, "seed")}`)}`,
    "",
    ...tableLines(columns, rows, { style, width: Math.max(width, 40) }),
    "",
    ...legend(mostEpisodes).flatMap((line) => wrap(line, width - 1).map((part) => ` ${style.dim(part)}`)),
    ...(leftOut.length === 0 ? [] : ["", ` ${style.bold("left out")}`]),
    ...tableLines(
      [{ title: "" }, { title: "", wraps: true, shrinkTo: 20 }],
      leftOut.map(({ label, reason, tasks: only }) => [
        { text: label, set: style.accent },
        only.length === 0 ? reason : `${reason} (${only.join(", ")})`,
      ]),
      { style, width },
    ),
  ];
}

function legend(most: number): string[] {
  return [
    `episodes: until 90 % of the optimum, geometric mean over tasks, at the best of four paces (at most ${most})`,
    "skill, luck: correlation of a turn's credit with its true advantage, and with what chance added behind it",
    "sign, top-k: right signs where it matters; how many of the turns that matter get the largest credit",
    "cosine: of a batch's gradient with the exact one; bias: part of the mean gradient that points elsewhere",
    "extra: turns sampled on top, per turn; gap: reward minus what is wanted, as shares of their best, after training",
  ];
}
