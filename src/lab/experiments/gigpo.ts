import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { against } from "./bounds.ts";
import { accumulateDecisions, type Decision, tailMean } from "./decisions.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const states = 5;
const actions = 4;
const mostTurns = 10;
const episodes = 8;
const rate = 0.1;
const window = 10;

/** Action 0 goes forward, 1 back, the others stay. Going forward from the last state is the exit. */
function walk(policy: SoftmaxTable, random: Random): { decisions: Decision[]; out: boolean } {
  const decisions: Decision[] = [];
  let state = 0;
  while (decisions.length < mostTurns) {
    const action = policy.sample(state, random);
    decisions.push({ row: state, action });
    if (action === 0) state++;
    else if (action === 1) state = Math.max(0, state - 1);
    if (state === states) return { decisions, out: true };
  }
  return { decisions, out: false };
}

/** Updates until the success over ten updates is 95 %, and success per update. */
function train(stepWeight: number, seed: number, most: number): { updates: number; curve: number[] } {
  const random = new Random(seed);
  const policy = new SoftmaxTable(states, actions);
  const success: number[] = [];
  while (success.length < most) {
    const walks = Array.from({ length: episodes }, () => walk(policy, random));
    success.push(walks.filter(({ out }) => out).length / episodes);
    if (success.length >= window && tailMean(success, window) >= 0.95) break;
    const rollouts = walks.map(({ decisions, out }, i) => ({
      id: `r${i}`,
      group: "g",
      turns: {
        state: decisions.map(({ row }) => row),
        reward: decisions.map((_, t) => (out && t === decisions.length - 1 ? 10 : 0)),
      },
    }));
    const credit = assign(batchFromObjects(rollouts), "gigpo", { step_weight: stepWeight });
    const moves = walks.map(({ decisions }) => decisions);
    accumulateDecisions(policy, moves, credit.numbers("turns.advantage"), 1 / episodes);
    policy.ascend(rate);
  }
  const updates = success.length;
  while (success.length < 200) success.push(success[updates - 1]);
  return { updates, curve: success.slice(0, 200) };
}

const arms = { gigpo: 1, "episode advantage only": 0 } as const;

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const [name, weight] of Object.entries(arms)) {
    const run = train(weight, seed, scale === "full" ? 1000 : 30);
    measures[`updates, ${name}`] = run.updates;
    curves[name] = run.curve;
  }
  return { measures, curves };
}

const ratio = (summary: Summary) => summary.mean("updates, gigpo") / summary.mean("updates, episode advantage only");

/** Turns taken from the same state are compared with each other, on top of the comparison of episodes. */
export const experiment: Experiment = {
  id: "gigpo",
  version: 1,
  claim: "Comparing turns that start from the same state needs fewer updates than one advantage per episode.",
  environment:
    "Corridor of 5 states, actions forward, back and two that stay, 10 turns, reward 10 at the exit. Tabular " +
    "softmax, 8 episodes per update, rate 0.1, until 95 % success over 10 updates.",
  baseline: "gigpo with step_weight 0",
  seeds: 20,
  trial,
  findings: (summary) => [
    {
      expected: "GiGPO needs at most 0.65 times the updates of step_weight 0",
      measured:
        `${against(summary, "updates, gigpo", "updates, episode advantage only", 1)}, ` +
        `ratio ${ratio(summary).toFixed(2)}`,
      holds: ratio(summary) <= 0.65,
      kind: "claim",
    },
  ],
  plots: [
    { kind: "lines", title: "Share of episodes that get out", x: "update", y: "share", curves: Object.keys(arms) },
  ],
  notes: "The gradient is summed over turns and averaged over episodes.",
};
