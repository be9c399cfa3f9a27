import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const steps = 5;
const options = 6;
const hardStep = 2;
const kept = 16;
const continuations = 32;
const groupSize = 8;
const rate = 0.5;
const ends = Array.from({ length: steps }, (_, k) => k + 1);

function basePolicy(): SoftmaxTable {
  const policy = new SoftmaxTable(steps, options);
  for (let k = 0; k < steps; k++) policy.logits[k * options] = k === hardStep ? -4.5 : 2.5;
  policy.changed();
  return policy;
}

const success = (policy: SoftmaxTable) => ends.reduce((product, end) => product * policy.probability(end - 1, 0), 1);

const attempt = (policy: SoftmaxTable, random: Random, from = 0) =>
  Array.from({ length: steps - from }, (_, k) => policy.sample(from + k, random));

interface Intervention {
  chosen: number[];
  /** Step that the right option replaces. */
  step: number;
  successes: number;
}

/** Failed attempts, the right option at their first error, and how many continuations then succeed. */
function propose(policy: SoftmaxTable, random: Random): Intervention | null {
  const chosen = attempt(policy, random);
  const step = chosen.findIndex((a) => a !== 0);
  if (step < 0) return null;
  let successes = 0;
  for (let n = 0; n < continuations; n++) if (attempt(policy, random, step + 1).every((a) => a === 0)) successes++;
  return { chosen, step, successes };
}

/** Weights of the tokens of some attempts, and which are kept. */
function supervision(interventions: readonly Intervention[]) {
  const rollouts = interventions.map(({ chosen, step, successes }, i) => ({
    id: `r${i}`,
    reward: 0,
    signals: { intervention_step: step + 1, guided_successes: successes },
    tokens: { id: chosen },
    steps: { end: ends },
  }));
  const credit = assign(batchFromObjects(rollouts), "int");
  return { weight: credit.numbers("tokens.weight"), keep: credit.numbers("rollout.keep") };
}

/** Four epochs over 16 kept interventions: mean over the tokens of prefix and intervention. */
function fineTune(policy: SoftmaxTable, random: Random): void {
  const data: { id: readonly number[]; step: number; weight: number[] }[] = [];
  const base = policy.copy();
  while (data.length < kept) {
    const proposals = Array.from({ length: 64 }, () => propose(base, random)).filter((x) => x !== null);
    const { weight, keep } = supervision(proposals);
    proposals.forEach(({ chosen, step }, i) => {
      if (keep[i] === 1 && data.length < kept)
        data.push({ id: chosen, step, weight: Array.from(weight.subarray(i * steps, (i + 1) * steps)) });
    });
  }
  for (let epoch = 0; epoch < 4; epoch++) {
    for (const { id, step, weight } of data) {
      const tokens = weight.reduce((sum, w) => sum + w, 1);
      weight.forEach((w, k) => {
        policy.accumulate(k, id[k], w / tokens);
      });
      policy.accumulate(step, 0, 1 / tokens);
      policy.ascend(rate);
    }
  }
}

/**
 * Plain reinforcement learning on the outcome: success after every update, and the share of groups without any
 * success.
 */
function reinforce(policy: SoftmaxTable, updates: number, random: Random): { curve: number[]; empty: number } {
  const curve = [success(policy)];
  let empty = 0;
  for (let update = 0; update < updates; update++) {
    const chosen = Array.from({ length: groupSize }, () => attempt(policy, random));
    const rollouts = chosen.map((row, i) => ({
      id: `r${i}`,
      group: "g",
      reward: row.every((a) => a === 0) ? 1 : 0,
    }));
    if (rollouts.every(({ reward }) => reward === 0)) empty += 1 / updates;
    const advantage = assign(batchFromObjects(rollouts), "dr-grpo").numbers("rollout.advantage");
    chosen.forEach((row, i) => {
      row.forEach((a, k) => {
        policy.accumulate(k, a, advantage[i] / groupSize);
      });
    });
    policy.ascend(rate);
    curve.push(success(policy));
  }
  return { curve, empty };
}

function trial(seed: number, scale: Scale): Trial {
  const updates = scale === "full" ? 200 : 10;
  const random = new Random(seed);
  const alone = reinforce(basePolicy(), updates, random);
  const policy = basePolicy();
  fineTune(policy, random);
  const tuned = success(policy);
  const both = reinforce(policy, updates, random);
  return {
    measures: {
      "success, RL alone": alone.curve[updates],
      "groups without a success, RL alone": alone.empty,
      "success, InT": tuned,
      "success, InT and RL": both.curve[updates],
    },
    curves: {
      "RL alone": alone.curve.filter((_, t) => t % 2 === 0),
      "InT and RL": both.curve.filter((_, t) => t % 2 === 0),
    },
  };
}

/** The faulty step is repaired by supervision on the prefix and a correction; then the outcome is enough. */
export const experiment: Experiment = {
  id: "int",
  version: 1,
  claim:
    "Training on the untouched prefix plus a correction of the first wrong step makes hard problems learnable by RL.",
  environment:
    "5 steps with 6 options, the right one at logit 2.5, but -4.5 at step 3 (success 0.0006). The environment " +
    "corrects the first error; 16 interventions with a success in 32, 4 epochs, then 200 updates of G = 8 with rate " +
    "0.5.",
  baseline: "dr-grpo (reward minus group mean) from the start",
  seeds: 4,
  trial,
  findings: (summary) => [
    atMost(summary, "success, RL alone", 0.05),
    atLeast(summary, "groups without a success, RL alone", 0.9, { over: "mean", kind: "limit" }),
    atLeast(summary, "success, InT", 0.1, { over: "mean", kind: "limit" }),
    atLeast(summary, "success, InT and RL", 0.8),
  ],
  plots: [
    { kind: "lines", title: "Exact success", x: "update", y: "success", curves: ["RL alone", "InT and RL"], every: 2 },
  ],
  notes: "The card gives no rate for the supervised epochs; one gradient step of rate 0.5 is taken per intervention.",
};
