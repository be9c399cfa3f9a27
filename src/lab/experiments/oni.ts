import { assign } from "../../methods/assign.ts";
import { oniNextBatch } from "../../methods/exploration/oni.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import { tailMean } from "./decisions.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const cells = 10;
const moves = 4;
const horizon = 40;
const episodesPerUpdate = 16;
const stepsPerLabel = 20;
const gamma = 0.99;
const rate = 0.5;
const valueRate = 0.1;
const dark = "It is dark.";
const coins = "You hear coins.";

interface Lock {
  right: number[];
  /** The action that makes a noise in the start cell. */
  noisy: number;
}

function lockOf(random: Random): Lock {
  const right = Array.from({ length: cells }, () => random.below(moves));
  return { right, noisy: (right[0] + 1 + random.below(moves - 1)) % moves };
}

/** Labels captions one at a time, newest first; wrong about the coins. */
class Labeller {
  readonly labels: Record<string, number> = {};
  calls = 0;
  #queue: string[] = [];
  #steps = 0;

  see(caption: string): void {
    if (!(caption in this.labels) && !this.#queue.includes(caption)) this.#queue.push(caption);
    if (++this.#steps % stepsPerLabel !== 0 || this.#queue.length === 0) return;
    const { batch, queue } = oniNextBatch({ queue: this.#queue, batchSize: 1 });
    this.#queue = queue as string[];
    for (const one of batch as string[]) {
      this.labels[one] = one === dark ? 0 : 1;
      this.calls++;
    }
  }
}

interface Episode {
  cells: number[];
  taken: number[];
  captions: string[];
  solved: boolean;
}

function play({ right, noisy }: Lock, policy: SoftmaxTable, labeller: Labeller, random: Random): Episode {
  const out: Episode = { cells: [], taken: [], captions: [], solved: false };
  let cell = 0;
  while (out.taken.length < horizon && !out.solved) {
    const action = policy.sample(cell, random);
    const next = action === right[cell] ? cell + 1 : 0;
    const heard = cell === 0 && action === noisy;
    const caption = heard ? coins : next > 0 && next % 2 === 0 ? `You find gem ${next}` : dark;
    labeller.see(caption);
    out.cells.push(cell);
    out.taken.push(action);
    out.captions.push(caption);
    out.solved = next === cells;
    cell = next;
  }
  return out;
}

interface Arm {
  llm: number;
  exponent: number;
}

function rewardsOf(episodes: readonly Episode[], { llm, exponent }: Arm, labels: Readonly<Record<string, number>>) {
  const rollouts = episodes.map(({ taken, captions, solved }, i) => ({
    id: `r${i}`,
    reward: solved ? 1 : 0,
    tokens: { id: taken },
    turns: { end: taken.map((_, t) => t + 1), message: captions },
    signals: { initial_message: dark },
  }));
  const params = { labels: { ...labels }, llm_coeff: llm, ext_coeff: 1, count_exponent: exponent };
  return assign(batchFromObjects(rollouts), "oni", params).numbers("turns.mixed_reward");
}

function train(arm: Arm, seed: number, updates: number) {
  const random = new Random(seed);
  const lock = lockOf(random);
  const policy = new SoftmaxTable(cells, moves);
  const values = new Float64Array(cells);
  const labeller = new Labeller();
  const solved: number[] = [];
  for (let update = 0; update < updates; update++) {
    const episodes = Array.from({ length: episodesPerUpdate }, () => play(lock, policy, labeller, random));
    const reward = rewardsOf(episodes, arm, labeller.labels);
    let end = 0;
    const targets: [cell: number, target: number][] = [];
    for (const { cells: at, taken, solved: opened } of episodes) {
      end += taken.length;
      let sum = 0;
      for (let t = taken.length - 1; t >= 0; t--) {
        sum = reward[end - taken.length + t] + gamma * sum;
        policy.accumulate(at[t], taken[t], (sum - values[at[t]]) / episodesPerUpdate);
        targets.push([at[t], sum]);
      }
      solved.push(opened ? 1 : 0);
    }
    policy.ascend(rate);
    learnValues(values, targets);
  }
  return { solved, calls: labeller.calls };
}

/** Moves the value of every cell seen towards the mean return from there. */
function learnValues(values: Float64Array, targets: readonly [cell: number, target: number][]): void {
  const sums = new Float64Array(values.length);
  const counts = new Float64Array(values.length);
  for (const [cell, target] of targets) {
    sums[cell] += target;
    counts[cell]++;
  }
  values.forEach((value, c) => {
    if (counts[c] > 0) values[c] += valueRate * (sums[c] / counts[c] - value);
  });
}

const arms: Readonly<Record<string, Arm>> = {
  "task reward only": { llm: 0, exponent: 3 },
  "oni, exponent 3": { llm: 0.4, exponent: 3 },
  "oni, exponent 0": { llm: 0.4, exponent: 0 },
};

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const [name, arm] of Object.entries(arms)) {
    const { solved, calls } = train(arm, seed, scale === "full" ? 400 : 10);
    measures[name] = tailMean(solved, 200);
    if (arm.llm > 0) measures[`${name}, calls`] = calls;
    const block = 4 * episodesPerUpdate;
    curves[name] = Array.from({ length: Math.floor(solved.length / block) }, (_, k) =>
      tailMean(solved.slice(k * block, (k + 1) * block), block),
    );
  }
  return { measures, curves };
}

const [taskOnly, counted, uncounted] = Object.keys(arms);

/**
 * Labels of captions lead to a reward that exploration alone never finds; the visit count keeps them from being
 * farmed.
 */
export const experiment: Experiment = {
  id: "oni",
  version: 1,
  claim:
    "A handful of labelled captions, divided by their count in the episode, opens a lock that the task reward alone " +
    "never opens; without the count a wrongly labelled caption is farmed.",
  environment:
    "Lock of 10 cells with 4 actions, one right, a wrong one leads back; 40 steps, reward 1 at the end. Captions " +
    "name gems on even cells; a useless action in the start cell sounds like coins, which the labeller calls " +
    "helpful. One label per 20 steps. Tabular softmax with values, 400 updates of 16 episodes; success of the last " +
    "200 episodes.",
  baseline: "the task reward alone, and the labels without counts",
  seeds: 6,
  trial,
  findings: (summary) => [
    atMost(summary, taskOnly, 0.05, { over: "mean" }),
    atLeast(summary, counted, 0.9, { over: "mean" }),
    {
      expected: "about 7 calls of the labeller",
      measured: summary.text(`${counted}, calls`, 1),
      holds: Math.abs(summary.mean(`${counted}, calls`) - 7) <= 1,
      kind: "claim",
    },
    atMost(summary, uncounted, 0.1, { over: "mean" }),
  ],
  plots: [
    { kind: "bars", title: "Success of the last 200 episodes", y: "success", measures: Object.keys(arms) },
    { kind: "lines", title: "Success while learning", x: "update", y: "success", curves: Object.keys(arms), every: 4 },
  ],
  notes:
    "The card names no rates: 0.5 for the policy (sum over steps, mean over episodes), 0.1 for the values. A gem " +
    "lies in every even cell but the start.",
};
