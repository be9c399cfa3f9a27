import { assign } from "../../methods/assign.ts";
import { cooperPairLoss, cooperPositives } from "../../methods/verifier/cooper.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import { tailMean } from "./decisions.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

/** Correct, in an odd format, with the phrase that the reward model falls for. */
const features = {
  "correct plain": [1, 0, 0],
  "correct odd": [1, 1, 0],
  "wrong plain": [0, 0, 0],
  "wrong hack": [0, 0, 1],
} as const;
const types = ["correct plain", "correct odd", "wrong plain", "wrong hack"] as const;
const startLogits = [-0.5, -0.5, 0.5, -1];
const bias = -1;
const groups = 8;
const groupSize = 16;

type Arm = "rule reward" | "fixed reward model" | "cooper" | "cooper, hacked negatives";
const arms: readonly Arm[] = ["rule reward", "fixed reward model", "cooper", "cooper, hacked negatives"];

const score = (weights: readonly number[], x: readonly number[]) =>
  x.reduce((sum, value, k) => sum + weights[k] * value, bias);

/** One step of the reward model on a pair per group, a rewrite against the response that the rule accepts. */
function trainModel(
  weights: number[],
  batch: { groups: readonly number[]; chosen: readonly number[] },
  hacked: number,
  random: Random,
): void {
  const { groups, chosen } = batch;
  const positives = cooperPositives({ groups: [...groups], ruleScores: chosen.map((type) => (type === 0 ? 1 : 0)) });
  const pairs = positives.map(({ index, has_positive }) => ({
    valid: has_positive,
    positive: features[types[chosen[index]]],
    negative: features[random.uniform() < hacked ? "wrong hack" : "wrong plain"],
  }));
  const { grad_positive, grad_negative } = cooperPairLoss({
    positive: pairs.map(({ positive }) => score(weights, positive)),
    negative: pairs.map(({ negative }) => score(weights, negative)),
    valid: pairs.map(({ valid }) => valid),
  });
  weights.forEach((_, k) => {
    pairs.forEach(({ positive, negative }, n) => {
      weights[k] -= 0.1 * (grad_positive[n] * positive[k] + grad_negative[n] * negative[k]);
    });
  });
}

function train(arm: Arm, seed: number, steps: number) {
  const random = new Random(seed);
  const policy = new SoftmaxTable(1, types.length, startLogits);
  const weights = [1.5, -0.3, 2.5];
  const accuracy: number[] = [];
  for (let step = 0; step < steps; step++) {
    const chosen = Array.from({ length: groups * groupSize }, () => policy.sample(0, random));
    const groupOf = chosen.map((_, i) => Math.floor(i / groupSize));
    const rollouts = chosen.map((type, i) => ({
      id: `${i}`,
      group: `${groupOf[i]}`,
      reward: type === 0 ? 1 : 0,
      signals: { rm_logit: score(weights, features[types[type]]) + 0.05 * gaussian(random) },
    }));
    const credit = assign(batchFromObjects(rollouts), arm === "rule reward" ? "grpo" : "cooper");
    const advantage = credit.numbers("rollout.advantage");
    chosen.forEach((type, i) => {
      policy.accumulate(0, type, advantage[i] / chosen.length);
    });
    policy.ascend(0.15);
    if (arm === "cooper" || arm === "cooper, hacked negatives")
      trainModel(weights, { groups: groupOf, chosen }, arm === "cooper" ? 0 : 0.3, random);
    accuracy.push(policy.probability(0, 0) + policy.probability(0, 1));
  }
  return { accuracy, hacked: policy.probability(0, 3) };
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const arm of arms) {
    const { accuracy, hacked } = train(arm, seed, scale === "full" ? 300 : 5);
    measures[`accuracy, ${arm}`] = tailMean(accuracy, 20);
    if (arm === "fixed reward model") measures["share of the hack, fixed reward model"] = hacked;
    curves[arm] = accuracy.filter((_, t) => t % 3 === 0);
  }
  return { measures, curves };
}

/** A reward model that keeps learning from what the rule accepts is not hacked; a fixed one is. */
export const experiment: Experiment = {
  id: "cooper",
  version: 1,
  claim:
    "Against a fixed reward model the policy ends with its favourite phrase and no right answers; trained along with the " +
    "policy on pairs, the same reward model leads to right answers.",
  environment:
    "Four kinds of response (right or wrong; odd format; hack phrase); a rule accepts right plain ones only. Linear " +
    "reward model that overrates the phrase. Softmax policy, 8 groups of 16, rate 0.15, reward model 0.1, 300 steps.",
  baseline: "cooper with a fixed reward model; grpo on the rule",
  seeds: 6,
  trial,
  findings: (summary) => [
    atMost(summary, "accuracy, fixed reward model", 0.05),
    atLeast(summary, "accuracy, cooper", 0.9),
    atLeast(summary, "accuracy, cooper, hacked negatives", 0.99),
    atLeast(summary, "share of the hack, fixed reward model", 0.9, { kind: "limit" }),
    atLeast(summary, "accuracy, rule reward", 0.99, { kind: "limit" }),
  ],
  plots: [
    { kind: "lines", title: "True accuracy", x: "step", y: "chance of a right answer", curves: [...arms], every: 3 },
  ],
  notes:
    "Accuracy is exact: the policy's chance of either right kind. Pairs are scored without noise. In the last arm 3 of 10 " +
    "negatives carry the hack phrase.",
};
