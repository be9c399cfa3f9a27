import { assign } from "../../methods/assign.ts";
import { lareFitLinear } from "../../methods/redistribution/lare.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const length = 20;
const raw = 40;
const fitted = 60;
const ridge = 0.001;

/** What an episode consists of: raw features of every step and the reward that nobody sees. */
interface Episode {
  features: number[][];
  rewards: number[];
  seen: number;
}

type Factors = (o: readonly number[]) => number[];

function sample(reward: (o: readonly number[]) => number, noise: number, random: Random): Episode {
  const features = Array.from({ length }, () => Array.from({ length: raw }, () => gaussian(random)));
  const rewards = features.map(reward);
  const sum = rewards.reduce((total, r) => total + r, 0);
  return { features, rewards, seen: sum + (noise === 0 ? 0 : noise * gaussian(random)) };
}

function correlation(a: ArrayLike<number>, b: readonly number[]): number {
  const mean = (v: ArrayLike<number>) => Array.from(v).reduce((sum, x) => sum + x, 0) / v.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  b.forEach((y, k) => {
    ab += (a[k] - ma) * (y - mb);
    aa += (a[k] - ma) ** 2;
    bb += (y - mb) ** 2;
  });
  return ab / Math.sqrt(aa * bb);
}

/** Fits a linear decoder to the returns and compares its proxy rewards with the true rewards of fresh episodes. */
function score(known: readonly Episode[], fresh: readonly Episode[], factors: Factors): number {
  const { weights, bias } = lareFitLinear({
    latents: known.map(({ features }) => features.map(factors)),
    lengths: known.map(() => length),
    returns: known.map(({ seen }) => seen),
    ridge,
  });
  const end = Array.from({ length }, (_, t) => t + 1);
  const rollouts = fresh.map(({ features, seen }, i) => {
    const rows = features.map(factors);
    const latents = weights.map((_, k) => [`latent_${k}`, rows.map((row) => row[k])]);
    return { id: `r${i}`, reward: seen, tokens: { id: end }, turns: { end, ...Object.fromEntries(latents) } };
  });
  const decoder = { weights: [weights.map((w) => [w])], biases: [[bias]] };
  const proxy = assign(batchFromObjects(rollouts), "lare", { decoder }).numbers("turns.proxy_reward");
  return correlation(
    proxy,
    fresh.flatMap(({ rewards }) => rewards),
  );
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const all: Factors = (o) => [...o];
  const episodes = (count: number, reward: (o: readonly number[]) => number, noise: number) =>
    Array.from({ length: count }, () => sample(reward, noise, random));
  const fresh = scale === "full" ? 200 : 20;
  const curved = (o: readonly number[]) => 1.5 * Math.tanh(o[0]) - Math.abs(o[1]);
  const [known, test] = [episodes(fitted, curved, 0), episodes(fresh, curved, 0)];
  const measures: Record<string, number> = {
    "two factors": score(known, test, (o) => [Math.tanh(o[0]), Math.abs(o[1])]),
    "40 raw features": score(known, test, all),
  };
  const linear = (o: readonly number[]) => o[0] - 0.5 * o[1];
  const [noisy, other] = [episodes(fitted, linear, 2), episodes(fresh, linear, 0)];
  measures["linear and noisy, 2 factors"] = score(noisy, other, (o) => o.slice(0, 2));
  measures["linear and noisy, 2 + 20 factors"] = score(noisy, other, (o) => o.slice(0, 22));
  measures["linear and noisy, 40 factors"] = score(noisy, other, all);
  return { measures };
}

/** A few factors that mean something let the return be decomposed; many raw features do not. */
export const experiment: Experiment = {
  id: "lare",
  version: 1,
  claim:
    "With two fitting factors per step, 60 episode returns are enough to recover the reward of every step; with the " +
    "40 raw features they are not.",
  environment:
    "60 episodes of 20 steps with 40 standard normal features; the step reward 1.5 tanh(o0) − |o1| is hidden, only " +
    "the return is seen. Linear decoder, ridge 0.001; correlation of proxy and true reward on 200 fresh episodes.",
  baseline: "the same fit on the raw features",
  seeds: 10,
  trial,
  findings: (summary) => {
    const linear = ["2 factors", "2 + 20 factors", "40 factors"].map((name) => `linear and noisy, ${name}`);
    const [two, more, all] = linear.map((name) => summary.mean(name));
    return [
      atLeast(summary, "two factors", 0.99, { digits: 4 }),
      atMost(summary, "40 raw features", 0.75),
      {
        expected:
          "linear reward, return with noise 2: fewer factors are better (0.99 with 2, 0.95 with 22, 0.88 with 40)",
        measured: linear.map((name) => summary.text(name, 3)).join(", "),
        holds: two > more && more > all,
        kind: "claim",
      },
    ];
  },
  plots: [
    {
      kind: "bars",
      title: "Correlation of proxy reward and true reward",
      y: "correlation",
      measures: [
        "two factors",
        "40 raw features",
        "linear and noisy, 2 factors",
        "linear and noisy, 2 + 20 factors",
        "linear and noisy, 40 factors",
      ],
    },
  ],
  notes: "The 20 redundant factors of the linear variant are further raw features.",
};
