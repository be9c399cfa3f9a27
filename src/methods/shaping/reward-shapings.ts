import { logSigmoid, sigmoid } from "../../operators/scalars.ts";

/** Shapings that look at a reward alone. */
const plainShapings = ["none", "sigmoid", "tanh", "poly"] as const;
/** Shapings that compare a reward with reference rewards of the same prompt. */
export const centredShapings = ["par", "centered", "par_tanh", "par_arctan", "par_poly", "sgfc", "lsc"] as const;
/** Shapings whose scale comes from all rewards seen so far. */
export const runningShapings = ["meanstd", "clip", "minmax"] as const;
/** The shapings that Reward Shaping to Mitigate Reward Hacking in RLHF (arXiv 2502.18770) compares. */
export const shapingNames = [...centredShapings, ...plainShapings, ...runningShapings] as const;
export type ShapingName = (typeof shapingNames)[number];

/** Mean, spread and extremes of all rewards seen so far. */
export interface RunningRewards {
  count: number;
  mean: number;
  /** Sum of squared distances from the mean. */
  squares: number;
  min: number;
  max: number;
}

/** Running statistics after one more batch of rewards, merged by the parallel formula; `before` is null at the start. */
export function addRewards(before: RunningRewards | null, rewards: ArrayLike<number>): RunningRewards {
  const count = rewards.length;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    min = Math.min(min, rewards[i]);
    max = Math.max(max, rewards[i]);
    sum += rewards[i];
  }
  if (count === 0) return before ?? { count: 0, mean: 0, squares: 0, min: 0, max: 0 };
  const mean = min === max ? min : sum / count;
  let squares = 0;
  for (let i = 0; i < count; i++) squares += (rewards[i] - mean) ** 2;
  if (before === null || before.count === 0) return { count, mean, squares, min, max };
  const d = mean - before.mean;
  const total = before.count + count;
  return {
    count: total,
    mean: before.mean + (d * count) / total,
    squares: before.squares + squares + (d * d * before.count * count) / total,
    min: Math.min(before.min, min),
    max: Math.max(before.max, max),
  };
}

/** How far from 0 the polynomial is used; beyond it is 0 or 1. */
const polynomialReach = 5;
const polynomialPoints = 100;

/** Odd coefficients (of u, u³, u⁵) of the least-squares fit, with u = x / 5 to keep the equations well scaled. */
function oddFit(): [number, number, number] {
  const powers = [1, 3, 5];
  const rows = powers.map(() => new Float64Array(4));
  for (let i = 0; i < polynomialPoints; i++) {
    const u = -1 + (2 * i) / (polynomialPoints - 1);
    const y = sigmoid(polynomialReach * u) - 0.5;
    powers.forEach((a, r) => {
      powers.forEach((b, c) => {
        rows[r][c] += u ** (a + b);
      });
      rows[r][3] += u ** a * y;
    });
  }
  for (let pivot = 0; pivot < 3; pivot++) {
    for (let r = pivot + 1; r < 3; r++) {
      const factor = rows[r][pivot] / rows[pivot][pivot];
      for (let c = pivot; c < 4; c++) rows[r][c] -= factor * rows[pivot][c];
    }
  }
  const c5 = rows[2][3] / rows[2][2];
  const c3 = (rows[1][3] - rows[1][2] * c5) / rows[1][1];
  const c1 = (rows[0][3] - rows[0][1] * c3 - rows[0][2] * c5) / rows[0][0];
  return [c1, c3, c5];
}

let coefficients: readonly number[] | null = null;

/**
 * Coefficients, constant term first, of the degree-5 polynomial that fits σ best (least squares) on 100 equally spaced
 * points of [−5, 5], end points included. σ − ½ is odd and the points are symmetric, so the even terms are ½, 0, 0.
 */
export function sigmoidPolynomial(): number[] {
  if (coefficients === null) {
    const [c1, c3, c5] = oddFit();
    coefficients = [0.5, c1 / polynomialReach, 0, c3 / polynomialReach ** 3, 0, c5 / polynomialReach ** 5];
  }
  return [...coefficients];
}

function polynomialSigmoid(x: number): number {
  if (x <= -polynomialReach) return 0;
  if (x >= polynomialReach) return 1;
  const [c0, c1, , c3, , c5] = coefficients ?? sigmoidPolynomial();
  return c0 + x * (c1 + x * x * (c3 + x * x * c5));
}

function mean(values: readonly number[], of: (x: number) => number): number {
  let sum = 0;
  for (const x of values) sum += of(x);
  return sum / values.length;
}

/** Offset of `sgfc`: it grows slowly until a reward is this much above its reference. */
const sgfcOffset = 3;
/** 85 % quantile of the standard normal distribution. */
const lscQuantile = 1.0364333895;

/** q of `lsc`: 85 % quantile of the reference rewards under a normal distribution. */
function referenceQuantile(refs: readonly number[]): number {
  const centre = mean(refs, (r) => r);
  const squares = refs.length * mean(refs, (r) => (r - centre) ** 2);
  const spread = refs.length < 2 ? 0 : Math.sqrt(squares / (refs.length - 1));
  return centre + lscQuantile * (spread + 1e-5);
}

function runningReward(method: "meanstd" | "clip" | "minmax", r: number, seen: RunningRewards): number {
  if (method === "minmax") return seen.max === seen.min ? 0.5 : (r - seen.min) / (seen.max - seen.min);
  const flat = seen.max === seen.min;
  const centre = flat ? seen.min : seen.mean;
  const spread = flat ? 0 : Math.sqrt(seen.squares / seen.count);
  if (method === "clip") return Math.min(Math.max(r, centre - spread), centre + spread);
  return (r - centre) / (spread === 0 ? 1 : spread);
}

/**
 * One shaped reward.
 * @param refs reference rewards of the same prompt; at least one for centred shapings.
 * @param seen statistics for running shapings, this reward included.
 */
export function shapedReward(
  method: ShapingName,
  r: number,
  refs: readonly number[],
  k: number,
  seen: RunningRewards | null,
): number {
  switch (method) {
    case "none":
      return r;
    case "sigmoid":
      return sigmoid(k * r);
    case "tanh":
      return Math.tanh(r);
    case "poly":
      return polynomialSigmoid(r);
    case "par":
      return mean(refs, (m) => sigmoid(k * (r - m)));
    case "centered":
      return mean(refs, (m) => r - m);
    case "par_tanh":
      return mean(refs, (m) => Math.tanh(r - m));
    case "par_arctan":
      return mean(refs, (m) => Math.atan(r - m));
    case "par_poly":
      return mean(refs, (m) => polynomialSigmoid(r - m));
    case "sgfc":
      return mean(refs, (m) => sigmoid(k * (r - m - sgfcOffset)));
    case "lsc":
      return logSigmoid(r - referenceQuantile(refs));
    default:
      return seen === null ? r : runningReward(method, r, seen);
  }
}
