import { policyMask } from "../operators/mask.ts";
import type { Batch } from "../rollouts/index.ts";
import type { CreditLevel } from "./levels.ts";
import type { Credit } from "./series.ts";

/**
 * How far credit differs inside each rollout: largest minus smallest over its rows (of tokens only the policy's); 0 for
 * rollouts with fewer than two numbers.
 */
export function creditSpreads(batch: Batch, level: CreditLevel, { values, valid }: Credit): Float64Array {
  const offsets = batch.offsets(level);
  const mask = level === "token" ? policyMask(batch) : null;
  const out = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (let row = offsets[i]; row < offsets[i + 1]; row++) {
      if (mask?.[row] === 0 || valid?.[row] === 0) continue;
      min = Math.min(min, values[row]);
      max = Math.max(max, values[row]);
    }
    out[i] = max > min ? max - min : 0;
  }
  return out;
}

/** Largest absolute credit over all rows of a list, 0 for none. */
export function largestCredit(values: ArrayLike<number>, from = 0, to = values.length): number {
  let largest = 0;
  for (let row = from; row < to; row++) largest = Math.max(largest, Math.abs(values[row]));
  return largest;
}
