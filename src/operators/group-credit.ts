import type { Batch, ColumnValues } from "../rollouts/index.ts";
import { rolloutsToTokens } from "./broadcast.ts";
import { type NormalizeSpec, normalizePools } from "./normalize.ts";
import { poolByGroup } from "./pools.ts";

/**
 * Columns of a credit that every policy token of a rollout shares: `rollout.advantage` and, where every rollout has tokens,
 * `tokens.advantage` (0 on tokens of the environment).
 * @param advantage one number per rollout.
 */
export function advantageColumns(batch: Batch, advantage: Float64Array): Record<string, ColumnValues> {
  const columns: Record<string, ColumnValues> = { "rollout.advantage": advantage };
  if (batch.hasLevel("token")) columns["tokens.advantage"] = { later: () => rolloutsToTokens(batch, advantage) };
  return columns;
}

/** Centres and scales one number per rollout inside its group and shares it out; see `normalizePools`, `advantageColumns`. */
export function groupCredit(
  batch: Batch,
  rewards: ArrayLike<number>,
  spec: NormalizeSpec,
): Record<string, ColumnValues> {
  return advantageColumns(batch, normalizePools(rewards, poolByGroup(batch, "rollout"), spec));
}

/**
 * Weighted sum of reward channels of which at least one has to be there; see `sumOfChannels`.
 * @throws InputError when no rollout has any of them.
 */
export function sumOfSomeChannels(batch: Batch, weights: Readonly<Record<string, number>>): Float64Array {
  const paths = Object.keys(weights).map((name) => `rewards.${name}`);
  if (batch.size > 0 && !paths.some((path) => batch.has(path))) throw batch.missing(paths.join(" or "), 0);
  return sumOfChannels(batch, weights);
}

/**
 * Weighted sum of reward channels, Σ_c w_c `rewards.c`, one number per rollout. A channel that a rollout lacks, or that
 * is null there, counts 0.
 * @param weights by name of the channel.
 */
export function sumOfChannels(batch: Batch, weights: Readonly<Record<string, number>>): Float64Array {
  const out = new Float64Array(batch.size);
  for (const [name, weight] of Object.entries(weights)) {
    const values = batch.numbers(`rewards.${name}`, { absent: 0, missing: 0 });
    for (let i = 0; i < out.length; i++) out[i] += weight * values[i];
  }
  return out;
}
