import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";
import { GradientMoments } from "./gradient-moments.ts";

const size = 8;
const lengths = [2, 20];
const groupsPerBatch = 500;
const dimensions = 16;
const cases = {
  "long right": [0.2, 0.8],
  "short right": [0.8, 0.2],
  "no correlation": [0.5, 0.5],
};

/** A vector of random direction whose squared length is that of the response. */
function score(length: number, random: Random): Float64Array {
  const direction = Float64Array.from({ length: dimensions }, () => gaussian(random));
  const squared = direction.reduce((sum, x) => sum + x * x, 0);
  return direction.map((x) => x * Math.sqrt(length / squared));
}

/** Variance of (1/G) Σ A_i s_i under both baselines, on the same responses. */
function variances(success: readonly number[], batches: number, random: Random): Record<"opo" | "dr-grpo", number> {
  const moments = { opo: new GradientMoments(dimensions), "dr-grpo": new GradientMoments(dimensions) };
  for (let b = 0; b < batches; b++) {
    const rollouts = Array.from({ length: groupsPerBatch * size }, (_, i) => {
      const kind = random.below(2);
      return {
        id: `${i}`,
        group: `${Math.floor(i / size)}`,
        reward: random.uniform() < success[kind] ? 1 : 0,
        tokens: { id: new Array<number>(lengths[kind]).fill(0) },
      };
    });
    const scores = rollouts.map(({ tokens }) => score(tokens.id.length, random));
    const batch = batchFromObjects(rollouts);
    for (const method of ["opo", "dr-grpo"] as const) {
      const advantage = assign(batch, method).numbers("rollout.advantage");
      for (let g = 0; g < groupsPerBatch; g++) {
        const gradient = new Float64Array(dimensions);
        for (let i = g * size; i < (g + 1) * size; i++)
          for (let k = 0; k < dimensions; k++) gradient[k] += (advantage[i] * scores[i][k]) / size;
        moments[method].add(gradient);
      }
    }
  }
  return { opo: moments.opo.variance, "dr-grpo": moments["dr-grpo"].variance };
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const measures: Record<string, number> = {};
  for (const [name, success] of Object.entries(cases)) {
    const variance = variances(success, scale === "full" ? 12 : 1, random);
    measures[`${name}: opo`] = variance.opo;
    measures[`${name}: mean`] = variance["dr-grpo"];
    measures[`${name}: ratio`] = variance.opo / variance["dr-grpo"];
  }
  return { measures };
}

/** Lengths as weights of the baseline: less variance when length and reward go together. */
export const experiment: Experiment = {
  id: "opo",
  version: 1,
  claim: "The length-weighted baseline has less gradient variance than the group mean when responses differ in length.",
  environment:
    "Responses of 2 or 20 tokens with equal chance, scores of random direction with squared length equal to the " +
    "number of tokens, groups of 8, 6000 groups per case and seed. Right with 0.8 or 0.2 by length. Nothing is " +
    "trained.",
  baseline: "dr-grpo (group mean)",
  seeds: 3,
  trial,
  findings: (summary) => [
    atMost(summary, "long right: ratio", 0.8),
    atMost(summary, "short right: ratio", 0.8),
    {
      expected: "without any correlation the gain is smaller (0.91 in the card)",
      measured: `${summary.text("no correlation: ratio", 3)} against ${summary.text("long right: ratio", 3)}`,
      holds:
        summary.mean("no correlation: ratio") < 1 &&
        summary.mean("no correlation: ratio") > summary.mean("long right: ratio"),
      kind: "limit",
    },
  ],
  plots: [
    {
      kind: "bars",
      title: "Variance of the group gradient",
      y: "variance",
      measures: Object.keys(cases).flatMap((name) => [`${name}: mean`, `${name}: opo`]),
    },
  ],
  notes:
    "The card leaves the chance of a long response (here one half) and the dimension of the scores (here 16) open.",
};
