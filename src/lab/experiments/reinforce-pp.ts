import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const prompts = 16;
const updates = 300;
const rate = 0.3;
const risky = 1;
const sizes = [2, 4, 8];

/** The safe arm pays 1, the risky one 10 with probability 0.3. */
function pay(arm: number, random: Random): number {
  if (arm !== risky) return 1;
  return random.uniform() < 0.3 ? 10 : 0;
}

/** Chance of the risky arm after every update. */
function train(method: string, params: object, size: number, count: number, seed: number): number[] {
  const random = new Random(seed);
  const policy = new SoftmaxTable(1, 2);
  return Array.from({ length: count }, () => {
    const arms = Array.from({ length: prompts * size }, () => policy.sample(0, random));
    const rollouts = arms.map((arm, i) => ({
      id: `${i}`,
      group: `${Math.floor(i / size)}`,
      reward: pay(arm, random),
      tokens: { id: [arm] },
    }));
    const advantage = assign(batchFromObjects(rollouts), method, { ...params }).numbers("tokens.advantage");
    arms.forEach((arm, i) => {
      policy.accumulate(0, arm, advantage[i] / arms.length);
    });
    policy.ascend(rate);
    return policy.probability(0, risky);
  });
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  const count = scale === "full" ? updates : 30;
  for (const size of sizes) {
    const grpo = train("grpo", {}, size, count, seed);
    const whole = train("reinforce-pp", { baseline: "group_mean" }, size, count, seed);
    measures[`grpo, G = ${size}`] = grpo[count - 1];
    measures[`reinforce-pp, G = ${size}`] = whole[count - 1];
    if (size === 2) Object.assign(curves, { grpo, "reinforce-pp": whole });
  }
  return { measures, curves: thinned(curves) };
}

/** Every second point. */
function thinned(curves: Record<string, number[]>): Record<string, number[]> {
  return Object.fromEntries(Object.entries(curves).map(([name, curve]) => [name, curve.filter((_, t) => t % 2 === 0)]));
}

/** Normalising over the whole batch keeps the size of rewards; normalising pairs keeps only who won. */
export const experiment: Experiment = {
  id: "reinforce-pp",
  version: 1,
  claim:
    "GRPO with pairs only sees who wins a comparison and learns the safe arm; the group mean as baseline with one " +
    "normalisation over the batch learns the arm that pays more.",
  environment:
    "Two arms: one pays 1, the other 10 with probability 0.3. Softmax policy, 16 groups, 300 updates of rate 0.3. " +
    "Measured is the chance of the risky, better arm at the end.",
  baseline: "grpo",
  seeds: 5,
  trial,
  findings: (summary) => [
    {
      expected: "G = 2: GRPO ends below 0.05 on the risky arm in every seed",
      measured: `${summary.text("grpo, G = 2", 3)}, highest ${summary.max("grpo, G = 2").toFixed(3)}`,
      holds: summary.max("grpo, G = 2") < 0.05,
      kind: "claim",
    },
    {
      expected: "G = 2: group_mean with global normalisation ends above 0.95 in every seed",
      measured: `${summary.text("reinforce-pp, G = 2", 3)}, lowest ${summary.min("reinforce-pp, G = 2").toFixed(3)}`,
      holds: summary.min("reinforce-pp, G = 2") > 0.95,
      kind: "claim",
    },
    {
      expected: "the same at G = 4",
      measured: `${summary.text("grpo, G = 4", 3)} against ${summary.text("reinforce-pp, G = 4", 3)}`,
      holds: summary.max("grpo, G = 4") < 0.05 && summary.min("reinforce-pp, G = 4") > 0.95,
      kind: "claim",
    },
    {
      expected: "at G = 8 GRPO still fails in some seeds",
      measured: `below 0.5 in ${(100 * summary.share((m) => m["grpo, G = 8"] < 0.5)).toFixed(0)} % of the seeds`,
      holds: summary.min("grpo, G = 8") < 0.5,
      kind: "limit",
    },
  ],
  plots: [
    {
      kind: "lines",
      title: "Chance of the better arm while training, G = 2",
      x: "update",
      y: "probability",
      curves: ["grpo", "reinforce-pp"],
      every: 2,
    },
  ],
  notes: "The gradient is the mean over the rollouts of an update; the policy starts uniform.",
};
