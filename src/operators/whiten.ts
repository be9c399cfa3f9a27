import type { FloatArray } from "../rollouts/index.ts";
import type { Runs } from "./runs.ts";

export interface WhitenSpec {
  /** 0 = population, 1 = sample variance. Default 1. */
  ddof?: 0 | 1;
  /** Added to the variance, inside the root. Default 1e-8. */
  eps?: number;
  /** Divide by the spread (default) or only subtract the mean. */
  scale?: boolean;
}

/** Moments of the rows inside runs. */
export interface RunMoments {
  count: number;
  mean: number;
  /** Sum of squared distances from the mean (two-pass, float64). */
  squares: number;
  /** Whether all values are equal; `mean` is then that value exactly and `squares` 0. */
  flat: boolean;
}

/**
 * Count, mean and squares of the values inside runs.
 * @param sums sum and sum of squares where they are already known: they save both passes unless the mean is so far from 0
 * that their difference would lose digits.
 */
export function runMoments(values: FloatArray, runs: Runs, sums?: { sum: number; squares: number }): RunMoments {
  const { starts, ends } = runs;
  let count = 0;
  for (let run = 0; run < starts.length; run++) count += ends[run] - starts[run];
  if (count === 0) return { count, mean: 0, squares: 0, flat: true };
  const first = values[starts[0]];
  if (allEqual(values, runs, first)) return { count, mean: first, squares: 0, flat: true };
  if (sums !== undefined) {
    const mean = sums.sum / count;
    const squares = sums.squares - mean * sums.sum;
    if (mean * sums.sum < 16 * squares) return { count, mean, squares, flat: false };
  }
  // Distances from a value of the set keep the first pass free of cancellation when the mean is far from 0.
  let sum = 0;
  for (let run = 0; run < starts.length; run++) sum += distances(values, starts[run], ends[run], first);
  const mean = first + sum / count;
  let squares = 0;
  for (let run = 0; run < starts.length; run++) squares += squaredDistances(values, starts[run], ends[run], mean);
  return { count, mean, squares, flat: false };
}

/** Moments of two disjoint sets of values taken together; `null` stands for the empty set. */
export function mergeMoments(a: RunMoments | null, b: RunMoments): RunMoments {
  if (a === null || a.count === 0) return b;
  if (b.count === 0) return a;
  const count = a.count + b.count;
  const d = b.mean - a.mean;
  const mean = d === 0 ? a.mean : a.mean + d * (b.count / count);
  const squares = a.squares + b.squares + d * d * (a.count * (b.count / count));
  return { count, mean, squares, flat: a.flat && b.flat && d === 0 };
}

function allEqual(values: FloatArray, { starts, ends }: Runs, first: number): boolean {
  for (let run = 0; run < starts.length; run++) {
    for (let t = starts[run]; t < ends[run]; t++) if (values[t] !== first) return false;
  }
  return true;
}

// Four lanes: the latency of one addition would otherwise bound both loops.
function distances(values: FloatArray, from: number, to: number, centre: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let t = from;
  for (; t + 3 < to; t += 4) {
    a += values[t] - centre;
    b += values[t + 1] - centre;
    c += values[t + 2] - centre;
    d += values[t + 3] - centre;
  }
  for (; t < to; t++) a += values[t] - centre;
  return a + b + (c + d);
}

function squaredDistances(values: FloatArray, from: number, to: number, centre: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let t = from;
  for (; t + 3 < to; t += 4) {
    const p = values[t] - centre;
    const q = values[t + 1] - centre;
    const r = values[t + 2] - centre;
    const s = values[t + 3] - centre;
    a += p * p;
    b += q * q;
    c += r * r;
    d += s * s;
  }
  for (; t < to; t++) {
    const p = values[t] - centre;
    a += p * p;
  }
  return a + b + (c + d);
}

/**
 * Whitens the values inside runs in place: (x − mean) / sqrt(var + eps). Rows outside are left as they are.
 * Fewer than two values, or all equal, give 0.
 */
export function whitenRuns(
  values: FloatArray,
  runs: Runs,
  spec: WhitenSpec = {},
  moments = runMoments(values, runs),
): void {
  const { ddof = 1, eps = 1e-8, scale = true } = spec;
  const { count, mean, squares, flat } = moments;
  const { starts, ends } = runs;
  const zero = count < 2 || flat;
  const factor = zero || !scale ? 1 : 1 / Math.sqrt(squares / (count - ddof) + eps);
  for (let run = 0; run < starts.length; run++) {
    if (zero) values.fill(0, starts[run], ends[run]);
    else scaleRun(values, starts[run], ends[run], mean, factor);
  }
}

function scaleRun(values: FloatArray, from: number, to: number, mean: number, factor: number): void {
  for (let t = from; t < to; t++) values[t] = (values[t] - mean) * factor;
}
