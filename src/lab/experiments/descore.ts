import { pairAccuracy } from "../../methods/judge/descore.ts";
import { bradleyTerry } from "../../methods/shaping/dense-sources.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { atLeast } from "./bounds.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";
import { GradientMoments, norm } from "./gradient-moments.ts";
import { advantagesOf } from "./group-rewards.ts";

const width = 6;
const [updates, batchSize, rate] = [1500, 64, 0.2];
const wrongShare = 0.6;

/** Features of an item: what is seen of it, and the verdict of the thought; and its quality, which decides pairs. */
interface Item {
  quality: number;
  seen: number[];
}

function itemOf(direction: readonly number[], random: Random): Item {
  const quality = gaussian(random);
  return { quality, seen: direction.map((u) => quality * u + 0.5 * gaussian(random)) };
}

/** Input of the head: the features, then the verdict (0 when the thought is left out). */
const inputOf = ({ seen }: Item, verdict: number) => [...seen, verdict];
const scoreOf = (head: Float64Array, input: readonly number[]) => input.reduce((sum, x, k) => sum + head[k] * x, 0);

/** A pair, the better item first. */
function pairOf(direction: readonly number[], random: Random): [Item, Item] {
  const [a, b] = [itemOf(direction, random), itemOf(direction, random)];
  return a.quality >= b.quality ? [a, b] : [b, a];
}

/** A head trained on pairs from which both thoughts are left out with this probability. */
function train(masked: number, steps: number, direction: readonly number[], random: Random): Float64Array {
  const head = new Float64Array(width + 1);
  for (let step = 0; step < steps; step++) {
    const pairs = Array.from({ length: batchSize }, () => {
      const hasThought = random.uniform() >= masked ? 1 : 0;
      return pairOf(direction, random).map((item) => inputOf(item, hasThought * item.quality));
    });
    const [chosen, rejected] = [0, 1].map((side) => pairs.map((pair) => scoreOf(head, pair[side])));
    const { gradChosen, gradRejected } = bradleyTerry({ chosen, rejected });
    pairs.forEach(([good, bad], k) => {
      for (let i = 0; i <= width; i++) head[i] -= rate * (gradChosen[k] * good[i] + gradRejected[k] * bad[i]);
    });
  }
  return head;
}

/** Accuracy on fresh pairs when a share of the items has the verdict of another item. */
function accuracy(head: Float64Array, wrong: number, count: number, direction: readonly number[], random: Random) {
  const score = (item: Item) => {
    const verdict = random.uniform() < wrong ? gaussian(random) : item.quality;
    return scoreOf(head, inputOf(item, verdict));
  };
  const pairs = Array.from({ length: count }, () => pairOf(direction, random).map(score));
  const { right, total } = pairAccuracy({
    reward_a: pairs.map(([good]) => good),
    reward_b: pairs.map(([, bad]) => bad),
    labels: pairs.map(() => "A"),
  });
  return right / total;
}

/** Variance over squared mean of the gradients that came in. */
const relative = (moments: GradientMoments) => moments.variance / norm(moments.mean) ** 2;

/** How much noisier a policy gradient with sampled scores is than the direct pair loss, at the untrained head. */
function noiseRatio(samples: number, count: number, direction: readonly number[], random: Random): number {
  const direct = new GradientMoments(width + 1);
  const sampled = new GradientMoments(width + 1);
  const pairs = Array.from({ length: count }, () =>
    pairOf(direction, random).map((item) => inputOf(item, item.quality)),
  );
  const noise = pairs.map(() => [0, 1].map(() => Array.from({ length: samples }, () => gaussian(random))));
  // Both items of a pair are paid for each pair of samples that they are ordered rightly in.
  const groups = noise.flatMap(([good, bad]) => {
    const right = good.map((x, j) => (x > bad[j] ? 1 : 0));
    return [right, right];
  });
  const advantage = advantagesOf("grpo", groups);
  const { gradChosen } = bradleyTerry({ chosen: pairs.map(() => 0), rejected: pairs.map(() => 0) });
  pairs.forEach(([good, bad], k) => {
    const scale = -gradChosen[k] * count;
    direct.add(good.map((x, i) => scale * (x - bad[i])));
    const weights = [0, 1].map((side) =>
      noise[k][side].reduce((sum, x, j) => sum + (advantage[(2 * k + side) * samples + j] * x) / samples, 0),
    );
    sampled.add(good.map((x, i) => weights[0] * x + weights[1] * bad[i]));
  });
  return relative(sampled) / relative(direct);
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const full = scale === "full";
  const drawn = Array.from({ length: width }, () => gaussian(random));
  const length = Math.hypot(...drawn);
  const direction = drawn.map((x) => x / length);
  const measures: Record<string, number> = {};
  const count = full ? 4000 : 200;
  for (const [name, masked] of [["masked half the time", 0.5] as const, ["never masked", 0] as const]) {
    const head = train(masked, full ? updates : 50, direction, random);
    const seen = direction.reduce((sum, u, k) => sum + u * head[k], 0);
    measures[`${name}, weight of the verdict`] = head[width] / seen;
    measures[`${name}, 60 % wrong verdicts`] = accuracy(head, wrongShare, count, direction, random);
    measures[`${name}, clean verdicts`] = accuracy(head, 0, count, direction, random);
  }
  for (const samples of [4, 8])
    measures[`noise ratio, ${samples} samples`] = noiseRatio(samples, count, direction, random);
  return { measures };
}

function gap(summary: Summary, what: string): number {
  return summary.mean(`masked half the time, ${what}`) - summary.mean(`never masked, ${what}`);
}

const both = (summary: Summary, what: string) =>
  `${summary.text(`masked half the time, ${what}`, 3)} against ${summary.text(`never masked, ${what}`, 3)}`;

/**
 * Leaving the thought out now and then keeps the score from leaning on it; scoring directly is less noisy than
 * sampling.
 */
export const experiment: Experiment = {
  id: "descore",
  version: 1,
  claim:
    "A head that has to score without the thought half the time leans less on its verdict and withstands wrong ones " +
    "better; its direct pair loss has a less noisy gradient than a policy gradient on sampled scores.",
  environment:
    "Items with quality N(0, 1), 6 noisy features and a verdict that tells the quality; linear head, Bradley-Terry " +
    "on pairs, 1500 updates of 64, rate 0.2; tested with 60 % of the verdicts from other items.",
  baseline: "the head that always sees the thought; group-normalised rewards of 4 sampled scores per item",
  seeds: 5,
  trial,
  findings: (summary) => [
    {
      expected: "weight of the verdict over that of the features: at most half with masking (2.7 against 13.2)",
      measured: both(summary, "weight of the verdict"),
      holds:
        summary.mean("masked half the time, weight of the verdict") <=
        summary.mean("never masked, weight of the verdict") / 2,
      kind: "claim",
    },
    {
      expected: "60 % wrong verdicts: accuracy higher by at least 0.03 with masking (0.735 against 0.678)",
      measured: both(summary, "60 % wrong verdicts"),
      holds: gap(summary, "60 % wrong verdicts") >= 0.03,
      kind: "claim",
    },
    {
      expected: "clean verdicts: accuracy lower by at most 0.05 (0.958 against 0.989)",
      measured: both(summary, "clean verdicts"),
      holds: gap(summary, "clean verdicts") >= -0.05,
      kind: "claim",
    },
    atLeast(summary, "noise ratio, 4 samples", 1.7, { over: "mean" }),
    {
      expected: "with 8 samples the difference is smaller (1.3)",
      measured: summary.text("noise ratio, 8 samples", 2),
      holds: summary.mean("noise ratio, 8 samples") < summary.mean("noise ratio, 4 samples"),
      kind: "limit",
    },
  ],
  plots: [
    {
      kind: "bars",
      title: "Accuracy on fresh pairs",
      y: "accuracy",
      measures: ["60 % wrong verdicts", "clean verdicts"].flatMap((what) =>
        ["masked half the time", "never masked"].map((name) => `${name}, ${what}`),
      ),
    },
  ],
  notes:
    "The noise of both gradients is measured per pair at the untrained head (all weights 0), sampled scores having " +
    "unit noise; the reward of a sample is whether its pair of samples is in the right order.",
};
