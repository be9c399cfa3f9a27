import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import { accumulateDecisions, type Decision, tailMean } from "./decisions.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const mostTurns = 6;
const rollouts = 32;
const rate = 1.8;
const criticStep = 0.05;
/** Easy search, hard search, answer. */
const judged = [0.9, 0.3, 0];
const answer = 2;
const hardNeeded = 3;
const rows = mostTurns * mostTurns;

interface Episode {
  decisions: Decision[];
  /** State before each turn: turn and hard searches so far. */
  states: number[];
  prm: number[];
  reward: number;
}

function play(actor: SoftmaxTable, random: Random): Episode {
  const episode: Episode = { decisions: [], states: [], prm: [], reward: 0 };
  let hard = 0;
  for (let turn = 0; turn < mostTurns; turn++) {
    const row = turn * mostTurns + hard;
    const forced = turn === mostTurns - 1;
    const action = forced ? answer : actor.sample(row, random);
    episode.states.push(row);
    episode.decisions.push({ row: forced ? -1 : row, action });
    episode.prm.push(judged[action]);
    if (action === answer) break;
    if (action === 1) hard++;
  }
  episode.reward = hard >= hardNeeded ? 1 : 0;
  return episode;
}

function train(renorm: boolean, seed: number, updates: number) {
  const random = new Random(seed);
  const actor = new SoftmaxTable(rows, 3);
  for (let row = 0; row < rows; row++) actor.logits[3 * row + answer] = -1;
  actor.changed();
  const critic = new Float64Array(rows);
  const success: number[] = [];
  const total: number[] = [];
  for (let update = 0; update < updates; update++) {
    const episodes = Array.from({ length: rollouts }, () => play(actor, random));
    const objects = episodes.map(({ states, prm, reward }, i) => ({
      id: `r${i}`,
      reward,
      tokens: { value: states.map((row) => critic[row]) },
      turns: { end: states.map((_, t) => t + 1), prm },
    }));
    const credit = assign(batchFromObjects(objects), "ppr", { renorm });
    const moves = episodes.map(({ decisions }) => decisions);
    accumulateDecisions(actor, moves, credit.numbers("tokens.advantage"), 1 / rollouts);
    const returns = credit.numbers("tokens.return");
    const visited = episodes.flatMap(({ states }) => states);
    visited.forEach((row, k) => {
      critic[row] += criticStep * (returns[k] - critic[row]);
    });
    actor.ascend(rate);
    success.push(episodes.filter(({ reward }) => reward === 1).length / rollouts);
    total.push(Float64Array.from(credit.numbers("turns.reward")).reduce((sum, r) => sum + r, 0) / rollouts);
  }
  return { success, total };
}

const arms = { renorm: true, "raw process rewards": false } as const;

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const [name, renorm] of Object.entries(arms)) {
    const { success, total } = train(renorm, seed, scale === "full" ? 300 : 10);
    measures[`success, ${name}`] = tailMean(success, 30);
    measures[`total reward, ${name}`] = tailMean(total, 30);
    curves[name] = success.filter((_, t) => t % 2 === 0);
  }
  return { measures, curves };
}

/** Adding the outcome and taking off 1 makes process rewards of a wrong answer never positive. */
export const experiment: Experiment = {
  id: "ppr",
  version: 1,
  claim: "ReNorm removes the incentive to collect good-looking turns without answering.",
  environment:
    "Up to 6 turns, the last one answers: easy search (judged 0.9), hard search (0.3) or answer; right after 3 hard " +
    "searches. Tabular actor and critic by turn and hard searches, 32 rollouts, 300 updates, rates 1.8 and 0.05.",
  baseline: "ppr with renorm false",
  seeds: 6,
  trial,
  findings: (summary) => [
    atMost(summary, "success, raw process rewards", 0.05),
    atLeast(summary, "total reward, raw process rewards", 4.3, { over: "mean" }),
    atLeast(summary, "success, renorm", 0.95),
  ],
  plots: [
    { kind: "lines", title: "Success", x: "update", y: "success", curves: Object.keys(arms), every: 2 },
    {
      kind: "bars",
      title: "Total reward of an episode at the end",
      y: "reward",
      measures: Object.keys(arms).map((name) => `total reward, ${name}`),
    },
  ],
  notes: "The critic moves once per visited state of an episode. The card's total of about 4.5 is held against 4.3.",
};
