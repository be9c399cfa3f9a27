import { assign } from "../../methods/assign.ts";
import { probabilityReward } from "../../methods/likelihood/rlpr.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { against, atLeast } from "./bounds.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const aggregators = ["mean_prob", "seq_prob", "geo_prob"] as const;
type Aggregator = (typeof aggregators)[number];
const answerTokens = 6;
const prompts = 4;
const groupSize = 8;
/** Two logits move apart twice as fast as one logit does: half the rate of 0.05. */
const rate = 0.025;

/** Log-probabilities of a reference answer after good or bad reasoning; one token is worded differently by chance. */
function answer(good: boolean, random: Random): number[] {
  const odd = random.below(answerTokens);
  return Array.from({ length: answerTokens }, (_, t) => {
    const content = (good ? 0.8 : 0.4) + 0.08 * gaussian(random);
    const p = t === odd ? 10 ** (-4 + 3.7 * random.uniform()) : content;
    return Math.log(Math.min(Math.max(p, 1e-6), 1));
  });
}

/** Chance that a good answer scores higher than a bad one, ties counting half. */
function auc(good: readonly number[], bad: readonly number[]): number {
  let wins = 0;
  for (const g of good) for (const b of bad) wins += g > b ? 1 : g === b ? 0.5 : 0;
  return wins / (good.length * bad.length);
}

/** P(good), the mean over prompts, before every update and at the end. */
function train(aggregator: Aggregator, seed: number, updates: number): number[] {
  const random = new Random(seed);
  const policy = new SoftmaxTable(prompts, 2);
  for (let row = 0; row < prompts; row++) policy.logits[2 * row] = Math.log(0.27 / 0.73);
  policy.changed();
  const mean = () => {
    let sum = 0;
    for (let row = 0; row < prompts; row++) sum += policy.probability(row, 0);
    return sum / prompts;
  };
  const curve = [mean()];
  for (let update = 0; update < updates; update++) {
    const samples = Array.from({ length: prompts * groupSize }, (_, i) => {
      const row = Math.floor(i / groupSize);
      const action = policy.sample(row, random);
      return { row, action, logprob: answer(action === 0, random) };
    });
    const rollouts = samples.map(({ row, action, logprob }, i) => ({
      id: `r${i}`,
      group: `g${row}`,
      tokens: { id: [action] },
      reference: { logprob },
    }));
    const advantage = assign(batchFromObjects(rollouts), "rlpr", { aggregator }).numbers("rollout.advantage");
    samples.forEach(({ row, action }, i) => {
      policy.accumulate(row, action, advantage[i] / groupSize);
    });
    policy.ascend(rate);
    curve.push(mean());
  }
  return curve;
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const count = scale === "full" ? 300 : 30;
  const [good, bad] = [true, false].map((isGood) => Array.from({ length: count }, () => answer(isGood, random)));
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const aggregator of aggregators) {
    const score = (logprobs: number[]) => probabilityReward({ logprobs, aggregator });
    measures[`AUC, ${aggregator}`] = auc(good.map(score), bad.map(score));
  }
  for (const aggregator of ["mean_prob", "seq_prob"] as const) {
    const curve = train(aggregator, seed, scale === "full" ? 150 : 10);
    measures[`P(good) after training, ${aggregator}`] = curve[curve.length - 1];
    curves[aggregator] = curve;
  }
  return { measures, curves };
}

function gap(summary: Summary, what: string, other: Aggregator, bound: number) {
  const difference = summary.mean(`${what}, mean_prob`) - summary.mean(`${what}, ${other}`);
  return {
    expected: `${what}: mean_prob beats ${other} by at least ${bound}`,
    measured: `${against(summary, `${what}, mean_prob`, `${what}, ${other}`)}`,
    holds: difference >= bound,
    kind: "claim" as const,
  };
}

/** The mean of token probabilities is not spoiled by one token that could have been worded differently. */
export const experiment: Experiment = {
  id: "rlpr",
  version: 1,
  claim:
    "The mean token probability of the reference tells good from bad reasoning better than the product, and trains " +
    "better.",
  environment:
    "Reference answers of 6 tokens, probability 0.8 ± 0.08 after good and 0.4 ± 0.08 after bad reasoning, one random " +
    "token 10^U(-4, -0.3). 300 + 300 answers; a bandit with 4 prompts, P(good) 0.27, G = 8, rate 0.05, 150 updates.",
  baseline: "rlpr with aggregator seq_prob (and geo_prob)",
  seeds: 5,
  trial,
  findings: (summary) => [
    gap(summary, "AUC", "seq_prob", 0.1),
    gap(summary, "AUC", "geo_prob", 0.1),
    gap(summary, "P(good) after training", "seq_prob", 0.15),
    atLeast(summary, "AUC, mean_prob", 0.99, { over: "mean", kind: "limit" }),
  ],
  plots: [
    { kind: "lines", title: "P(good reasoning)", x: "update", y: "probability", curves: ["mean_prob", "seq_prob"] },
    { kind: "bars", title: "AUC of good against bad", y: "AUC", measures: aggregators.map((a) => `AUC, ${a}`) },
  ],
};
