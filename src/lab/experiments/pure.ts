import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { against, atLeast, atMost } from "./bounds.ts";
import { accumulateDecisions, tailMean } from "./decisions.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";
import { type PaddingTask, paddingRows, solutionRollouts, solve } from "./padding-task.ts";

const task: PaddingTask = {
  mostSteps: 8,
  padding: { prm: 0.9, breaks: 0.25 },
  work: { prm: 0.5, breaks: 0.05, broken: -0.8 },
  lastScore: ({ success }) => (success ? 0.6 : -0.7),
};
const groupSize = 8;
const rollouts = 4 * groupSize;
type Credit = "softmin" | "strict" | "sum";
const credits: readonly Credit[] = ["softmin", "strict", "sum"];

function train(credit: Credit, mode: "PRM" | "PRMVR", seed: number, updates: number) {
  const random = new Random(seed);
  const policy = new SoftmaxTable(paddingRows(task), 3);
  const success: number[] = [];
  const scores: number[] = [];
  for (let update = 0; update < updates; update++) {
    const solutions = Array.from({ length: rollouts }, () => solve(task, policy, random));
    const batch = batchFromObjects(solutionRollouts(solutions, groupSize));
    const result = assign(batch, "pure", { credit, mode, max_length: task.mostSteps });
    const moves = solutions.map(({ decisions }) => decisions);
    accumulateDecisions(policy, moves, result.numbers("tokens.advantage"), 1 / rollouts);
    policy.ascend(0.3);
    success.push(solutions.filter((s) => s.success).length / rollouts);
    scores.push(solutions.reduce((sum, { prm }) => sum + prm.reduce((a, b) => a + b, 0), 0) / rollouts);
  }
  return { success, scores };
}

function trial(seed: number, scale: Scale): Trial {
  const updates = scale === "full" ? 200 : 10;
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const credit of credits) {
    const run = train(credit, "PRM", seed, updates);
    measures[`success, ${credit}`] = tailMean(run.success, 20);
    measures[`summed score, ${credit}`] = tailMean(run.scores, 20);
    curves[credit] = run.success;
    curves[`score of ${credit}`] = run.scores;
  }
  measures["success, sum with verifiable reward"] = tailMean(train("sum", "PRMVR", seed, updates).success, 20);
  return { measures, curves };
}

/** The worst step still to come, instead of the sum of all: padding with good-looking steps earns nothing. */
export const experiment: Experiment = {
  id: "pure",
  version: 1,
  claim: "Summed process rewards are hacked by steps that look good; the minimum over the steps to come is not.",
  environment:
    "At most 8 steps of thinking (scored 0.9, breaks the solution 1 in 4), work (0.5) or end; success takes two " +
    "steps of work; the last step is scored by success. Tabular softmax, 4 groups of 8, rate 0.3, 200 updates, " +
    "process rewards only.",
  baseline: "pure with credit sum",
  seeds: 5,
  trial,
  findings: (summary) => [
    atLeast(summary, "success, softmin", 0.75, { over: "mean" }),
    atLeast(summary, "success, strict", 0.75, { over: "mean" }),
    atMost(summary, "success, sum", 0.3, { over: "mean" }),
    {
      expected: "the summed score of sum is more than twice that of softmin",
      measured: against(summary, "summed score, sum", "summed score, softmin"),
      holds: summary.mean("summed score, sum") > 2 * summary.mean("summed score, softmin"),
      kind: "claim",
    },
    atMost(summary, "success, sum with verifiable reward", 0.4, { over: "mean" }),
  ],
  plots: [
    { kind: "lines", title: "Success while training", x: "update", y: "success", curves: [...credits] },
    {
      kind: "lines",
      title: "Summed score of the process reward model",
      x: "update",
      y: "score",
      curves: credits.map((credit) => `score of ${credit}`),
    },
  ],
};
