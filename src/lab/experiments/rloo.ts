import { cosine } from "../../operators/vectors.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atMost } from "./bounds.ts";
import type { Experiment, Trial } from "./experiment.ts";
import { distance, GradientMoments, norm } from "./gradient-moments.ts";
import { advantagesOf } from "./group-rewards.ts";

const actions = 3;
const sizes = [2, 3, 4];

/** Every group of `size` actions. */
function allGroups(size: number): number[][] {
  return Array.from({ length: actions ** size }, (_, code) =>
    Array.from({ length: size }, (_, i) => Math.floor(code / actions ** i) % actions),
  );
}

/** Exact mean, over all groups, of (1/G) Σ_i A_i ∂ log π(a_i). */
function meanGradient(policy: SoftmaxTable, reward: Float64Array, size: number, method: string, params = {}) {
  const groups = allGroups(size);
  const advantage = advantagesOf(
    method,
    groups.map((group) => group.map((a) => reward[a])),
    params,
  );
  const moments = new GradientMoments(actions);
  groups.forEach((group, g) => {
    group.forEach((a, i) => {
      policy.accumulate(0, a, advantage[g * size + i] / size);
    });
    const chance = group.reduce((product, a) => product * policy.probability(0, a), 1);
    moments.add(policy.gradient, chance);
    policy.gradient.fill(0);
  });
  return moments.mean;
}

function trial(seed: number): Trial {
  const random = new Random(seed);
  const policy = new SoftmaxTable(
    1,
    actions,
    Array.from({ length: actions }, () => gaussian(random)),
  );
  const reward = Float64Array.from({ length: actions }, () => gaussian(random));
  const value = reward.reduce((sum, r, a) => sum + r * policy.probability(0, a), 0);
  const exact = reward.map((r, a) => policy.probability(0, a) * (r - value));
  const measures: Record<string, number> = {};
  for (const size of sizes) {
    const loo = meanGradient(policy, reward, size, "rloo");
    const centred = meanGradient(policy, reward, size, "dr-grpo");
    const scaled = meanGradient(policy, reward, size, "grpo");
    measures[`rloo error, G = ${size}`] = distance(loo, exact);
    measures[`group mean error, G = ${size}`] = distance(
      centred,
      exact.map((x) => (x * (size - 1)) / size),
    );
    measures[`group mean length, G = ${size}`] = norm(centred) / norm(exact);
    measures[`grpo cosine, G = ${size}`] = cosine(scaled, exact);
  }
  return { measures };
}

/** The leave-one-out baseline is exactly unbiased; the group mean is short by (G − 1)/G; the std turns the gradient. */
export const experiment: Experiment = {
  id: "rloo",
  version: 1,
  claim:
    "Leave-one-out gives the exact policy gradient in expectation, the plain group mean exactly (G − 1)/G of it, and " +
    "division by the group's standard deviation another direction.",
  environment:
    "One softmax state with 3 actions, logits and rewards standard normal (drawn by the seed), all groups of 2, 3 " +
    "and 4 enumerated with their probabilities.",
  baseline: "dr-grpo (group mean) and grpo (with standard deviation)",
  seeds: 5,
  trial,
  findings: (summary) => [
    ...sizes.map((size) => atMost(summary, `rloo error, G = ${size}`, 1e-12, { digits: 16 })),
    ...sizes.map((size) => atMost(summary, `group mean error, G = ${size}`, 1e-12, { digits: 16 })),
    {
      expected:
        "with the standard deviation the direction differs at G = 2 (cosine below 1, 0.9976 in the card's draw)",
      measured: `${summary.text("grpo cosine, G = 2", 4)}, highest ${summary.max("grpo cosine, G = 2").toFixed(5)}`,
      holds: summary.max("grpo cosine, G = 2") < 1 - 1e-6,
      kind: "claim",
    },
  ],
  plots: [
    {
      kind: "bars",
      title: "Length of the mean gradient of the group mean, exact = 1",
      y: "ratio",
      measures: sizes.map((size) => `group mean length, G = ${size}`),
    },
    {
      kind: "bars",
      title: "Cosine of GRPO's mean gradient with the exact one",
      y: "cosine",
      measures: sizes.map((size) => `grpo cosine, G = ${size}`),
    },
  ],
  notes: "Exact for every draw of policy and rewards; the card does not give its draw.",
};
