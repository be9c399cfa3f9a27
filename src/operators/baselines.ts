import { poolMoments } from "./normalize.ts";
import type { Pools } from "./pools.ts";

export interface BaselineSpec {
  /** What a member that is alone in its pool gets: advantage 0 and baseline x (`zero`, default), or advantage x and baseline 0. */
  singleton?: "zero" | "raw";
  /** Rows that count (1); the others stay out of every sum and get advantage and baseline 0. Default: all. */
  valid?: Uint8Array | null;
}

/** One number per row each, with advantage = value − baseline; both 0 for rows outside every pool. */
export interface Baselined {
  baseline: Float64Array;
  advantage: Float64Array;
}

function empty(rows: number): Baselined {
  return { baseline: new Float64Array(rows), advantage: new Float64Array(rows) };
}

/**
 * Leave-one-out: b_i = mean of the other members of the pool, A_i = x_i − b_i = n / (n − 1) (x_i − mean).
 * Pools whose values are all equal give exact zeros with b_i = x_i. Arrays have one entry per row.
 * Kool et al. 2019; RLOO, arXiv 2402.14740.
 */
export function leaveOneOut(values: ArrayLike<number>, pools: Pools, spec: BaselineSpec = {}): Baselined {
  const { singleton = "zero", valid = null } = spec;
  const { count, mean, min, max } = poolMoments(values, pools, valid);
  const { baseline, advantage } = empty(pools.of.length);
  for (let row = 0; row < baseline.length; row++) {
    const pool = pools.of[row];
    if (pool < 0 || (valid !== null && valid[row] === 0)) continue;
    const x = values[row];
    const n = count[pool];
    if (n === 1 && singleton === "raw") advantage[row] = x;
    else if (min[pool] === max[pool]) baseline[row] = x;
    else {
      advantage[row] = ((x - mean[pool]) * n) / (n - 1);
      baseline[row] = x - advantage[row];
    }
  }
  return { baseline, advantage };
}

/** Leave-one-out as a line per pool: what every value of a row is centred on, and by how much it is stretched. */
export interface Stretch {
  /** Per row: mean of the pool (own value included); 0 outside every pool. */
  centre: Float64Array;
  /** Per row: K / (K − 1) with K members in the pool, 1 for a member that is alone, 0 outside every pool. */
  factor: Float64Array;
}

/**
 * Leave-one-out in its stretched form (K/(K − 1)): a = factor · (x − centre) = x K/(K − 1) − Σ m_j / (K − 1).
 * For x = m_i this is `leaveOneOut`; it differs when x is a part of row i (one of its tokens) and m_i its mean.
 * A pool of one has centre 0 and factor 1: there is nothing to compare with, so a = x.
 */
export function leaveOneOutStretch(means: ArrayLike<number>, pools: Pools, valid: Uint8Array | null = null): Stretch {
  const moments = poolMoments(means, pools, valid);
  const centre = new Float64Array(pools.of.length);
  const factor = new Float64Array(pools.of.length);
  for (let row = 0; row < centre.length; row++) {
    const pool = pools.of[row];
    if (pool < 0 || (valid !== null && valid[row] === 0)) continue;
    const n = moments.count[pool];
    centre[row] = n === 1 ? 0 : moments.mean[pool];
    factor[row] = n === 1 ? 1 : n / (n - 1);
  }
  return { centre, factor };
}

/**
 * Weighted baseline: b = Σ w_j x_j / Σ w_j over the pool, the same for all its members (the own one included),
 * A_i = x_i − b. Where all weights are 0, b is the plain mean. Pools whose values are all equal give exact zeros.
 * With w = squared gradient norm of a sample this is the constant baseline of least variance (OPO, arXiv 2505.23585).
 * @param weights one per row, finite and not negative.
 */
export function weightedBaseline(
  values: ArrayLike<number>,
  weights: ArrayLike<number>,
  pools: Pools,
  spec: BaselineSpec = {},
): Baselined {
  const { singleton = "zero", valid = null } = spec;
  const { count, mean, min, max } = poolMoments(values, pools, valid);
  const shift = new Float64Array(pools.count);
  const total = new Float64Array(pools.count);
  const { baseline, advantage } = empty(pools.of.length);
  for (let row = 0; row < baseline.length; row++) {
    const pool = pools.of[row];
    if (pool < 0 || (valid !== null && valid[row] === 0)) continue;
    shift[pool] += weights[row] * (values[row] - mean[pool]);
    total[pool] += weights[row];
  }
  for (let row = 0; row < baseline.length; row++) {
    const pool = pools.of[row];
    if (pool < 0 || (valid !== null && valid[row] === 0)) continue;
    const x = values[row];
    if (count[pool] === 1 && singleton === "raw") advantage[row] = x;
    else if (min[pool] === max[pool]) baseline[row] = x;
    else {
      baseline[row] = mean[pool] + (total[pool] > 0 ? shift[pool] / total[pool] : 0);
      advantage[row] = x - baseline[row];
    }
  }
  return { baseline, advantage };
}
