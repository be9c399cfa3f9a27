import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const actions = 4;
const rollouts = 8;
const rate = 0.2;
type Arm = "turn" | "state_group" | "outcome";

function successOf(policy: SoftmaxTable): number {
  let success = 1;
  for (let t = 0; t < policy.rows; t++) success *= policy.probability(t, 0);
  return success;
}

/**
 * Credits of one update, a row of turns per rollout; action 0 is right, the oracle says so but for `flip` of the
 * times.
 */
function creditsOf(arm: Arm, chosen: readonly number[][], flip: number, random: Random): ArrayLike<number> {
  const verdicts = chosen.map((row) => row.map((a) => ((a === 0) !== random.uniform() < flip ? 1 : 0)));
  if (arm === "outcome") {
    const turns = { end: chosen[0].map((_, t) => t + 1) };
    const objects = chosen.map((row, i) => ({
      id: `r${i}`,
      group: "g",
      reward: row.every((a) => a === 0) ? 1 : 0,
      tokens: { id: row },
      turns,
    }));
    return assign(batchFromObjects(objects), "grpo").numbers("tokens.advantage");
  }
  // State groups: two tasks with four candidates at every step. Without them the turn number is what is compared.
  const objects = verdicts.map((reward, i) => {
    const task = `task ${Math.floor(i / 4)}`;
    const state = reward.map((_, t) => `${task}, step ${t}`);
    return arm === "turn"
      ? { id: `r${i}`, group: "g", turns: { reward } }
      : { id: `r${i}`, group: task, turns: { reward, state } };
  });
  return assign(batchFromObjects(objects), "vpr", { mode: arm }).numbers("turns.advantage");
}

function train(arm: Arm, steps: number, flip: number, seed: number, updates: number): number[] {
  const random = new Random(seed);
  const policy = new SoftmaxTable(steps, actions);
  const curve: number[] = [];
  for (let update = 0; update < updates; update++) {
    const chosen = Array.from({ length: rollouts }, () =>
      Array.from({ length: steps }, (_, t) => policy.sample(t, random)),
    );
    const credit = creditsOf(arm, chosen, flip, random);
    chosen.forEach((row, i) => {
      for (let t = 0; t < steps; t++) policy.accumulate(t, row[t], credit[i * steps + t] / rollouts);
    });
    policy.ascend(rate);
    curve.push(successOf(policy));
  }
  return curve;
}

const arms: readonly Arm[] = ["turn", "state_group", "outcome"];
const flips = [0, 0.1, 0.3, 0.5] as const;

function trial(seed: number, scale: Scale): Trial {
  const updates = scale === "full" ? 150 : 15;
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const arm of arms) {
    for (const steps of [2, 8]) {
      const curve = train(arm, steps, 0, seed, updates);
      measures[`${arm} success, ${steps} steps`] = curve[curve.length - 1];
      if (steps === 8) curves[arm] = curve;
    }
  }
  for (const flip of flips) {
    measures[`turn success, oracle wrong ${flip}`] = train("turn", 6, flip, seed, updates)[updates - 1];
  }
  return { measures, curves };
}

/** Every action judged by an oracle: long tasks learn; an oracle that tosses a coin teaches nothing. */
export const experiment: Experiment = {
  id: "vpr",
  version: 1,
  claim:
    "Verdicts of an oracle on every turn learn long tasks that the outcome alone does not; a worse oracle teaches " +
    "less.",
  environment:
    "T steps with 4 actions, one right per step, success when all are. Tabular softmax, 150 updates of 8 " +
    "trajectories (or 2 tasks with 4 candidates per state), rate 0.2.",
  baseline: "grpo on the outcome",
  seeds: 6,
  trial,
  findings: (summary) => {
    const byFlip = flips.map((flip) => summary.mean(`turn success, oracle wrong ${flip}`));
    return [
      atLeast(summary, "turn success, 8 steps", 0.8, { over: "mean" }),
      atLeast(summary, "state_group success, 8 steps", 0.8, { over: "mean" }),
      atMost(summary, "outcome success, 8 steps", 0.05, { over: "mean" }),
      ...arms.map((arm) => atLeast(summary, `${arm} success, 2 steps`, 0.9, { over: "mean" })),
      {
        expected: "6 steps: success falls with the share of wrong verdicts (0, 0.1, 0.3, 0.5)",
        measured: byFlip.map((x) => x.toFixed(2)).join(", "),
        holds: byFlip.every((x, k) => k === 0 || x < byFlip[k - 1]),
        kind: "claim",
      },
      atMost(summary, "turn success, oracle wrong 0.5", 0.05, { over: "mean" }),
    ];
  },
  plots: [
    { kind: "lines", title: "Exact success, 8 steps", x: "update", y: "success", curves: [...arms] },
    {
      kind: "bars",
      title: "Success with wrong verdicts, 6 steps",
      y: "success",
      measures: flips.map((flip) => `turn success, oracle wrong ${flip}`),
    },
  ],
};
