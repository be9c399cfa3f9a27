import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { QTable } from "../q-table.ts";
import { Random } from "../random.ts";
import { atLeast, atMost } from "./bounds.ts";
import { tailMean } from "./decisions.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const cells = 16;
const [start, key, door, goal] = [8, 0, 12, 15];
const horizon = 120;
const [alpha, gamma, explore] = [0.3, 0.99, 0.2];
const [pick, open, drop] = [2, 3, 4];

interface Arm {
  /** Weight of the subgoals; 0 = the sparse reward alone. */
  beta: number;
  once: boolean;
  misses: number;
  /** Chance that a transition is judged to have got the key although it did not. */
  falseKeys: number;
  drops: boolean;
}

const perfect: Arm = { beta: 0.1, once: true, misses: 0, falseKeys: 0, drops: false };
const arms: Readonly<Record<string, Arm>> = {
  "sparse reward": { ...perfect, beta: 0 },
  "calm, perfect judge": perfect,
  "calm, 20 % missed": { ...perfect, misses: 0.2 },
  "calm, 1 % false keys": { ...perfect, falseKeys: 0.01 },
  "calm, 0.2 % false keys, 20 % missed": { ...perfect, falseKeys: 0.002, misses: 0.2 },
  "calm, key can be dropped": { ...perfect, drops: true },
  "calm, key can be dropped, not once": { ...perfect, drops: true, once: false },
};

interface Corridor {
  cell: number;
  hasKey: boolean;
  isOpen: boolean;
  /** Where the key lies while nobody has it. */
  keyCell: number;
}

const stateOf = ({ cell, hasKey, isOpen }: Corridor) => (cell * 2 + Number(hasKey)) * 2 + Number(isOpen);

/** Moves on; what was achieved: `key`, `door` or nothing. */
function step(at: Corridor, action: number): "key" | "door" | null {
  if (action === 0) at.cell = Math.max(0, at.cell - 1);
  else if (action === 1) {
    if (at.cell + 1 !== door || at.isOpen) at.cell = Math.min(goal, at.cell + 1);
  } else if (action === pick && !at.hasKey && at.cell === at.keyCell) {
    at.hasKey = true;
    return "key";
  } else if (action === open && at.hasKey && !at.isOpen && at.cell === door - 1) {
    at.isOpen = true;
    return "door";
  } else if (action === drop && at.hasKey) {
    at.hasKey = false;
    at.keyCell = at.cell;
  }
  return null;
}

/** One episode with the verdicts of the judge on every transition. */
function play(q: QTable, arm: Arm, random: Random) {
  const at: Corridor = { cell: start, hasKey: false, isOpen: false, keyCell: key };
  const states = [stateOf(at)];
  const taken: number[] = [];
  const keys: number[] = [];
  const doors: number[] = [];
  while (taken.length < horizon && at.cell !== goal) {
    const action = q.choose(states[taken.length], explore, random);
    const achieved = step(at, action);
    const seen = achieved !== null && random.uniform() >= arm.misses ? achieved : null;
    keys.push(seen === "key" || random.uniform() < arm.falseKeys ? 1 : 0);
    doors.push(seen === "door" ? 1 : 0);
    taken.push(action);
    states.push(stateOf(at));
  }
  return { states, taken, keys, doors, solved: at.cell === goal };
}

function train(arm: Arm, seed: number, episodes: number): number[] {
  const q = new QTable(cells * 4, arm.drops ? 5 : 4);
  const random = new Random(seed);
  return Array.from({ length: episodes }, () => {
    const { states, taken, keys, doors, solved } = play(q, arm, random);
    const turns = { end: taken.map((_, t) => t + 1), subgoal_key: keys, subgoal_door: doors };
    const rollout = { id: "r", reward: solved ? 1 : 0, tokens: { id: taken }, turns };
    const credited = assign(batchFromObjects([rollout]), "calm", { beta: arm.beta, once: arm.once, gamma });
    const reward = credited.numbers("turns.shaped_reward");
    taken.forEach((action, t) => {
      const isEnd = solved && t === taken.length - 1;
      q.learn(states[t], action, reward[t] + (isEnd ? 0 : gamma * q.best(states[t + 1])), alpha);
    });
    return solved ? 1 : 0;
  });
}

const share = (successes: readonly number[]) => tailMean(successes, 100);

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const [name, arm] of Object.entries(arms)) {
    const successes = train(arm, seed, scale === "full" ? 500 : 20);
    measures[name] = share(successes);
    curves[name] = Array.from({ length: successes.length / 10 }, (_, k) =>
      tailMean(successes.slice(k * 10, (k + 1) * 10), 10),
    );
  }
  return { measures, curves };
}

const names = Object.keys(arms);

/** Subgoals that a judge sees achieved lead through a task with a sparse reward, as long as the judge is precise. */
export const experiment: Experiment = {
  id: "calm",
  version: 1,
  claim:
    "Small rewards for judged subgoals solve a task that the sparse reward alone does not; missed subgoals hardly " +
    "hurt, falsely reported ones do.",
  environment:
    "Corridor of 16 cells: start in 8, key in 0, locked door at 12, goal at 15 (reward 1), 120 steps. Tabular " +
    "Q-learning on (cell, has key, door open), rate 0.3, discount 0.99, 20 % exploration, 500 episodes; success of " +
    "the last 100.",
  baseline: "the sparse reward alone",
  seeds: 10,
  trial,
  findings: (summary) => [
    atMost(summary, names[0], 0.25, { over: "mean" }),
    atLeast(summary, names[1], 0.95, { over: "mean" }),
    atLeast(summary, names[2], 0.9, { over: "mean" }),
    atMost(summary, names[3], 0.1, { over: "mean", kind: "limit" }),
    atMost(summary, names[4], 0.6, { over: "mean", kind: "limit" }),
    atMost(summary, names[5], 0.1, { over: "mean", kind: "limit" }),
    atMost(summary, names[6], 0.1, { over: "mean", kind: "limit" }),
  ],
  plots: [
    { kind: "bars", title: "Success of the last 100 episodes", y: "success", measures: names },
    {
      kind: "lines",
      title: "Success while learning",
      x: "episode",
      y: "success of 10 episodes",
      curves: [names[1], names[4], names[0]],
      every: 10,
    },
  ],
  notes:
    "The judge is simulated with these error rates; subgoals are getting the key and opening the door, paid once per " +
    "episode. The shaped reward of an episode is computed when it ends, and the Q-updates of its steps follow then, " +
    "in order. A dropped key lies where it was dropped.",
};
