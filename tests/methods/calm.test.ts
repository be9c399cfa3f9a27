import { expect, test } from "vitest";
import { calmRewardTable, calmTimesToSteps, calmTransitionMetrics } from "../../src/methods/judge/calm.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

test("times in whatever shape a judge writes them", () => {
  const steps = (answer: Record<string, unknown> | null, n = 3) => calmTimesToSteps({ answer, n });
  expect(steps({ yes: true, no: false })).toEqual({ counts: [1, 0, 0], used: 1, ignored: 1 });
  expect(steps({ a: ["2", 2.9, true] })).toEqual({ counts: [1, 2, 0], used: 3, ignored: 0 });
  expect(steps({ a: [1, null], b: {}, c: "soon" })).toEqual({ counts: [0, 0, 0], used: 0, ignored: 3 });
  expect(steps({ "3": "open the door" })).toEqual({ counts: [0, 0, 1], used: 1, ignored: 0 });
  expect(steps({ a: [], b: null })).toEqual({ counts: [0, 0, 0], used: 0, ignored: 0 });
  expect(steps(null, 0)).toEqual({ counts: [], used: 0, ignored: 0 });
});

test("the table runs from the smallest running total to the largest", () => {
  const rows = (...pairs: [string, number][]) => pairs.map(([key, count]) => ({ key, count }));
  expect(calmRewardTable({ annotations: [] })).toEqual({});
  expect(calmRewardTable({ annotations: [rows(["a", 2]), rows(["b", 2])] })).toEqual({ a: 1, b: 1 });
  // The running total of a starts at 1, so that its final 3 is not the least.
  expect(calmRewardTable({ annotations: [rows(["a", 1], ["a", 2], ["b", 2])] })).toEqual({ a: 1, b: 0.5 });
});

test("metrics of a judge, ratios of nothing being 0", () => {
  const { precision, recall, f1, accuracy } = calmTransitionMetrics({ pred: [false, false], truth: [false, false] });
  expect([precision, recall, f1, accuracy]).toEqual([0, 0, 0, 1]);
  expect(() => calmTransitionMetrics({ pred: [true], truth: [] })).toThrow(InputError);
});

test("tables, named subgoals and columns that do not exist", () => {
  const rollouts = [{ id: "a", reward: 1, turns: { key: ["x", "y", "toString"], subgoal_k: [1, 0, 1] } }];
  const intrinsic = (p: Record<string, unknown>) => credit("calm", rollouts, p, "turns.intrinsic_reward");
  expect(intrinsic({ mode: "table", table: { x: 0.5 } })).toEqual([0.5, 0, 0]);
  expect(intrinsic({ subgoals: ["k"] })).toEqual([1, 0, 1]);
  expect(intrinsic({ subgoals: ["subgoal_k", "nowhere"], once: true })).toEqual([1, 0, 0]);
  expect(() => credit("calm", [{ id: "a", reward: 1, turns: { key: ["x"] } }])).toThrow(/subgoal_/);
  expect(() => credit("calm", [{ id: "a", reward: 1, turns: { subgoal_k: [2] } }])).toThrow(InputError);
});
