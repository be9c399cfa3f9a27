import { scoreCredit } from "../../mechanisms/credit-scores.ts";
import { pearson } from "../../operators/ranking.ts";
import type { Credit } from "./credit.ts";
import type { Feed } from "./feed.ts";
import { trueAdvantage, trueLuck } from "./signals.ts";

/** Which rows share one credit: the turns themselves, all turns of an agent, or whole rollouts. */
export type CreditLevel = "turn" | "agent" | "rollout";

/** How well credit follows the truth. */
export interface Fidelity {
  /** Correlation with the true advantage, turn by turn. */
  pearson: number;
  /** The same at the level at which the method gives credit: Σ of the true advantages there. */
  own: number;
  /** Share of the turns that matter whose credit has the right sign. */
  sign: number;
  /** Share of the k largest credits that lie on the k turns that matter. */
  top: number;
  /** Share of the credit (in size) that lies on them. */
  mass: number;
  /** Correlation with the luck of the same turn: what the environment's chance added behind the action. */
  luck: number;
}

function lists(feed: Feed, values: Float64Array): number[][] {
  const { turns, count } = feed.episodes;
  return Array.from({ length: count }, (_, i) => [...values.subarray(turns[i], turns[i + 1])]);
}

function correlation(x: readonly number[], y: readonly number[]): number {
  const largest = Math.max(...x.map(Math.abs));
  if (largest === 0) return 0;
  return (
    pearson(
      x.map((value) => value / largest),
      y,
    ) ?? 0
  );
}

/** Rows of an episode that share a credit: their number, and of each turn the one it belongs to. */
function sharedBy(feed: Feed, episode: number, level: CreditLevel): Map<string, number[]> {
  const { turns, rows, model } = feed.episodes;
  const parts = new Map<string, number[]>();
  for (let t = turns[episode]; t < turns[episode + 1]; t++) {
    const key = level === "turn" ? `${t}` : level === "agent" ? model.rows[rows[t]].agent : "";
    parts.set(key, [...(parts.get(key) ?? []), t]);
  }
  return parts;
}

function atLevel(feed: Feed, credit: Float64Array, truth: Float64Array, level: CreditLevel): number {
  const x: number[] = [];
  const y: number[] = [];
  for (let i = 0; i < feed.episodes.count; i++) {
    for (const part of sharedBy(feed, i, level).values()) {
      x.push(part.reduce((sum, t) => sum + credit[t], 0) / part.length);
      y.push(part.reduce((sum, t) => sum + truth[t], 0));
    }
  }
  return correlation(x, y);
}

/** Scores credit against the exact truth of the episodes; a turn matters when its |advantage| exceeds `pivotalEps`. */
export function fidelityOf(feed: Feed, credit: Credit, level: CreditLevel): Fidelity {
  const truth = trueAdvantage(feed);
  const pivotal = truth.map((a) => (Math.abs(a) > feed.pivotalEps ? a : 0));
  const scores = scoreCredit(lists(feed, credit.values), lists(feed, pivotal), feed.pivotalEps);
  const turnwise = correlation([...credit.values], [...truth]);
  return {
    pearson: turnwise,
    own: level === "turn" ? turnwise : atLevel(feed, credit.values, truth, level),
    sign: scores.signAccuracy ?? 0,
    top: scores.topRecall ?? 0,
    mass: scores.pivotalMass ?? 0,
    luck: correlation([...credit.values], [...trueLuck(feed)]),
  };
}
