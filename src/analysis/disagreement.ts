import { type Batch, rolloutOfRow } from "../rollouts/index.ts";
import type { CreditLevel } from "./levels.ts";
import { type Aligned, align, type Series } from "./series.ts";

/** A rollout and the row in it on which the series disagree most. */
export interface Disagreement {
  /** Number of the rollout in the batch. */
  rollout: number;
  level: CreditLevel;
  /** The row, counted within its rollout. */
  row: number;
  /** Credit of each series there. */
  values: readonly number[];
  /**
   * How hard they disagree: the smaller of the strongest praise and the strongest blame, each in units of its series'
   * spread.
   */
  conflict: number;
  /** Rows of the rollout on which some series praise and others blame, and rows in all. */
  rowsInConflict: number;
  rows: number;
}

/** Root mean square of a list, 1 when it is all 0. */
function scaleOf(values: Float64Array): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return squares === 0 ? 1 : Math.sqrt(squares / values.length);
}

/** The level whose rows a person reads: turns, else steps, else single tokens, else whole rollouts. */
export function readingLevel(batch: Batch, compared: CreditLevel): CreditLevel {
  if (compared === "rollout") return "rollout";
  if (batch.hasLevel("turn", "any")) return "turn";
  return batch.hasLevel("step", "any") ? "step" : compared;
}

/**
 * For every row the smaller of the strongest praise and the strongest blame, each divided by the root mean square of
 * its series; 0 where all that speak agree in sign.
 */
export function conflicts({ values, rows }: Aligned): Float64Array {
  const scales = values.map(scaleOf);
  const out = new Float64Array(rows.length);
  for (let k = 0; k < out.length; k++) {
    let praise = 0;
    let blame = 0;
    for (let s = 0; s < values.length; s++) {
      const value = values[s][k] / scales[s];
      if (value > praise) praise = value;
      else if (-value > blame) blame = -value;
    }
    out[k] = Math.min(praise, blame);
  }
  return out;
}

/**
 * Rollouts ranked by their hardest disagreement in sign, hardest first; each with the turn (or step, or token) where
 * it is. Rollouts on which all series agree are not listed.
 */
export function rankDisagreements(batch: Batch, series: readonly Series[], compared: CreditLevel): Disagreement[] {
  const level = readingLevel(batch, compared);
  const aligned = align(batch, series, level);
  const measured = conflicts(aligned);
  const offsets = batch.offsets(level);
  const best = new Map<number, Disagreement & { at: number }>();
  const counts = new Map<number, { conflicting: number; all: number }>();
  for (let k = 0; k < measured.length; k++) {
    const rollout = rolloutOfRow(offsets, aligned.rows[k]);
    const count = counts.get(rollout) ?? { conflicting: 0, all: 0 };
    counts.set(rollout, count);
    count.all++;
    if (measured[k] === 0) continue;
    count.conflicting++;
    if (measured[k] <= (best.get(rollout)?.conflict ?? 0)) continue;
    const row = aligned.rows[k] - offsets[rollout];
    best.set(rollout, { rollout, level, row, values: [], conflict: measured[k], rowsInConflict: 0, rows: 0, at: k });
  }
  return [...best.values()]
    .sort((a, b) => b.conflict - a.conflict || a.rollout - b.rollout)
    .map(({ at, ...found }) => {
      const count = counts.get(found.rollout);
      const values = aligned.values.map((list) => list[at]);
      return { ...found, values, rowsInConflict: count?.conflicting ?? 0, rows: count?.all ?? 0 };
    });
}
