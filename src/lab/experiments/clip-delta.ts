import { assign } from "../../methods/assign.ts";
import { clipDelta } from "../../methods/process/clip-delta.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { against, atLeast, atMost } from "./bounds.ts";
import { accumulateDecisions, tailMean } from "./decisions.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";
import { type PaddingTask, paddingRows, solutionRollouts, solve } from "./padding-task.ts";

const task: PaddingTask = {
  mostSteps: 10,
  padding: { prm: 0.95, breaks: 0.1 },
  work: { prm: 0.85, breaks: 0.05, broken: 0.2 },
  lastScore: ({ end, done }) => (end ? (done ? 0.9 : 0.3) : null),
};
const groupSize = 8;
const rollouts = 4 * groupSize;
const arms = {
  "success only": { mode: "none", alpha: 0 },
  "raw scores": { mode: "none", alpha: 0.3 },
  clip: { mode: "clip", alpha: 0.3 },
  delta: { mode: "delta", alpha: 0.3 },
  "clip and delta": { mode: "clip_delta", alpha: 0.3 },
} as const;
type Arm = keyof typeof arms;
const names = Object.keys(arms) as Arm[];

function train(arm: Arm, seed: number, updates: number): { success: number[]; steps: number[] } {
  const random = new Random(seed);
  const policy = new SoftmaxTable(paddingRows(task), 3);
  const success: number[] = [];
  const steps: number[] = [];
  for (let update = 0; update < updates; update++) {
    const solutions = Array.from({ length: rollouts }, () => solve(task, policy, random));
    const batch = batchFromObjects(solutionRollouts(solutions, groupSize));
    const credit = assign(batch, "clip-delta", { ...arms[arm], eta: 0.8, baseline: "group_mean" });
    const moves = solutions.map(({ decisions }) => decisions);
    accumulateDecisions(policy, moves, credit.numbers("tokens.advantage"), 1 / rollouts);
    policy.ascend(0.5);
    success.push(solutions.filter((s) => s.success).length / rollouts);
    steps.push(moves.reduce((sum, { length }) => sum + length, 0) / rollouts);
  }
  return { success, steps };
}

/** Largest error, over random scores, of: Delta rewards sum to the first score, Clip rewards to at most 0. */
function sumError(random: Random): number {
  let worst = 0;
  for (let n = 2; n <= 40; n++) {
    const prm = Array.from({ length: n }, () => random.uniform());
    const total = (mode: "clip" | "delta") => clipDelta({ prm, mode, eta: 0.8 }).reduce((a, b) => a + b, 0);
    worst = Math.max(worst, Math.abs(total("delta") - prm[0]), total("clip"));
  }
  return worst;
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = { "error of the sums": sumError(new Random(seed)) };
  const curves: Record<string, number[]> = {};
  for (const name of names) {
    const { success, steps } = train(name, seed, scale === "full" ? 300 : 10);
    measures[`success, ${name}`] = tailMean(success, 30);
    measures[`steps, ${name}`] = tailMean(steps, 30);
    curves[name] = steps.filter((_, t) => t % 3 === 0);
  }
  return { measures, curves };
}

function findings(summary: Summary) {
  const base = summary.mean("success, success only");
  const near = (["clip", "clip and delta"] as const).map((name) => ({
    expected: `${name}: success within 0.05 of the success reward alone`,
    measured: `${against(summary, `success, ${name}`, "success, success only")}`,
    holds: Math.abs(summary.mean(`success, ${name}`) - base) <= 0.05,
    kind: "claim" as const,
  }));
  const between = summary.mean("success, delta");
  return [
    {
      expected: "raw scores lose at least 0.25 success against the success reward alone",
      measured: against(summary, "success, raw scores", "success, success only"),
      holds: base - summary.mean("success, raw scores") >= 0.25,
      kind: "claim" as const,
    },
    atLeast(summary, "steps, raw scores", 9, { over: "mean", digits: 1 }),
    ...near,
    atMost(summary, "steps, clip", 4, { over: "mean", digits: 1 }),
    atMost(summary, "steps, clip and delta", 4, { over: "mean", digits: 1 }),
    {
      expected: "delta alone lies between raw scores and clip",
      measured: `success ${summary.text("success, delta")}, steps ${summary.text("steps, delta", 1)}`,
      holds: between > summary.mean("success, raw scores") && between < summary.mean("success, clip"),
      kind: "claim" as const,
    },
    atMost(summary, "error of the sums", 1e-12, { digits: 15 }),
  ];
}

/** A process reward that cannot be collected by writing more steps. */
export const experiment: Experiment = {
  id: "clip-delta",
  version: 1,
  claim:
    "Raw scores of a process reward model are farmed with needless steps; clipped, or clipped and differenced, they " +
    "are not.",
  environment:
    "At most 10 steps of padding (scored 0.95, breaks the solution 1 in 10), work (0.85) or end; success takes two " +
    "steps of work. Tabular softmax by step and work done, 4 groups of 8, rate 0.5, alpha 0.3, eta 0.8, 300 updates.",
  baseline: "clip-delta with mode none, and with alpha 0 (success reward alone)",
  seeds: 5,
  trial,
  findings,
  plots: [
    { kind: "lines", title: "Length while training", x: "update", y: "steps", curves: names, every: 3 },
    { kind: "bars", title: "Success at the end", y: "success", measures: names.map((name) => `success, ${name}`) },
  ],
};
