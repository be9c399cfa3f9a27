import fc from "fast-check";
import { expect, test } from "vitest";
import { weightedVote } from "../../src/operators/votes.ts";

const votes = fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.integer({ min: -3, max: 5 })), { maxLength: 12 });

test("the winner is the first key, by first appearance, with the largest total", () => {
  fc.assert(
    fc.property(votes, (list) => {
      const keys = list.map(([key]) => key);
      const totals = [...new Set(keys)].map((key) => ({
        key,
        total: list.reduce((sum, [other, weight]) => (other === key ? sum + weight : sum), 0),
      }));
      const most = Math.max(...totals.map(({ total }) => total));
      const expected = totals.find(({ total }) => total === most) ?? null;
      expect(
        weightedVote(
          keys,
          list.map(([, weight]) => weight),
        ),
      ).toEqual(expected);
    }),
  );
});

test("without weights the majority wins, ties go to the key seen first, also across rounding", () => {
  expect(weightedVote(["x", "y", "y", "x", "z"])).toEqual({ key: "x", total: 2 });
  expect(weightedVote([1, 2], [0.3, 0.1 + 0.2])?.key).toBe(1);
  expect(weightedVote([])).toBeNull();
});
