import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import type { Experiment, Finding, Scale, Summary, Trial } from "./experiment.ts";
import { distance, GradientMoments } from "./gradient-moments.ts";

const candidates = 5;
const lengths = [2, 4, 8] as const;
const worth = [1, 0, -0.5, 0.2];
/** Far larger than any spread, so that what is left of the rule is the score minus the mean, times a constant. */
const eps = 1e9;

/** Returns of full trajectories minus their group mean. */
function fullAdvantages(returns: readonly (readonly number[])[]): Float64Array {
  const rollouts = returns.flatMap((row, g) => row.map((reward, j) => ({ id: `${g}-${j}`, group: `${g}`, reward })));
  return Float64Array.from(assign(batchFromObjects(rollouts), "dr-grpo").numbers("rollout.advantage"));
}

/** Scores of the candidates of one step minus their mean. */
function stepAdvantages(scores: readonly (readonly number[])[]): Float64Array {
  const rollouts = scores.map((reward, g) => ({
    id: `${g}`,
    group: `${g}`,
    turns: { reward, state: reward.map(() => "s") },
  }));
  const advantage = assign(batchFromObjects(rollouts), "slate", { eps }).numbers("turns.advantage");
  return Float64Array.from(advantage, (x) => eps * x);
}

const variance = (x: Float64Array) => x.reduce((sum, v) => sum + v * v, 0) / x.length;

interface Sample {
  action: number;
  reward: number;
}

/** Mean and variance of the gradient of the first step, one gradient per group. */
function moments(policy: SoftmaxTable, samples: readonly (readonly Sample[])[], advantage: Float64Array) {
  const out = new GradientMoments(worth.length);
  samples.forEach((group, g) => {
    group.forEach(({ action }, j) => {
      policy.accumulate(0, action, advantage[g * candidates + j] / candidates);
    });
    out.add(policy.gradient);
    policy.gradient.fill(0);
  });
  return out;
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const groups = scale === "full" ? 4000 : 100;
  const measures: Record<string, number> = {};
  const draw = <T>(make: () => T) => Array.from({ length: groups }, () => Array.from({ length: candidates }, make));
  const sum = (length: number, make: () => number) => {
    let total = 0;
    for (let t = 0; t < length; t++) total += make();
    return total;
  };
  const policy = new SoftmaxTable(1, worth.length);
  const step = (): Sample => {
    const action = policy.sample(0, random);
    return { action, reward: worth[action] + 0.5 * gaussian(random) };
  };
  for (const length of lengths) {
    const full = fullAdvantages(draw(() => sum(length, () => gaussian(random))));
    const truncated = stepAdvantages(draw(() => gaussian(random)));
    measures[`variance ratio, T = ${length}`] = variance(full) / variance(truncated);
    const first = draw(step);
    const returns = first.map((group) => group.map(({ reward }) => reward + sum(length - 1, () => step().reward)));
    const whole = moments(policy, first, fullAdvantages(returns));
    const candidate = draw(step);
    const single = moments(
      policy,
      candidate,
      stepAdvantages(candidate.map((group) => group.map(({ reward }) => reward))),
    );
    measures[`gradient variance ratio, T = ${length}`] = whole.variance / single.variance;
    measures[`difference of mean gradients, T = ${length}`] = distance(whole.mean, single.mean);
    whole.mean.forEach((x, a) => {
      measures[`difference of gradient ${a}, T = ${length}`] = x - single.mean[a];
    });
  }
  return { measures };
}

function findings(summary: Summary): Finding[] {
  return lengths.flatMap((length): Finding[] => {
    const plain = summary.mean(`variance ratio, T = ${length}`);
    const gradient = summary.mean(`gradient variance ratio, T = ${length}`);
    const apart = Math.hypot(...worth.map((_, a) => summary.mean(`difference of gradient ${a}, T = ${length}`)));
    return [
      {
        expected: `T = ${length}: full trajectories have ${length} times the variance of the advantage (within 10 %)`,
        measured: summary.text(`variance ratio, T = ${length}`),
        holds: Math.abs(plain / length - 1) <= 0.1,
        kind: "claim",
      },
      {
        expected: `T = ${length}: the mean gradients differ by less than 0.02`,
        measured: `${apart.toFixed(4)} over all seeds`,
        holds: apart < 0.02,
        kind: "claim",
      },
      {
        expected: `T = ${length}: the variance of the gradient is 0.9 T to 1.3 T times as large`,
        measured: summary.text(`gradient variance ratio, T = ${length}`),
        holds: gradient >= 0.9 * length && gradient <= 1.3 * length,
        kind: "claim",
      },
    ];
  });
}

/** Candidates of one step are compared by the score of that step: what comes later adds no noise. */
export const experiment: Experiment = {
  id: "slate",
  version: 1,
  claim:
    "Truncated samples scored at the step have the same mean gradient as full trajectories and 1/T of the variance.",
  environment:
    "Groups of 5, independent step rewards; T = 2, 4, 8 steps, 4000 groups. Gradients: a uniform policy of 4 actions " +
    "worth 1, 0, -0.5, 0.2 plus N(0, 0.5²).",
  baseline: "dr-grpo on the return of full trajectories (return minus group mean)",
  seeds: 3,
  trial,
  findings,
  plots: [
    {
      kind: "bars",
      title: "Variance with full trajectories over variance with truncated samples",
      y: "ratio",
      measures: lengths.flatMap((length) => [
        `variance ratio, T = ${length}`,
        `gradient variance ratio, T = ${length}`,
      ]),
    },
  ],
  notes:
    "The rule divides by the spread of the candidates; the claim is about scores minus their mean, so eps is made so " +
    "large that the spread does not matter. The factor is T only for equal and independent step variances.",
};
