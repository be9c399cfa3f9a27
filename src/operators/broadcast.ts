import type { Batch, FloatArray, NumericArray } from "../rollouts/index.ts";
import { policyMask } from "./mask.ts";
import { clearGaps, policyRuns } from "./runs.ts";

/**
 * Gives every policy token the value of its rollout; tokens of the environment get 0.
 * @param values one number per rollout.
 * @returns one number per token.
 */
export function rolloutsToTokens(batch: Batch, values: ArrayLike<number>): FloatArray {
  const out = batch.floats("token");
  const offsets = batch.offsets("token");
  for (let i = 0; i < batch.size; i++) out.fill(values[i], offsets[i], offsets[i + 1]);
  clearGaps(out, policyRuns(batch));
  return out;
}

/**
 * Tokens of every row of a level that has `end` (turns or steps): row k covers token rows [starts[k], ends[k]) of the batch.
 * @throws InputError when a rollout has rows of the level but not their `end`.
 */
export function tokenSpans(batch: Batch, level: "turn" | "step"): { starts: Int32Array; ends: Int32Array } {
  return batch.memo(`spans ${level}`, () => {
    const path = level === "turn" ? "turns.end" : "steps.end";
    const rows = batch.offsets(level);
    const tokens = batch.offsets("token");
    const count = batch.count(level);
    const starts = new Int32Array(count);
    const ends = new Int32Array(count);
    const given: NumericArray = batch.numbers(path, { absent: 0 });
    for (let i = 0; i < batch.size; i++) {
      if (rows[i + 1] > rows[i] && !batch.hasIn(path, i)) throw batch.missing(path, i);
      let start = tokens[i];
      for (let row = rows[i]; row < rows[i + 1]; row++) {
        starts[row] = start;
        start = tokens[i] + given[row];
        ends[row] = start;
      }
    }
    return { starts, ends };
  }, ["turns.end", "steps.end"]);
}

/** Gives every policy token the value of its turn or step; tokens of the environment get 0. */
export function rowsToTokens(batch: Batch, level: "turn" | "step", values: ArrayLike<number>): FloatArray {
  const out = batch.zeros("token");
  const { starts, ends } = tokenSpans(batch, level);
  const mask = policyMask(batch);
  for (let row = 0; row < starts.length; row++) {
    const value = values[row];
    if (value === 0) continue;
    if (mask === null) out.fill(value, starts[row], ends[row]);
    else for (let t = starts[row]; t < ends[row]; t++) if (mask[t] === 1) out[t] = value;
  }
  return out;
}

/** Gives every row of a level the value of its rollout. */
export function rolloutsToRows(batch: Batch, level: "turn" | "step" | "token", values: ArrayLike<number>): FloatArray {
  const out = batch.zeros(level);
  const offsets = batch.offsets(level);
  for (let i = 0; i < batch.size; i++) out.fill(values[i], offsets[i], offsets[i + 1]);
  return out;
}
