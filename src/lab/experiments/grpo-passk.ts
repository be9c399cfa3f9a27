import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";
import { advantagesOf } from "./group-rewards.ts";

const prompts = 8;
const size = 4;
const updates = 400;
const rate = 0.5;
/** Share of prompts that arm 0 solves; arm 1 solves the others. */
const firstType = 0.6;

/** Exact chance that at least one of k answers is right, over both types of prompts. */
function passAt(k: number, policy: SoftmaxTable): number {
  const p = policy.probability(0, 0);
  return firstType * (1 - (1 - p) ** k) + (1 - firstType) * (1 - p ** k);
}

function train(method: string, params: object, count: number, seed: number): SoftmaxTable[] {
  const random = new Random(seed);
  const policy = new SoftmaxTable(1, 2);
  return Array.from({ length: count }, () => {
    const right = Array.from({ length: prompts }, () => (random.uniform() < firstType ? 0 : 1));
    const arms = right.map(() => Array.from({ length: size }, () => policy.sample(0, random)));
    const rewards = arms.map((group, g) => group.map((arm) => (arm === right[g] ? 1 : 0)));
    const advantage = advantagesOf(method, rewards, { ...params });
    arms.flat().forEach((arm, i) => {
      policy.accumulate(0, arm, advantage[i] / (prompts * size));
    });
    policy.ascend(rate);
    return policy.copy();
  });
}

const arms = {
  rloo: { method: "rloo", params: {} },
  "pass@k": { method: "grpo-passk", params: {} },
  "pass@k, no std": { method: "grpo-passk", params: { norm_by_std: false } },
};

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const [name, { method, params }] of Object.entries(arms)) {
    const policies = train(method, params, scale === "full" ? updates : 40, seed);
    const last = policies[policies.length - 1];
    measures[`${name}: pass@1`] = passAt(1, last);
    measures[`${name}: pass@4`] = passAt(4, last);
    curves[name] = policies.filter((_, t) => t % 4 === 0).map((policy) => passAt(4, policy));
  }
  return { measures, curves };
}

/** Training for the best of k keeps both answers alive; training for the mean keeps one. */
export const experiment: Experiment = {
  id: "grpo-passk",
  version: 1,
  claim: "Training on the mean ends with one arm; training on the best of k keeps both, at a price in pass@1.",
  environment:
    "Two arms, two hidden types of prompts: arm 1 solves 60 %, arm 2 the other 40 %. Softmax policy, 8 groups of 4, " +
    "400 updates of rate 0.5.",
  baseline: "rloo",
  seeds: 7,
  trial,
  findings: (summary) => [
    atLeast(summary, "pass@k: pass@4", 0.9),
    atMost(summary, "pass@k: pass@1", 0.55),
    {
      expected: "the mean ends on one arm: pass@1 about 0.60 and pass@4 about 0.62 (each within 0.02)",
      measured: `${summary.text("rloo: pass@1", 3)} and ${summary.text("rloo: pass@4", 3)}`,
      holds:
        Math.abs(summary.mean("rloo: pass@1") - 0.6) <= 0.02 && Math.abs(summary.mean("rloo: pass@4") - 0.62) <= 0.02,
      kind: "claim",
    },
    atLeast(summary, "pass@k, no std: pass@4", 0.9, { kind: "limit" }),
  ],
  plots: [
    {
      kind: "lines",
      title: "pass@4 while training",
      x: "update",
      y: "exact pass@4",
      curves: Object.keys(arms),
      every: 4,
    },
  ],
  notes:
    "The card gives no learning rate; 0.5, used for all arms, is the one at which the mean ends near the card's " +
    "0.597. k is the group size.",
};
