import type { Random } from "../random.ts";
import type { SoftmaxTable } from "../softmax-table.ts";
import type { Decision } from "./decisions.ts";

/** Steps of a solution that may be padded: padding looks good to the process reward model and can break it silently. */
export interface PaddingTask {
  mostSteps: number;
  /** Score of a step of padding, and its chance to break the solution. */
  padding: { prm: number; breaks: number };
  /** Score of a step of work, its chance to break the solution, and its score when it does. */
  work: { prm: number; breaks: number; broken: number };
  /** Score of the last step; `end`: whether it is the action that ends the solution. */
  lastScore(outcome: { end: boolean; done: boolean; success: boolean }): number | null;
}

export interface Solution {
  decisions: Decision[];
  prm: number[];
  success: boolean;
}

/**
 * Rows of the policy: a row per step and number of work steps so far, which counts to 2. Actions: padding, work, end.
 */
export const paddingRows = (task: PaddingTask) => 3 * task.mostSteps;

/** One solution. It succeeds when it was ended after two steps of work or more and is not broken. */
export function solve(task: PaddingTask, policy: SoftmaxTable, random: Random): Solution {
  const decisions: Decision[] = [];
  const prm: number[] = [];
  let works = 0;
  let broken = false;
  let end = false;
  for (let step = 0; step < task.mostSteps && !end; step++) {
    const row = 3 * step + Math.min(works, 2);
    const action = policy.sample(row, random);
    decisions.push({ row, action });
    if (action === 2) end = true;
    const { breaks } = action === 0 ? task.padding : task.work;
    const breaksNow = !end && random.uniform() < breaks;
    broken ||= breaksNow;
    if (action === 1) works++;
    prm.push(action === 0 ? task.padding.prm : breaksNow ? task.work.broken : task.work.prm);
  }
  const done = works >= 2;
  const success = end && done && !broken;
  const last = task.lastScore({ end, done, success });
  if (last !== null) prm[prm.length - 1] = last;
  return { decisions, prm, success };
}

/** Rollouts of some solutions in groups, one token per step. */
export function solutionRollouts(solutions: readonly Solution[], groupSize: number) {
  return solutions.map(({ prm, success }, i) => ({
    id: `r${i}`,
    group: `g${Math.floor(i / groupSize)}`,
    reward: success ? 1 : 0,
    tokens: { id: prm.map(() => 0) },
    steps: { end: prm.map((_, k) => k + 1), prm },
  }));
}
