import { type Batch, levelKey } from "../rollouts/index.ts";
import type { Comparison } from "./comparison.ts";
import { creditLevels } from "./levels.ts";
import { isSpread } from "./series.ts";

/** A comparison as one JSON object; pairs as matrices in the order of `series`, the hardest disagreements first. */
export function comparisonSummary(batch: Batch, comparison: Comparison, top: number) {
  const { series, skipped, aligned, agreement, disagreements } = comparison;
  return {
    rollouts: batch.size,
    level: levelKey(aligned.level),
    rows: aligned.rows.length,
    rows_left_out: aligned.leftOut,
    series: series.map((one, k) => ({
      name: one.name,
      columns: creditLevels.flatMap((level) => one.levels[level]?.path ?? []),
      spread: isSpread(one, aligned.level),
      non_zero: agreement.nonZero[k],
    })),
    skipped,
    spearman: agreement.spearman,
    pearson: agreement.pearson,
    same_sign: agreement.sameSign,
    opposite_sign: agreement.oppositeSign,
    disagreements: disagreements
      .slice(0, top)
      .map(({ rollout, level, row, values, conflict, rowsInConflict, rows }) => ({
        rollout: batch.ids[rollout],
        group: batch.groupNames[rollout],
        level: levelKey(level),
        row,
        values: Object.fromEntries(series.map(({ name }, k) => [name, values[k]])),
        conflict,
        rows_in_conflict: rowsInConflict,
        rows,
      })),
    disagreeing_rollouts: disagreements.length,
  };
}
