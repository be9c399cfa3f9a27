import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const flips = 20;
const lambdas = [0, 0.5, 0.9, 0.95, 1];
const noise = 0.3;

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** Exact value by flips made and heads among them. */
function exactValues(): number[][] {
  const values: number[][] = [];
  values[flips] = Array.from({ length: flips + 1 }, (_, heads) => sigmoid(heads - 10));
  for (let t = flips - 1; t >= 0; t--)
    values[t] = Array.from({ length: t + 1 }, (_, heads) => (values[t + 1][heads] + values[t + 1][heads + 1]) / 2);
  return values;
}

const exact = exactValues();

/** Mean squared error of the unwhitened estimate, by λ, for a critic. */
function errors(paths: readonly number[][], rewards: readonly number[], critic: number[][]): number[] {
  const batch = batchFromObjects(
    paths.map((heads, i) => ({
      id: `${i}`,
      reward: rewards[i],
      tokens: {
        id: Array.from({ length: flips }, (_, t) => heads[t + 1] - heads[t]),
        value: Array.from({ length: flips }, (_, t) => critic[t][heads[t]]),
      },
    })),
  );
  return lambdas.map((lam) => {
    const advantage = assign(batch, "gae", { lam, whiten_advantage: false }).numbers("tokens.advantage");
    let sum = 0;
    paths.forEach((heads, i) => {
      for (let t = 0; t < flips; t++) {
        const truth = exact[t + 1][heads[t + 1]] - exact[t][heads[t]];
        sum += (advantage[i * flips + t] - truth) ** 2;
      }
    });
    return sum / (paths.length * flips);
  });
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const paths = Array.from({ length: scale === "full" ? 400 : 100 }, () => {
    const heads = [0];
    for (let t = 0; t < flips; t++) heads.push(heads[t] + random.below(2));
    return heads;
  });
  const rewards = paths.map((heads) => (random.uniform() < exact[flips][heads[flips]] ? 1 : 0));
  const noisy = exact.map((row) => row.map((value) => value + noise * gaussian(random)));
  const measures: Record<string, number> = {};
  errors(paths, rewards, exact).forEach((error, k) => {
    measures[`exact critic, λ = ${lambdas[k]}`] = error;
  });
  errors(paths, rewards, noisy).forEach((error, k) => {
    measures[`noisy critic, λ = ${lambdas[k]}`] = error;
  });
  return { measures };
}

const means = (summary: Summary, critic: string) => lambdas.map((lam) => summary.mean(`${critic} critic, λ = ${lam}`));
const shown = (numbers: number[]) => numbers.map((x) => x.toFixed(3)).join(" / ");

/** λ is a dial between the bias of the critic and the variance of what follows. */
export const experiment: Experiment = {
  id: "gae",
  version: 1,
  claim:
    "With an exact critic the error of the advantage grows with λ; with a noisy one the best λ lies inside (0, 1).",
  environment:
    "20 fair coin flips, then reward 1 with probability sigmoid(heads − 10); the true advantage of every flip is " +
    "known. Mean squared error of the unwhitened estimate over 400 episodes; noise of the critic 0.3 per state.",
  baseline: "λ = 0 and λ = 1",
  seeds: 5,
  trial,
  findings: (summary) => {
    const sharp = means(summary, "exact");
    const blurred = means(summary, "noisy");
    const best = blurred.indexOf(Math.min(...blurred));
    return [
      {
        expected: "exact critic: the error grows with λ (card: 0.007 / 0.011 / 0.055 / 0.093 / 0.196)",
        measured: shown(sharp),
        holds: sharp.every((error, k) => k === 0 || error > sharp[k - 1]),
        kind: "claim",
      },
      {
        expected: "noisy critic: the best λ is inside (card: 0.164 / 0.121 / 0.142 / 0.177 / 0.279)",
        measured: `${shown(blurred)}, best at λ = ${lambdas[best]}`,
        holds: best > 0 && best < lambdas.length - 1,
        kind: "claim",
      },
    ];
  },
  plots: ["exact", "noisy"].map((critic) => ({
    kind: "bars",
    title: `Mean squared error, ${critic} critic`,
    y: "squared error",
    measures: lambdas.map((lam) => `${critic} critic, λ = ${lam}`),
  })),
  notes:
    "The outcome is drawn (1 with that probability): with the probability itself as reward the exact critic has no " +
    "error at λ = 0, which is not what the card measured. The noise is one number per state (flips, heads) and seed.",
};
