import { assign } from "../../methods/assign.ts";
import { type Batch, batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";
import { GradientMoments } from "./gradient-moments.ts";

const turns = 10;
const groupSize = 8;
const rate = 0.5;
const goal = 0.9;
const mostUpdates = 200;
/** Chance that the outcome follows the first action. */
const right = 0.9;

const outcome = (first: number, follows: boolean) => ((first === 1) === follows ? 1 : -1);

/** Rollouts of these actions and outcomes, one turn and one token per action. */
function batchOf(episodes: readonly { actions: readonly number[]; reward: number }[], exact: boolean): Batch {
  const state = Array.from({ length: turns }, (_, t) => t);
  const end = state.map((t) => t + 1);
  const even = new Array<number>(turns).fill(Math.log(0.5));
  return batchFromObjects(
    episodes.map(({ actions, reward }, i) => {
      const likely = outcome(actions[0], true) === reward;
      const hindsight = [Math.log(likely ? right : 1 - right), ...even.slice(1)];
      const known = exact ? { logprob: even, hindsight_logprob: hindsight } : { state, action: [...actions] };
      return { id: `r${i}`, group: "g", reward, tokens: { id: [...actions] }, turns: { end, ...known } };
    }),
  );
}

/** Every action sequence with every outcome, as often as it is likely under the uniform policy: ten of each. */
function everything() {
  return Array.from({ length: 10 * 2 ** turns }, (_, code) => {
    const actions = Array.from({ length: turns }, (_, t) => (code >> t) & 1);
    const follows = code >> turns < 10 * right;
    return { actions, reward: outcome(actions[0], follows) };
  });
}

/** Exact mean and variance, over everything that can happen, of each turn's gradient by the logit of action 1. */
function exactMoments(method: string, params: Readonly<Record<string, unknown>>): GradientMoments[] {
  const episodes = everything();
  const advantage = assign(batchOf(episodes, true), method, params).numbers("tokens.advantage");
  const moments = Array.from({ length: turns }, () => new GradientMoments(1));
  episodes.forEach(({ actions }, i) => {
    actions.forEach((action, t) => {
      moments[t].add([advantage[i * turns + t] * (action - 0.5)]);
    });
  });
  return moments;
}

/** Updates until the policy takes the right first action with the chance of the goal. */
function train(method: string, params: Readonly<Record<string, unknown>>, seed: number) {
  const policy = new SoftmaxTable(turns, 2);
  const random = new Random(seed);
  const curve: number[] = [];
  let updates = mostUpdates;
  for (let update = 0; update < mostUpdates; update++) {
    if (curve.length < 40) curve.push(policy.probability(0, 1));
    if (policy.probability(0, 1) >= goal) updates = Math.min(updates, update);
    if (updates <= update && curve.length >= 40) break;
    const episodes = Array.from({ length: groupSize }, () => {
      const actions = Array.from({ length: turns }, (_, t) => policy.sample(t, random));
      return { actions, reward: outcome(actions[0], random.uniform() < right) };
    });
    const advantage = assign(batchOf(episodes, false), method, params).numbers("tokens.advantage");
    episodes.forEach(({ actions }, i) => {
      actions.forEach((action, t) => {
        policy.accumulate(t, action, advantage[i * turns + t] / groupSize);
      });
    });
    policy.ascend(rate);
  }
  return { updates, curve };
}

const arms = {
  hindsight: { method: "hindsight", exact: {}, counted: { fit: "table" } },
  "centred return": { method: "dr-grpo", exact: {}, counted: {} },
};

function trial(seed: number, _: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const [arm, { method, exact, counted }] of Object.entries(arms)) {
    const [first, ...others] = exactMoments(method, exact);
    measures[`${arm}, mean gradient at the first action`] = first.mean[0];
    measures[`${arm}, variance at the first action`] = first.variance;
    measures[`${arm}, largest variance at the others`] = Math.max(...others.map(({ variance }) => variance));
    measures[`${arm}, smallest variance at the others`] = Math.min(...others.map(({ variance }) => variance));
    const { updates, curve } = train(method, counted, seed);
    measures[`${arm}, updates`] = updates;
    curves[arm] = curve;
  }
  return { measures, curves };
}

const [own, other] = Object.keys(arms);

/** Turns that do not matter get no gradient noise at all; the turn that does pays for rare outcomes. */
export const experiment: Experiment = {
  id: "hindsight",
  version: 1,
  claim:
    "With the exact hindsight distribution the mean gradient is that of the centred return, and actions that do not " +
    "matter get no credit and so no variance.",
  environment:
    "Ten binary actions; the outcome is 1 or −1 and follows the first action in 90 % of the cases, the others do not " +
    "matter. Uniform policy, everything enumerated; then training with the counted distribution, 8 rollouts per " +
    "update.",
  baseline: "dr-grpo: the return minus its group's mean, at every action",
  seeds: 20,
  trial,
  findings: (summary) => {
    const value = (arm: string, what: string) => summary.mean(`${arm}, ${what}`);
    const both = (what: string) => `${value(own, what).toFixed(3)} against ${value(other, what).toFixed(3)}`;
    const near = (x: number, y: number, within: number) => Math.abs(x - y) <= within;
    const mean = "mean gradient at the first action";
    const variance = "variance at the first action";
    return [
      {
        expected: "the same mean gradient at the first action, 0.40",
        measured: both(mean),
        holds: near(value(own, mean), 0.4, 1e-9) && near(value(other, mean), 0.4, 1e-9),
        kind: "claim",
      },
      {
        expected: "variance 0 at each of the nine others, against 0.25",
        measured: both("largest variance at the others"),
        holds:
          value(own, "largest variance at the others") < 1e-20 &&
          near(value(other, "smallest variance at the others"), 0.25, 1e-9) &&
          near(value(other, "largest variance at the others"), 0.25, 1e-9),
        kind: "claim",
      },
      {
        expected: "the price: variance 0.28 against 0.09 at the first action",
        measured: both(variance),
        holds: near(value(own, variance), 0.28, 0.005) && near(value(other, variance), 0.09, 0.005),
        kind: "claim",
      },
      {
        expected: "with the counted distribution and 8 rollouts per update it is no faster (11 against 9 updates)",
        measured: `${summary.text(`${own}, updates`, 1)} against ${summary.text(`${other}, updates`, 1)} updates`,
        holds: value(own, "updates") >= value(other, "updates"),
        kind: "limit",
      },
    ];
  },
  plots: [
    {
      kind: "bars",
      title: "Variance of the gradient",
      y: "variance",
      measures: ["variance at the first action", "largest variance at the others"].flatMap((what) =>
        [own, other].map((arm) => `${arm}, ${what}`),
      ),
    },
    {
      kind: "lines",
      title: "Training with the counted distribution",
      x: "update",
      y: "P(right first action)",
      curves: [own, other],
    },
  ],
  notes:
    "The part by enumeration is the same for every seed. The card names neither rate nor goal of the training: rate " +
    "0.5 on a row of two logits (1 on their difference's half), until the right first action has probability 0.9; " +
    "prior 1.",
};
