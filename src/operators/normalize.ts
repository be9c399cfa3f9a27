import type { Pools } from "./pools.ts";

/** How a pool of numbers is centred and scaled; where implementations of "the same" method secretly differ. */
export interface NormalizeSpec {
  /** 0 = population, 1 = sample spread. Default 1. */
  ddof?: 0 | 1;
  /** Added to the spread, outside the root. Default 0. */
  eps?: number;
  /** Added to the variance, inside the root. Default 0. */
  varEps?: number;
  /** Divide by the spread (default) or only subtract the mean. */
  normByStd?: boolean;
  /** What a pool of one gives: 0 (`zero`, default), or the value over 1 + eps (`raw`: mean 0, spread 1). */
  singleton?: "zero" | "raw";
  /** Rows that count (1); the others stay out of their pool and get 0. Default: all. */
  valid?: Uint8Array | null;
  /** How many times a row stands in its pool: a whole number, 0 for a row that is only compared with it. Default: once. */
  weight?: ArrayLike<number> | null;
}

/** Moments of every pool. Variance is two-pass in float64; `flat` marks pools whose values are all equal (max = min). */
export interface PoolMoments {
  count: Int32Array;
  mean: Float64Array;
  /** Sum of squared distances from the mean. */
  squares: Float64Array;
  min: Float64Array;
  max: Float64Array;
}

/** Count, mean, squares, minimum and maximum of each pool, over rows with `valid` 1 and a pool, each counted `weight` times. */
export function poolMoments(
  values: ArrayLike<number>,
  pools: Pools,
  valid: Uint8Array | null = null,
  weight: ArrayLike<number> | null = null,
): PoolMoments {
  const { of, count: n } = pools;
  const count = new Int32Array(n);
  const mean = new Float64Array(n);
  const squares = new Float64Array(n);
  const min = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
  const max = new Float64Array(n).fill(Number.NEGATIVE_INFINITY);
  for (let row = 0; row < of.length; row++) {
    const pool = of[row];
    if (pool < 0 || (valid !== null && valid[row] === 0)) continue;
    const x = values[row];
    const times = weight === null ? 1 : weight[row];
    if (times === 0) continue;
    count[pool] += times;
    mean[pool] += times * x;
    if (x < min[pool]) min[pool] = x;
    if (x > max[pool]) max[pool] = x;
  }
  // Equal values: the mean is that value, free of the rounding of a sum.
  for (let pool = 0; pool < n; pool++) mean[pool] = min[pool] === max[pool] ? min[pool] : mean[pool] / count[pool] || 0;
  for (let row = 0; row < of.length; row++) {
    const pool = of[row];
    if (pool < 0 || (valid !== null && valid[row] === 0)) continue;
    const d = values[row] - mean[pool];
    squares[pool] += weight === null ? d * d : weight[row] * d * d;
  }
  return { count, mean, squares, min, max };
}

/**
 * Centres and scales values inside their pools: (x − mean) / (sqrt(squares / (n − ddof) + varEps) + eps).
 * Pools whose values are all equal, or whose divisor underflows to 0, give exact zeros.
 * @returns float64, one per row; 0 for rows outside every pool.
 */
export function normalizePools(values: ArrayLike<number>, pools: Pools, spec: NormalizeSpec = {}): Float64Array {
  const { ddof = 1, eps = 0, varEps = 0, normByStd = true, singleton = "zero", valid = null, weight = null } = spec;
  const { count, mean, squares, min, max } = poolMoments(values, pools, valid, weight);
  const divisor = new Float64Array(pools.count);
  for (let pool = 0; pool < pools.count; pool++) {
    if (count[pool] === 1 && singleton === "raw") {
      mean[pool] = 0;
      divisor[pool] = normByStd ? 1 + eps : 1;
    } else if (count[pool] === 0 || min[pool] === max[pool]) divisor[pool] = Number.POSITIVE_INFINITY;
    else divisor[pool] = normByStd ? Math.sqrt(squares[pool] / (count[pool] - ddof) + varEps) + eps : 1;
    // The squares of tiny distances underflow; without an eps nothing is left to divide by.
    if (divisor[pool] === 0) divisor[pool] = Number.POSITIVE_INFINITY;
  }
  const out = new Float64Array(pools.of.length);
  for (let row = 0; row < out.length; row++) {
    const pool = pools.of[row];
    if (pool < 0 || (valid !== null && valid[row] === 0)) continue;
    out[row] = divisor[pool] === Number.POSITIVE_INFINITY ? 0 : (values[row] - mean[pool]) / divisor[pool];
  }
  return out;
}
