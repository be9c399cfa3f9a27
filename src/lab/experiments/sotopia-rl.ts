import { assign } from "../../methods/assign.ts";
import { pearson } from "../../operators/ranking.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const kinds = 12;
const utterances = 8;
const dimensions = ["goal", "relationship", "knowledge"];
const attributions = ["direct", "uniform", "discount"] as const;
type Attribution = (typeof attributions)[number];

const clamp = (x: number, most: number) => Math.min(Math.max(x, 0), most);

/** Correlations of the targets with the truth, per utterance and per kind of utterance. */
function correlations(seed: number, episodes: number, judgeNoise: number, attribution: Attribution) {
  const random = new Random(seed);
  const value = Array.from({ length: kinds }, () => dimensions.map(() => random.uniform()));
  const spoken: number[] = [];
  const rollouts = Array.from({ length: episodes }, (_, i) => {
    const kind = Array.from({ length: utterances }, () => random.below(kinds));
    spoken.push(...kind);
    const score = dimensions.map((_, d) =>
      clamp((10 * kind.reduce((sum, k) => sum + value[k][d], 0)) / utterances + 0.7 * gaussian(random), 10),
    );
    const judged = dimensions.map((_, d) =>
      kind.map((k) => clamp(Math.round(3 * value[k][d] + judgeNoise * gaussian(random)), 3)),
    );
    return {
      id: `r${i}`,
      rewards: Object.fromEntries(dimensions.map((name, d) => [name, score[d]])),
      turns: Object.fromEntries(dimensions.map((name, d) => [`attribution_${name}`, judged[d]])),
    };
  });
  const target = assign(batchFromObjects(rollouts), "sotopia-rl", { attribution }).numbers("turns.reward");
  const truth = value.map((row) => row.reduce((a, b) => a + b, 0) / dimensions.length);
  const sum = new Float64Array(kinds);
  const count = new Float64Array(kinds);
  spoken.forEach((k, row) => {
    sum[k] += target[row];
    count[k]++;
  });
  const met = truth.map((_, k) => k).filter((k) => count[k] > 0);
  return {
    utterance:
      pearson(
        target,
        Float64Array.from(spoken, (k) => truth[k]),
      ) ?? 0,
    kind:
      pearson(
        met.map((k) => sum[k] / count[k]),
        met.map((k) => truth[k]),
      ) ?? 0,
  };
}

function trial(seed: number, scale: Scale): Trial {
  const many = scale === "full" ? 200 : 30;
  const measures: Record<string, number> = {};
  for (const attribution of attributions) {
    measures[`utterances, ${attribution}`] = correlations(seed, many, 0.8, attribution).utterance;
    measures[`kinds after 20 episodes, ${attribution}`] = correlations(seed, 20, 0.8, attribution).kind;
  }
  measures["utterances, direct, judge of noise"] = correlations(seed, many, 5, "direct").utterance;
  measures["direct with a judge of noise minus uniform"] =
    measures["utterances, direct, judge of noise"] - measures["utterances, uniform"];
  return { measures };
}

/** Shares of an episode's score by a judge's importance tell more of an utterance than copies of the score. */
export const experiment: Experiment = {
  id: "sotopia-rl",
  version: 1,
  claim: "Attributed targets carry more information about a single utterance than copies of the episode score.",
  environment:
    "12 kinds of utterances with hidden values in 3 dimensions; episodes of 8, score 10 times the mean value plus " +
    "N(0, 0.7²); the judge says round(3 value + N(0, 0.8²)). 200 episodes per utterance, 20 per kind; correlation " +
    "with the true value.",
  baseline: "sotopia-rl with attribution uniform and discount",
  seeds: 10,
  trial,
  findings: (summary) => [
    atLeast(summary, "utterances, direct", 0.6, { over: "mean" }),
    atMost(summary, "utterances, uniform", 0.4, { over: "mean" }),
    atMost(summary, "utterances, discount", 0.25, { over: "mean" }),
    atLeast(summary, "kinds after 20 episodes, direct", 0.9, { over: "mean" }),
    atMost(summary, "kinds after 20 episodes, uniform", 0.85, { over: "mean" }),
    atMost(summary, "direct with a judge of noise minus uniform", 0, { over: "mean" }),
  ],
  plots: [
    {
      kind: "bars",
      title: "Correlation of targets with the true value of utterances",
      y: "correlation",
      measures: [...attributions.map((name) => `utterances, ${name}`), "utterances, direct, judge of noise"],
    },
  ],
};
