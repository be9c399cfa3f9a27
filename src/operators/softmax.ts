import type { Pools } from "./pools.ts";

/**
 * Softmax inside pools: p_i = exp(x_i / T) / Σ_j exp(x_j / T) over the pool, the largest exponent subtracted first.
 * @param temperature T > 0.
 * @param valid rows that count (1); the others stay out and get 0. Default: all.
 * @returns one number per row; 0 for rows outside every pool.
 */
export function softmaxPools(
  values: ArrayLike<number>,
  pools: Pools,
  temperature = 1,
  valid: Uint8Array | null = null,
): Float64Array {
  const { of, count } = pools;
  const out = new Float64Array(of.length);
  const most = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  const total = new Float64Array(count);
  const counts = (row: number) => of[row] >= 0 && (valid === null || valid[row] === 1);
  for (let row = 0; row < out.length; row++) if (counts(row)) most[of[row]] = Math.max(most[of[row]], values[row]);
  for (let row = 0; row < out.length; row++) {
    if (!counts(row)) continue;
    out[row] = Math.exp((values[row] - most[of[row]]) / temperature);
    total[of[row]] += out[row];
  }
  for (let row = 0; row < out.length; row++) if (out[row] !== 0) out[row] /= total[of[row]];
  return out;
}
