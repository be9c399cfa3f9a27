import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const goal = 12;
const gamma = 0.95;
const rate = 0.5;
const epsilon = 0.1;
const horizon = 60;
const episodes = 300;
const left = 0;
const right = 1;

type Arm = "sparse" | "shaped" | "naive bonus";

const potential = (state: number) => (state === goal ? 0 : state / goal);
const move = (state: number, action: number) => (action === right ? state + 1 : Math.max(0, state - 1));

/**
 * Reward of every transition, state after state: the outcome, and what the arm adds. The shaping terms come from
 * two-step rollouts (the transition, and a row after it that makes its end state known).
 */
function rewards(arm: Arm): Float64Array {
  const outcome = Float64Array.from({ length: goal * 2 }, (_, k) => (move(k >> 1, k & 1) === goal ? 1 : 0));
  if (arm === "naive bonus") return outcome.map((r, k) => r + (0.5 * move(k >> 1, k & 1)) / goal);
  if (arm === "sparse") return outcome;
  const batch = batchFromObjects(
    [...outcome].map((reward, k) => ({
      id: `${k}`,
      reward,
      turns: { potential: [potential(k >> 1), potential(move(k >> 1, k & 1))], reward: [reward, 0] },
    })),
  );
  const shaped = assign(batch, "potential-shaping", { gamma }).numbers("turns.reward_shaped");
  return outcome.map((_, k) => shaped[2 * k]);
}

/** Whether always taking the better action (the first of equals) reaches the end. */
function greedySucceeds(q: Float64Array): boolean {
  for (let state = 0; state < goal; state++) if (q[2 * state + right] <= q[2 * state + left]) return false;
  return true;
}

/** Tabular Q-learning: the episode (from 0) after which the greedy policy first succeeds, and whether it ends so. */
function learn(arm: Arm, count: number, seed: number) {
  const random = new Random(seed);
  const reward = rewards(arm);
  const q = new Float64Array(goal * 2);
  const choose = (state: number) => {
    const difference = q[2 * state + right] - q[2 * state + left];
    if (random.uniform() < epsilon || difference === 0) return random.below(2);
    return difference > 0 ? right : left;
  };
  const succeeded: number[] = [];
  for (let episode = 0; episode < count; episode++) {
    let state = 0;
    for (let t = 0; t < horizon && state !== goal; t++) {
      const action = choose(state);
      const next = move(state, action);
      const ahead = next === goal ? 0 : Math.max(q[2 * next], q[2 * next + 1]);
      const k = 2 * state + action;
      q[k] += rate * (reward[k] + gamma * ahead - q[k]);
      state = next;
    }
    succeeded.push(greedySucceeds(q) ? 1 : 0);
  }
  const first = succeeded.indexOf(1);
  return { first: first < 0 ? count : first, last: succeeded[count - 1], curve: succeeded };
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const arm of ["sparse", "shaped", "naive bonus"] as const) {
    const run = learn(arm, scale === "full" ? episodes : 40, seed);
    measures[`${arm}: first success`] = run.first;
    measures[`${arm}: success at the end`] = run.last;
    curves[arm] = run.curve.slice(0, 100);
  }
  return { measures, curves };
}

/** A potential speeds learning up and leaves the best policy as it is; a bonus for being near does not. */
export const experiment: Experiment = {
  id: "potential-shaping",
  version: 1,
  claim:
    "Differences of a potential let Q-learning find the way almost at once and end at the same policy; a bonus for " +
    "being near the goal pays for staying there.",
  environment:
    "A corridor of 12 steps, reward 1 at its end; tabular Q-learning (rate 0.5, γ 0.95, ε 0.1, horizon 60, 300 " +
    "episodes), potential position/12. Measured is the first episode after which the greedy policy succeeds.",
  baseline: "the sparse reward, and a bonus of 0.5 Φ(s') per step",
  seeds: 8,
  trial,
  findings: (summary) => [
    atMost(summary, "shaped: first success", 3, { over: "mean", digits: 1 }),
    atLeast(summary, "sparse: first success", 10, { over: "mean", digits: 1 }),
    atLeast(summary, "shaped: success at the end", 1, { digits: 0 }),
    atLeast(summary, "sparse: success at the end", 1, { digits: 0 }),
    {
      expected: "the naive bonus never succeeds",
      measured: `first success after ${summary.min("naive bonus: first success")} of ${episodes} episodes at the earliest`,
      holds: summary.min("naive bonus: first success") >= episodes,
      kind: "claim",
    },
  ],
  plots: [
    {
      kind: "lines",
      title: "Share of seeds whose greedy policy succeeds",
      x: "episode",
      y: "share",
      curves: ["sparse", "shaped", "naive bonus"],
    },
  ],
  notes:
    "Equal action values are broken by chance while learning, and count as failure when the greedy policy is judged.",
};
