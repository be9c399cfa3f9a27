import type { Batch, ColumnValues } from "../rollouts/index.ts";
import { rowsToTokens, tokenSpans } from "./broadcast.ts";
import { policyLengths } from "./mask.ts";

/**
 * Columns of a credit that all policy tokens of a turn or step share: `LEVEL.advantage` and, where every rollout has tokens,
 * `tokens.advantage` (0 on tokens of the environment).
 * @param advantage one number per row of the level.
 * @throws InputError when a rollout has tokens and rows of the level but not their `end`.
 */
export function rowAdvantageColumns(
  batch: Batch,
  level: "turn" | "step",
  advantage: Float64Array,
): Record<string, ColumnValues> {
  const columns: Record<string, ColumnValues> = { [`${level}s.advantage`]: advantage };
  if (!batch.hasLevel("token")) return columns;
  tokenSpans(batch, level);
  columns["tokens.advantage"] = { later: () => rowsToTokens(batch, level, advantage) };
  return columns;
}

/**
 * For methods in which every policy token belongs to a turn or step.
 * @throws InputError naming the first rollout that has policy tokens and no rows of the level.
 */
export function requireRows(batch: Batch, level: "turn" | "step", hint: string): void {
  const offsets = batch.offsets(level);
  const tokens = policyLengths(batch);
  for (let i = 0; i < batch.size; i++) {
    if (tokens[i] > 0 && offsets[i + 1] === offsets[i]) throw batch.missing(`${level}s.end`, i, hint);
  }
}
