import { policyLengths } from "../operators/mask.ts";
import type { Batch } from "../rollouts/index.ts";
import { creditAtLevel, seriesOfColumn } from "./series.ts";

/** A rollout among those of its group. */
export interface Member {
  id: string;
  reward: number | null;
  turns: number;
  /** Tokens that the policy wrote. */
  tokens: number;
  /** Mean credit of each column asked for; `null` where the rollout has none. */
  credit: readonly (number | null)[];
}

/** The rollouts of a batch in a line each. */
export function membersOf(batch: Batch, paths: readonly string[]): Member[] {
  const scored = batch.validity("rollout.reward");
  const rewards = batch.has("rollout.reward") ? batch.numbers("rollout.reward", { absent: 0, missing: 0 }) : null;
  const turns = batch.offsets("turn");
  const tokens = policyLengths(batch);
  const credits = paths.map((path) => {
    const series = batch.has(path) ? seriesOfColumn(batch, path) : null;
    return series === null ? null : creditAtLevel(batch, series, "rollout");
  });
  return batch.ids.map((id, i) => ({
    id,
    reward: rewards === null || scored?.[i] === 0 ? null : rewards[i],
    turns: turns[i + 1] - turns[i],
    tokens: tokens[i],
    credit: credits.map((credit) => (credit === null || credit.valid?.[i] === 0 ? null : credit.values[i])),
  }));
}
