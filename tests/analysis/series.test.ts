import fc from "fast-check";
import { expect, test } from "vitest";
import { isFiner, rowsAbove } from "../../src/analysis/levels.ts";
import {
  align,
  commonLevel,
  creditAtLevel,
  isSpread,
  seriesOfColumn,
  seriesOfMethod,
} from "../../src/analysis/series.ts";
import { creditSpreads } from "../../src/analysis/spread.ts";
import { assign } from "../../src/methods/assign.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

const batch = batchFromObjects([
  {
    id: "a",
    group: "g",
    reward: 1,
    advantage: 2,
    turns: { end: [3, 5], advantage: [1, -1] },
    steps: { end: [2, 3, 5], advantage: [4, 5, 6] },
    tokens: { id: [1, 2, 3, 4, 5], mask: [1, 1, 0, 1, 1], advantage: [1, 3, 0, -2, -4] },
  },
  {
    id: "b",
    group: "g",
    reward: 0,
    advantage: -2,
    turns: { end: [2], advantage: [null] },
    steps: { end: [2], advantage: [7] },
    tokens: { id: [1, 9], mask: [1, 1], advantage: [0.5, 0] },
  },
]);

const series = (path: string) => {
  const found = seriesOfColumn(batch, path);
  if (found === null) throw new Error(path);
  return found;
};

test("rows of one level know the row of a coarser one that they lie in", () => {
  expect([...rowsAbove(batch, "token", "turn")]).toEqual([0, 0, 0, 1, 1, 2, 2]);
  expect([...rowsAbove(batch, "token", "step")]).toEqual([0, 0, 1, 2, 2, 3, 3]);
  expect([...rowsAbove(batch, "step", "turn")]).toEqual([0, 0, 1, 2]);
  expect([...rowsAbove(batch, "turn", "rollout")]).toEqual([0, 0, 1]);
  expect([...rowsAbove(batch, "turn", "turn")]).toEqual([0, 1, 2]);
  expect(isFiner("token", "turn")).toBe(true);
  expect(isFiner("turn", "step")).toBe(false);
});

test("turns without token offsets cannot be placed against tokens", () => {
  const loose = batchFromObjects([{ id: "a", turns: { reward: [1, 2] }, tokens: { id: [1, 2] } }]);
  expect(() => rowsAbove(loose, "token", "turn")).toThrow("turns.end");
  const turns = seriesOfColumn(loose, "turns.reward");
  expect(turns && creditAtLevel(loose, turns, "token")).toBeNull();
});

test("coarser credit is given to every row, finer credit becomes the mean over the policy's tokens", () => {
  expect([...(creditAtLevel(batch, series("rollout.advantage"), "turn")?.values ?? [])]).toEqual([2, 2, -2]);
  const spread = creditAtLevel(batch, series("turns.advantage"), "token");
  expect([...(spread?.values ?? [])]).toEqual([1, 1, 1, -1, -1, 0, 0]);
  expect([...(spread?.valid ?? [])]).toEqual([1, 1, 1, 1, 1, 0, 0]);
  expect([...(creditAtLevel(batch, series("tokens.advantage"), "turn")?.values ?? [])]).toEqual([2, -3, 0.25]);
  expect([...(creditAtLevel(batch, series("tokens.advantage"), "rollout")?.values ?? [])]).toEqual([-0.5, 0.25]);
  expect([...(creditAtLevel(batch, series("steps.advantage"), "turn")?.values ?? [])]).toEqual([4.5, 6, 7]);
  expect([...(creditAtLevel(batch, series("turns.advantage"), "step")?.values ?? [])]).toEqual([1, 1, -1, 0]);
});

test("series meet at the finest level that all give, else at the finest of any", () => {
  const tokens = series("tokens.advantage");
  const turns = series("turns.advantage");
  const both = { name: "both", levels: { ...tokens.levels, ...turns.levels } };
  expect(commonLevel([tokens, both])).toBe("token");
  expect(commonLevel([turns, both])).toBe("turn");
  expect(commonLevel([turns, tokens])).toBe("token");
  expect(commonLevel([series("rollout.advantage"), turns])).toBe("turn");
  expect(isSpread(turns, "token")).toBe(true);
  expect(isSpread(both, "token")).toBe(false);
  expect(isSpread(both, "rollout")).toBe(false);
});

test("only the policy's rows with a number from all are compared", () => {
  const aligned = align(batch, [series("tokens.advantage"), series("turns.advantage")]);
  expect(aligned.level).toBe("token");
  expect([...aligned.rows]).toEqual([0, 1, 3, 4]);
  expect(aligned.leftOut).toBe(2);
  expect(aligned.values.map((list) => [...list])).toEqual([
    [1, 3, -2, -4],
    [1, 1, -1, -1],
  ]);
  expect(aligned.paths).toEqual(["tokens.advantage", "turns.advantage"]);
});

test("what rounding leaves behind counts as 0", () => {
  const noisy = batchFromObjects([{ id: "a", turns: { advantage: [5, 1e-12, -1e-12] } }]);
  const found = seriesOfColumn(noisy, "turns.advantage");
  expect(found && [...align(noisy, [found]).values[0]]).toEqual([5, 0, 0]);
});

test("the credit of a method is its advantage, at every level at which it wrote it", () => {
  const after = assign(batch, "grpo");
  const found = seriesOfMethod(batch, after, "grpo", ["rollout.advantage", "tokens.advantage", "tokens.weight"]);
  expect(Object.entries(found?.levels ?? {}).map(([level, credit]) => [level, credit?.path])).toEqual([
    ["token", "tokens.advantage"],
    ["rollout", "rollout.advantage"],
  ]);
});

test("without an advantage a method's credit is its reward, else the first numbers that it writes", () => {
  const before = batchFromObjects([{ id: "a", turns: { x: [1, 2] } }]);
  const rewarded = before.with({ "turns.reward": Float64Array.of(1, 2), "turns.keep": Float64Array.of(1, 0) });
  expect(seriesOfMethod(before, rewarded, "m", ["turns.keep"])?.levels.turn?.path).toBe("turns.reward");
  const kept = before.with({ "turns.label": ["a", "b"], "turns.keep": Float64Array.of(1, 0) });
  expect(seriesOfMethod(before, kept, "m", ["turns.label", "turns.keep"])?.levels.turn?.path).toBe("turns.keep");
  expect(seriesOfMethod(before, before.with({ "turns.label": ["a", "b"] }), "m", ["turns.label"])).toBeNull();
});

test("spread is the largest minus the smallest credit of the policy's rows of each rollout", () => {
  const credit = series("tokens.advantage").levels.token;
  expect(credit && [...creditSpreads(batch, "token", credit)]).toEqual([7, 0.5]);
  const turns = series("turns.advantage").levels.turn;
  expect(turns && [...creditSpreads(batch, "turn", turns)]).toEqual([2, 0]);
});

test("pooling what was spread gives the same numbers back", () => {
  const shape = fc.array(
    fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: -9, max: 9 })), { minLength: 1 }),
    {
      minLength: 1,
      maxLength: 4,
    },
  );
  fc.assert(
    fc.property(shape, (rollouts) => {
      const made = batchFromObjects(
        rollouts.map((turns, i) => {
          let end = 0;
          const ends = turns.map(([length]) => {
            end += length;
            return end;
          });
          return {
            id: `${i}`,
            turns: { end: ends, credit: turns.map(([, c]) => c) },
            tokens: { id: new Array(end).fill(0) },
          };
        }),
      );
      const turns = seriesOfColumn(made, "turns.credit");
      const spread = turns && creditAtLevel(made, turns, "token");
      const back = spread && creditAtLevel(made, { name: "x", levels: { token: spread } }, "turn");
      expect([...(back?.values ?? [])]).toEqual(rollouts.flatMap((list) => list.map(([, c]) => c)));
    }),
  );
});
