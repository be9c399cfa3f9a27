import type { Batch, ColumnValues } from "../rollouts/index.ts";
import { rowsToTokens, tokenSpans } from "./broadcast.ts";

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
