import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const groupSize = 8;
/** Two logits move apart twice as fast as one logit does: half the card's rate of 0.5. */
const rate = 0.25;
const updates = 200;
const baselines = ["turn_index_sum", "fixed", "alive"] as const;
type Baseline = (typeof baselines)[number];

/** A rollout that stops at once (reward 0.5) or goes on (reward 1 in turn 2). */
function rollout(goesOn: boolean, id: string, group: string) {
  return { id, group, reward: 0, turns: { reward: goesOn ? [0, 1] : [0.5] } };
}

/** Advantage of the first turn of every rollout. */
function firstTurn(goesOn: readonly boolean[], groups: number, baseline: Baseline, leaveOneOut: boolean): number[] {
  const size = goesOn.length / groups;
  const batch = batchFromObjects(goesOn.map((on, i) => rollout(on, `r${i}`, `g${Math.floor(i / size)}`)));
  const params = { baseline, norm_by_std: false, leave_one_out: leaveOneOut };
  const credit = assign(batch, "mt-grpo", params);
  const advantage = credit.numbers("turns.advantage");
  return goesOn.map((_, i) => advantage[credit.offsets("turn")[i]]);
}

function train(baseline: Baseline, seed: number, most: number): number[] {
  const random = new Random(seed);
  const policy = new SoftmaxTable(1, 2);
  const curve: number[] = [];
  for (let update = 0; update < most; update++) {
    const actions = Array.from({ length: groupSize }, () => policy.sample(0, random));
    const advantage = firstTurn(
      actions.map((a) => a === 1),
      1,
      baseline,
      false,
    );
    actions.forEach((action, i) => {
      policy.accumulate(0, action, advantage[i] / groupSize);
    });
    policy.ascend(rate);
    curve.push(policy.probability(0, 1));
  }
  return curve;
}

/** Expected gradient of the logit of going on at P(go on) = p, over all 2^8 groups. */
function exactGradient(p: number, baseline: Baseline, leaveOneOut: boolean): number {
  const groups = 2 ** groupSize;
  const goesOn: boolean[] = [];
  for (let g = 0; g < groups; g++) for (let i = 0; i < groupSize; i++) goesOn.push(((g >> i) & 1) === 1);
  const advantage = firstTurn(goesOn, groups, baseline, leaveOneOut);
  let gradient = 0;
  for (let g = 0; g < groups; g++) {
    let chance = 1;
    let sum = 0;
    for (let k = g * groupSize; k < (g + 1) * groupSize; k++) {
      chance *= goesOn[k] ? p : 1 - p;
      sum += advantage[k] * ((goesOn[k] ? 1 : 0) - p);
    }
    gradient += (chance * sum) / groupSize;
  }
  return gradient;
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const baseline of baselines) {
    const curve = train(baseline, seed, scale === "full" ? updates : 20);
    measures[`P(go on) with ${baseline}`] = curve[curve.length - 1];
    curves[baseline] = curve;
  }
  const p = 0.3;
  const unit = p * (1 - p);
  const truth = 0.5 * unit;
  const own = 1 - 1 / groupSize;
  measures["exact gradient, truth"] = truth;
  measures["exact gradient, turn_index_sum"] = exactGradient(p, "turn_index_sum", false);
  measures["exact gradient, fixed"] = exactGradient(p, "fixed", false);
  measures["error of leave-one-out fixed"] = Math.abs(exactGradient(p, "fixed", true) - truth);
  measures["error of leave-one-out alive"] = Math.abs(exactGradient(p, "alive", true) - truth);
  // A rollout is in its own mean: both the true part and the bias shrink by 1 - 1/8.
  measures["error of the predicted bias"] = Math.abs(
    measures["exact gradient, turn_index_sum"] - measures["exact gradient, fixed"] + own * unit * 1,
  );
  return { measures, curves };
}

/** A baseline with as many terms as the rollout has turns left is a hidden malus on going on. */
export const experiment: Experiment = {
  id: "mt-grpo",
  version: 1,
  claim:
    "Where the policy decides when to stop, summing per-index means of rewards as a baseline is biased against going " +
    "on; a baseline that is the same for everyone is not.",
  environment:
    "Two turns: stop at once and get 0.5, or go on and get 1 in turn 2. One logit, groups of 8, rate 0.5, 200 " +
    "updates, no standard deviation. Expected gradients by enumerating all 256 groups.",
  baseline: "mt-grpo with baseline turn_index_sum",
  seeds: 20,
  trial,
  findings: (summary) => [
    atMost(summary, "P(go on) with turn_index_sum", 0.1, { over: "mean" }),
    atLeast(summary, "P(go on) with fixed", 0.9, { over: "mean" }),
    atLeast(summary, "P(go on) with alive", 0.9, { over: "mean" }),
    atMost(summary, "error of leave-one-out fixed", 1e-12, { digits: 15 }),
    atMost(summary, "error of leave-one-out alive", 1e-12, { digits: 15 }),
    {
      expected: "the expected gradient with turn_index_sum is off by p (1 - p) E[reward of turn 2], times 1 - 1/8",
      measured:
        `${summary.mean("exact gradient, turn_index_sum").toFixed(4)} against ` +
        `${summary.mean("exact gradient, fixed").toFixed(4)} ` +
        `(truth ${summary.mean("exact gradient, truth").toFixed(4)}), ` +
        `error ${summary.max("error of the predicted bias").toExponential(1)}`,
      holds: summary.max("error of the predicted bias") < 1e-12,
      kind: "claim",
    },
  ],
  plots: [
    {
      kind: "lines",
      title: "P(go on); going on pays twice as much",
      x: "update",
      y: "probability",
      curves: [...baselines],
    },
    {
      kind: "bars",
      title: "Expected gradient of going on at P = 0.3",
      y: "gradient",
      measures: ["exact gradient, truth", "exact gradient, fixed", "exact gradient, turn_index_sum"],
    },
  ],
  notes:
    "The exact check enumerates groups, so a rollout's own rewards are in the means and every gradient is scaled by " +
    "1 - 1/8; with the means known exactly the card's numbers follow without that factor. It is the same for every " +
    "seed.",
};
