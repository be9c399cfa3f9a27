import { normalCdf, normalPdf } from "../operators/scalars.ts";

/** What a learner knows of one grid of thresholds: sums of what each play of a threshold brought. */
export interface PlayRecord {
  /** Plays of each threshold. */
  readonly counts: Float64Array;
  readonly rewardSums: Float64Array;
  /** Per threshold and constraint, k J + j: observations of the residual, and their sum. At most 0 means satisfied. */
  readonly residualCounts: Float64Array;
  readonly residualSums: Float64Array;
  /** Number of constraints J. */
  readonly constraints: number;
}

export interface OptimismParams {
  /** Probability with which the bounds may fail. */
  delta: number;
  /** 1 = theory; less explores less. */
  radius_scale: number;
  /** Range of one observed reward, and of one residual. */
  reward_range: number;
  residual_range: number;
  /** What the fallback minimises over constraints. */
  violation: "sum" | "max";
}

export interface Selection {
  index: number;
  /** Thresholds that may be feasible; empty in mode `violation`. */
  feasible: number[];
  mode: "reward" | "violation";
}

/** A record without plays. */
export function emptyRecord(thresholds: number, constraints: number): PlayRecord {
  return {
    counts: new Float64Array(thresholds),
    rewardSums: new Float64Array(thresholds),
    residualCounts: new Float64Array(thresholds * constraints),
    residualSums: new Float64Array(thresholds * constraints),
    constraints,
  };
}

/** Adds what one play brought; a residual of `null` was not to be measured and says nothing. */
export function addPlay(record: PlayRecord, index: number, reward: number, residuals: readonly (number | null)[]) {
  record.counts[index] += 1;
  record.rewardSums[index] += reward;
  residuals.forEach((residual, j) => {
    if (residual === null) return;
    record.residualCounts[index * record.constraints + j] += 1;
    record.residualSums[index * record.constraints + j] += residual;
  });
}

/** Multiplies all counts and sums: old plays count less in a population that drifts. */
export function fade(record: PlayRecord, by: number): void {
  for (const sums of [record.counts, record.rewardSums, record.residualCounts, record.residualSums]) {
    for (let k = 0; k < sums.length; k++) sums[k] *= by;
  }
}

/** ln(2 K (J + 1) t² / δ), the union bound over K thresholds, their bounds and the rounds. */
export function logBound(thresholds: number, constraints: number, t: number, delta: number): number {
  return Math.log((2 * thresholds * (constraints + 1) * t * t) / delta);
}

/** Half width of a Hoeffding interval: width · sqrt(log bound / (2 n)), infinite for n = 0. */
export function radius(n: number, log: number, width: number): number {
  return n === 0 ? Number.POSITIVE_INFINITY : width * Math.sqrt(log / (2 * n));
}

interface Bounds {
  /** Upper bound of the mean reward of each threshold, ∞ where it was not played. */
  upper: Float64Array;
  /** Lower bound of the mean residual, k J + j, −∞ where it was not observed. */
  lower: Float64Array;
}

function boundsOf(record: PlayRecord, t: number, p: OptimismParams): Bounds {
  const { counts, rewardSums, residualCounts, residualSums, constraints } = record;
  const log = logBound(counts.length, constraints, t, p.delta);
  const mean = (sum: number, n: number) => (n === 0 ? 0 : sum / n);
  return {
    upper: counts.map((n, k) => mean(rewardSums[k], n) + radius(n, log, p.radius_scale * p.reward_range)),
    lower: residualCounts.map((n, k) => mean(residualSums[k], n) - radius(n, log, p.radius_scale * p.residual_range)),
  };
}

/** First index of the largest value. */
function firstLargest(values: ArrayLike<number>): number {
  let best = 0;
  for (let k = 1; k < values.length; k++) if (values[k] > values[best]) best = k;
  return best;
}

/**
 * The threshold to play in round t (from 1): of those that may be feasible the one of the largest optimistic reward; if
 * none may be, the one of the smallest optimistic violation, of equal ones that of the larger reward. Ties go to the
 * lowest index.
 */
export function selectThreshold(record: PlayRecord, t: number, params: OptimismParams): Selection {
  const { upper, lower } = boundsOf(record, t, params);
  const violations = upper.map((_, k) => {
    const own = lower.subarray(k * record.constraints, (k + 1) * record.constraints);
    const combine = params.violation === "sum" ? (a: number, b: number) => a + b : Math.max;
    return own.reduce((total, x) => combine(total, Math.max(0, x)), 0);
  });
  const feasible = [...violations.keys()].filter((k) => violations[k] === 0);
  if (feasible.length > 0) {
    return { index: feasible[firstLargest(feasible.map((k) => upper[k]))], feasible, mode: "reward" };
  }
  let index = 0;
  for (let k = 1; k < violations.length; k++) {
    const tied = violations[k] === violations[index];
    if (violations[k] < violations[index] || (tied && upper[k] > upper[index])) index = k;
  }
  return { index, feasible: [], mode: "violation" };
}

/** The synthetic closed loop: two groups with normal scores, whose shares follow what was accepted. */
export interface LoopEnvironment {
  mean0: number;
  mean1: number;
  std: number;
  /** Paid for every accepted score. */
  cost: number;
  /** Difference of acceptance rates that is allowed. */
  eps_dp: number;
  /** Least overall acceptance rate; `null` = no such constraint. */
  service: number | null;
  /** Share of group 1 at the start. */
  w0: number;
  base: number;
  kappa: number;
  eta: number;
  w_min: number;
  w_max: number;
}

export interface LoopStep {
  reward: number;
  residuals: number[];
  accept: number[];
  serviceRate: number;
  nextShare: number;
}

/** Reward, residuals and next share of group 1 when scores from `tau` on are accepted. */
export function loopStep(share: number, tau: number, env: LoopEnvironment): LoopStep {
  const { std, cost } = env;
  const of = (mean: number) => {
    const z = (mean - tau) / std;
    const rate = normalCdf(z);
    return { rate, reward: (mean - cost) * rate + std * normalPdf(z) };
  };
  const [low, high] = [of(env.mean0), of(env.mean1)];
  const serviceRate = (1 - share) * low.rate + share * high.rate;
  const residuals = [Math.abs(high.rate - low.rate) - env.eps_dp];
  if (env.service !== null) residuals.push(env.service - serviceRate);
  const target = Math.min(env.w_max, Math.max(env.w_min, env.base + env.kappa * (high.rate - low.rate)));
  return {
    reward: (1 - share) * low.reward + share * high.reward,
    residuals,
    accept: [low.rate, high.rate],
    serviceRate,
    nextShare: share + env.eta * (target - share),
  };
}

export interface LoopRun {
  /** `ofs`, or one of the two baselines: blind to constraints, or with a price on each of them. */
  policy: "ofs" | "ucb" | "primal_dual";
  grid: readonly number[];
  rounds: number;
  env: LoopEnvironment;
  params: OptimismParams;
  /** Per round what is added to the reward and to each residual that the learner sees; `null` = nothing. */
  noise: readonly (readonly number[])[] | null;
  /** Step of the prices of `primal_dual`. */
  dualStep: number;
}

export interface LoopResult {
  picks: number[];
  meanReward: number;
  cumulativeViolation: number;
  finalShare: number;
}

/** The index that a policy of the closed loop plays in round t. */
function pick(run: LoopRun, record: PlayRecord, t: number, prices: Float64Array): number {
  if (run.policy === "ofs") return selectThreshold(record, t, run.params).index;
  const { upper } = boundsOf(record, t, run.params);
  if (run.policy === "ucb") return firstLargest(upper);
  const { constraints, residualCounts, residualSums } = record;
  return firstLargest(
    upper.map((bound, k) => {
      if (bound === Infinity) return bound;
      return prices.reduce((value, price, j) => {
        const at = k * constraints + j;
        return value - (price * residualSums[at]) / residualCounts[at];
      }, bound);
    }),
  );
}

/** Plays a policy in the synthetic closed loop; the means and sums are of noiseless values. */
export function runLoop(run: LoopRun): LoopResult {
  const { grid, rounds, env, noise } = run;
  const constraints = env.service === null ? 1 : 2;
  const record = emptyRecord(grid.length, constraints);
  const prices = new Float64Array(constraints);
  const picks: number[] = [];
  let share = env.w0;
  let total = 0;
  let violation = 0;
  for (let t = 1; t <= rounds; t++) {
    const index = pick(run, record, t, prices);
    const { reward, residuals, nextShare } = loopStep(share, grid[index], env);
    const extra = noise?.[t - 1] ?? [];
    const seen = residuals.map((residual, j) => residual + (extra[j + 1] ?? 0));
    addPlay(record, index, reward + (extra[0] ?? 0), seen);
    seen.forEach((residual, j) => {
      prices[j] = Math.max(0, prices[j] + run.dualStep * residual);
    });
    picks.push(index);
    total += reward;
    for (const residual of residuals) violation += Math.max(0, residual);
    share = nextShare;
  }
  return { picks, meanReward: total / rounds, cumulativeViolation: violation, finalShare: share };
}

/** Mean reward and mean residuals of one threshold played alone from w0, without the first `burn` rounds. */
function alone(tau: number, rounds: number, burn: number, env: LoopEnvironment) {
  let share = env.w0;
  let reward = 0;
  const residuals = env.service === null ? [0] : [0, 0];
  for (let t = 0; t < rounds; t++) {
    const step = loopStep(share, tau, env);
    if (t >= burn) {
      reward += step.reward / (rounds - burn);
      step.residuals.forEach((residual, j) => {
        residuals[j] += residual / (rounds - burn);
      });
    }
    share = step.nextShare;
  }
  return { reward, residuals };
}

/**
 * The best threshold to play for ever: of those whose mean residuals are all at most 1e-12 the one of the largest mean
 * reward; if there is none, the one of the smallest sum of positive mean residuals. Ties go to the lowest index.
 */
export function bestFixed(grid: readonly number[], rounds: number, burn: number, env: LoopEnvironment) {
  const tried = grid.map((tau) => alone(tau, rounds, burn, env));
  const feasible = tried.map(({ residuals }) => residuals.every((residual) => residual <= 1e-12));
  const any = feasible.includes(true);
  const scores = tried.map(({ reward, residuals }, k) => {
    if (any) return feasible[k] ? reward : Number.NEGATIVE_INFINITY;
    return -residuals.reduce((sum, residual) => sum + Math.max(0, residual), 0);
  });
  const index = firstLargest(scores);
  return { index, feasible: any, meanReward: tried[index].reward };
}
