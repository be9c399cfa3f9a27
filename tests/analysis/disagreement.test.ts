import { expect, test } from "vitest";
import { compareMethods } from "../../src/analysis/comparison.ts";
import { rankDisagreements } from "../../src/analysis/disagreement.ts";
import { seriesOfColumn } from "../../src/analysis/series.ts";
import { findMethod } from "../../src/methods/registry.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";

const batch = batchFromObjects([
  { id: "agree", group: "g", reward: 1, turns: { x: [1, 2], y: [3, 1] } },
  { id: "mild", group: "g", reward: 0, turns: { x: [1, 2, -1], y: [1, -0.5, 0] } },
  { id: "hard", group: "g", reward: 0, turns: { x: [3, -1], y: [-3, 2] } },
]);

const both = ["turns.x", "turns.y"].map((path) => {
  const series = seriesOfColumn(batch, path);
  if (series === null) throw new Error(path);
  return series;
});

test("rollouts are ranked by their hardest disagreement in sign, with the turn where it is", () => {
  const found = rankDisagreements(batch, both, "turn");
  expect(
    found.map(({ rollout, row, values, rowsInConflict, rows }) => ({ rollout, row, values, rowsInConflict, rows })),
  ).toEqual([
    { rollout: 2, row: 0, values: [3, -3], rowsInConflict: 2, rows: 2 },
    { rollout: 1, row: 1, values: [2, -0.5], rowsInConflict: 1, rows: 3 },
  ]);
  expect(found[0].conflict).toBeGreaterThan(found[1].conflict);
});

test("the scale of a series does not matter", () => {
  const scaled = batch.with({ "turns.y": batch.numbers("turns.y").map((x) => 1000 * x) as Float64Array });
  const series = ["turns.x", "turns.y"].flatMap((path) => seriesOfColumn(scaled, path) ?? []);
  const plain = rankDisagreements(batch, both, "turn");
  expect(rankDisagreements(scaled, series, "turn").map(({ conflict }) => conflict)).toEqual(
    plain.map(({ conflict }) => expect.closeTo(conflict, 9)),
  );
});

test("one series never disagrees with itself", () => {
  expect(rankDisagreements(batch, [both[0], both[0]], "turn")).toEqual([]);
});

test("a method that cannot run is left out with what it misses, and the rest goes on", () => {
  const methods = ["grpo", "gigpo", "tempo"].map((id) => ({ method: findMethod(id), params: {} }));
  const { series, skipped, aligned } = compareMethods(batch, methods, { columns: ["turns.x"] });
  expect(series.map(({ name }) => name)).toEqual(["turns.x", "grpo"]);
  expect(skipped).toEqual([
    { id: "gigpo", missing: ["turns.state"], reason: "needs turns.state" },
    { id: "tempo", missing: ["tokens.id"], reason: "needs tokens.id" },
  ]);
  expect(aligned.level).toBe("turn");
});

test("unscored rollouts stop a method unless they are left out", () => {
  const some = batchFromObjects([
    { id: "a", group: "g", reward: 1, turns: { state: ["s"] } },
    { id: "b", group: "g", reward: 0, turns: { state: ["s"] } },
    { id: "c", group: "g", reward: null, turns: { state: ["s"] } },
  ]);
  const methods = ["grpo", "rloo"].map((id) => ({ method: findMethod(id), params: {} }));
  const leaving = compareMethods(some, methods, { unscored: "leave-out" });
  expect(leaving.skipped).toEqual([]);
  const stopping = compareMethods(some, methods);
  for (const { reason } of stopping.skipped) expect(reason).toContain("--unscored leave-out");
});

test("nothing to compare is an error of the input", () => {
  const methods = [{ method: findMethod("tempo"), params: {} }];
  expect(() => compareMethods(batch, methods)).toThrow(InputError);
  expect(() => compareMethods(batch, methods, { columns: ["turns.nothing"] })).toThrow("turns.nothing");
  expect(() => compareMethods(batch, methods, { columns: ["meta"] })).toThrow(InputError);
});
