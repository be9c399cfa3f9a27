import { expect, test } from "vitest";
import { bits, numbersWithin, rowNumbers, wholeNumbers } from "../../src/operators/ranges.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

const batch = batchFromObjects([
  { id: "a", signals: { flag: 1 }, steps: { prm: [0.5, null] } },
  { id: "b", signals: { flag: 0, n: 2.5 } },
]);

test("a rollout without rows needs no column, one with rows does", () => {
  expect([...rowNumbers(batch, "steps.prm", { missing: 0 })]).toEqual([0.5, 0]);
  expect(() => rowNumbers(batch, "steps.prm")).toThrow(/"a".*steps\.prm.*null/);
  expect(() => rowNumbers(batch, "steps.other")).toThrow(/"a".*steps\.other: column is missing/);
  expect(() => rowNumbers(batch, "signals.n")).toThrow(/"a".*signals\.n/);
});

test("values outside are refused by name, filled-in ones are not looked at", () => {
  expect([...numbersWithin(batch, "steps.prm", [0.2, 1], { missing: 0 })]).toEqual([0.5, 0]);
  expect(() => numbersWithin(batch, "steps.prm", [0.6, 1], { missing: 1 })).toThrow(/"a".*steps row 0.*from 0.6 to 1/);
  expect([...bits(batch, "signals.flag")]).toEqual([1, 0]);
  expect([...bits(batch, "signals.none", { absent: 7 })]).toEqual([7, 7]);
  expect(() => bits(batch, "signals.n", { absent: 0 })).toThrow(/"b".*0 or 1, got 2.5/);
  expect(() => wholeNumbers(batch, "signals.n", { absent: 0 })).toThrow(/"b".*a whole number/);
});
