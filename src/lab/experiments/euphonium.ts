import { assign } from "../../methods/assign.ts";
import { rewardGuidedStep } from "../../methods/diffusion/euphonium.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";
import { CorrectedFlow, type Point, rewardOf, sigmas, steps } from "./mixture-flow.ts";

const eta = 0.5;
const [prompts, groupSize] = [2, 16];
const [updates, rate] = [120, 0.05];
const guidedFrom = 3;
const judged = 512;
const goal = 0.36;

const pointOf = (random: Random): Point => [gaussian(random), gaussian(random)];

/** A sample on its way: the states it entered the steps in, and after the last; and the scores on the way. */
interface Path {
  states: Point[];
  /** Velocity slope of the log-density of every step under the unguided mean. */
  slopes: Point[];
  scores: number[];
}

/** One stochastic path, drawn towards the reward with strength 1/beta (null: not at all), scored without guidance. */
function draw(flow: CorrectedFlow, start: Point, beta: number | null, random: Random): Path {
  const path: Path = { states: [start], slopes: [], scores: [] };
  for (let k = 0; k < steps; k++) {
    const x = path.states[k];
    const [sigma, sigma_next] = [sigmas[k], sigmas[k + 1]];
    const isGuided = beta !== null && k >= guidedFrom;
    const { mean_unguided, next } = rewardGuidedStep({
      x,
      v: flow.velocity(k, x),
      sigma,
      sigma_next,
      eta,
      noise: pointOf(random),
      ...(isGuided && { gradient: flow.guidance(k, x), beta }),
    });
    // The mean falls by dt (1 + η² (1 − σ) / 2σ) per velocity; the density is a mean over both coordinates.
    const slope = -(1 + (eta * eta * (1 - sigma)) / (2 * sigma)) / (2 * eta * eta);
    path.slopes.push([slope * (next[0] - mean_unguided[0]), slope * (next[1] - mean_unguided[1])]);
    path.scores.push(rewardOf(flow.clean(k, x)));
    path.states.push([next[0], next[1]]);
  }
  return path;
}

interface Arm {
  beta: number | null;
  params: Readonly<Record<string, unknown>>;
}

const arms: Readonly<Record<string, Arm>> = {
  "outcome, not guided": { beta: null, params: { mode: "none" } },
  "outcome, guided": { beta: 0.3, params: { mode: "none" } },
  "both, guided": { beta: 0.3, params: { mode: "both", prm_shift: 1 } },
  "both not shifted, guided": { beta: 0.3, params: { mode: "both", prm_shift: 0 } },
};

function update(flow: CorrectedFlow, { beta, params }: Arm, random: Random): void {
  const starts = Array.from({ length: prompts }, () => pointOf(random));
  const paths = starts.flatMap((start) => Array.from({ length: groupSize }, () => draw(flow, start, beta, random)));
  const rollouts = paths.map(({ states, scores }, i) => ({
    id: `${i}`,
    group: `${Math.floor(i / groupSize)}`,
    reward: rewardOf(states[steps]),
    steps: { prm: scores },
  }));
  const advantage = assign(batchFromObjects(rollouts), "euphonium", params).numbers("steps.advantage");
  paths.forEach(({ states, slopes }, i) => {
    slopes.forEach((slope, k) => {
      const size = (rate * advantage[i * steps + k]) / paths.length;
      flow.move(k, states[k], slope, size);
    });
  });
}

/** Noises that all seeds are judged by. */
const fixedNoises = (() => {
  const random = new Random(0);
  return Array.from({ length: judged }, () => pointOf(random));
})();

/** Mean reward of samples without noise and guidance, before every update and at the end. */
function train(arm: Arm, count: number, seed: number): number[] {
  const random = new Random(seed);
  const flow = new CorrectedFlow();
  const judge = () => fixedNoises.reduce((sum, noise) => sum + rewardOf(flow.end(noise)) / judged, 0);
  const curve = [judge()];
  for (let t = 0; t < count; t++) {
    update(flow, arm, random);
    curve.push(judge());
  }
  return curve;
}

/** Mean reward of stochastic samples of the untrained flow. */
function untrained(beta: number | null, count: number, seed: number): number {
  const random = new Random(seed);
  const flow = new CorrectedFlow();
  const paths = Array.from({ length: count }, () => draw(flow, pointOf(random), beta, random));
  return paths.reduce((sum, { states }) => sum + rewardOf(states[steps]) / count, 0);
}

function trial(seed: number, scale: Scale): Trial {
  const [count, samples] = scale === "full" ? [updates, 2000] : [2, 50];
  const curves = Object.fromEntries(Object.entries(arms).map(([name, arm]) => [name, train(arm, count, seed)]));
  return {
    measures: {
      "reward of guided samples": untrained(0.2, samples, seed),
      "reward of samples not guided": untrained(null, samples, seed),
      ...Object.fromEntries(
        Object.entries(curves).map(([name, curve]) => [`${name}, reward at the end`, curve[count]]),
      ),
    },
    curves,
  };
}

/** First update after which the mean curve has reached the goal; the length of the curve when it never does. */
function updatesTo(summary: Summary, name: string): number {
  const curve = summary.curve(name);
  const at = curve.findIndex((reward) => reward >= goal);
  return at < 0 ? curve.length : at;
}

/** Samples drawn towards a process reward, and credit for each step, teach the sampler sooner. */
export const experiment: Experiment = {
  id: "euphonium",
  version: 1,
  claim:
    "Guiding the samples by the gradient of a process reward raises their reward, and training on them reaches the goal in " +
    "fewer updates; process advantages of the produced states do so much sooner.",
  environment:
    "Flow in the plane to two bumps, with its exact velocity and an affine correction per step as policy; reward a bump " +
    "beside one of them, process reward that of the clean sample foreseen. 10 steps, 2 prompts × 16 samples from the same " +
    "noise, rate 0.05; mean reward of 512 samples without noise and guidance.",
  baseline: "outcome advantages on samples that are not guided (Flow-GRPO)",
  seeds: 6,
  trial,
  findings: (summary) => {
    const [plain, guided, both, unshifted] = Object.keys(arms).map((name) => updatesTo(summary, name));
    const [own, other] = [summary.mean("reward of guided samples"), summary.mean("reward of samples not guided")];
    return [
      {
        expected: "untrained: guided samples have at least 1.5 times the reward (0.52 against 0.27)",
        measured: `${own.toFixed(3)} against ${other.toFixed(3)}, ratio ${(own / other).toFixed(2)}`,
        holds: own >= 1.5 * other,
        kind: "claim",
      },
      {
        expected: "outcome only: guided needs at most 0.9 times the updates to 0.36 (45 against 58)",
        measured: `${guided} against ${plain}, ratio ${(guided / plain).toFixed(2)}`,
        holds: guided <= 0.9 * plain,
        kind: "claim",
      },
      {
        expected: "guided with both advantages: at most 0.5 times the updates (16 against 58)",
        measured: `${both} against ${plain}, ratio ${(both / plain).toFixed(2)}`,
        holds: both <= 0.5 * plain,
        kind: "claim",
      },
      {
        expected: "process advantages of the states that enter the steps gain nothing (52 to 59 updates)",
        measured: `${unshifted} against ${guided} for outcome only`,
        holds: unshifted >= 0.9 * guided,
        kind: "limit",
      },
    ];
  },
  plots: [
    {
      kind: "lines",
      title: "Reward of samples without guidance while training",
      x: "update",
      y: "reward",
      curves: Object.keys(arms),
    },
  ],
  notes:
    "Updates are counted on the mean curve over the seeds. Training goes on for 120 updates instead of 60: the 512 noises " +
    "decide where the flow starts, here at 0.27 and in the card at 0.29, and 0.36 is reached later from there (another set of " +
    "noises, with a start of 0.30, gave 55, 40 and 15 updates over 4 seeds). The loss is a mean over samples and a sum over " +
    "the trained steps; with a mean over both no arm gets there. One plain gradient step per batch; guidance starts at the " +
    "fourth step.",
};
