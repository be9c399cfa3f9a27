import type { Batch, NumericArray } from "../../rollouts/index.ts";

/** Largest log-probability that still counts as rounding of 0. */
export const mostLogprob = 1e-6;

/**
 * Log-probabilities of the tokens of all reference answers; 0 for rollouts that lack the column, if that is allowed.
 * @throws InputError naming rollout and row: missing, null, or above 1e-6.
 */
export function referenceLogprobs(batch: Batch, path: string, absent?: number): NumericArray {
  const values = batch.numbers(path, { absent });
  for (let row = 0; row < values.length; row++) {
    if (values[row] > mostLogprob)
      throw batch.wrongValue(path, row, "a log-probability of at most 0", `${values[row]}`);
  }
  return values;
}

/** Sum of rows [from, to), in float64. */
export function sumOf(values: ArrayLike<number>, from = 0, to = values.length): number {
  let sum = 0;
  for (let k = from; k < to; k++) sum += values[k];
  return sum;
}

/** Mean of the probabilities e^lp of rows [from, to); 0 for none. */
export function meanProbability(logprobs: ArrayLike<number>, from = 0, to = logprobs.length): number {
  let sum = 0;
  for (let k = from; k < to; k++) sum += Math.exp(logprobs[k]);
  return to > from ? sum / (to - from) : 0;
}
