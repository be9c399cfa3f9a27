/** How the losses of tokens become one number; names as in today's trainers. */
export const aggregations = [
  "token-mean",
  "token-sum",
  "seq-mean-token-sum",
  "seq-mean-token-mean",
  "seq-mean-token-sum-norm",
] as const;
export type Aggregation = (typeof aggregations)[number];

/**
 * Weight of every policy token of each row, so that the loss is Σ_i u_i Σ_t loss_it over policy tokens. With n the policy
 * tokens of the row, T those of the call and N the rows that have any: `token-mean` 1/T, `token-sum` 1,
 * `seq-mean-token-sum` 1/N, `seq-mean-token-mean` 1/(N n), `seq-mean-token-sum-norm` 1/(N · lossScale).
 * @param counts policy tokens of each row.
 * @param lengths tokens of each row, those of the environment included.
 * @param lossScale constant divisor; default: the longest of `lengths`.
 * @returns one number per row; 0 for rows without policy tokens.
 */
export function rowWeights(
  mode: Aggregation,
  counts: ArrayLike<number>,
  lengths: ArrayLike<number>,
  lossScale: number | null = null,
): Float64Array {
  let rows = 0;
  let tokens = 0;
  let longest = 0;
  for (let i = 0; i < counts.length; i++) {
    tokens += counts[i];
    if (counts[i] > 0) rows++;
    if (lengths[i] > longest) longest = lengths[i];
  }
  const out = new Float64Array(counts.length);
  for (let i = 0; i < out.length; i++) {
    if (counts[i] === 0) continue;
    if (mode === "token-mean") out[i] = 1 / tokens;
    else if (mode === "token-sum") out[i] = 1;
    else if (mode === "seq-mean-token-sum") out[i] = 1 / rows;
    else if (mode === "seq-mean-token-mean") out[i] = 1 / (rows * counts[i]);
    else out[i] = 1 / (rows * (lossScale ?? longest));
  }
  return out;
}
