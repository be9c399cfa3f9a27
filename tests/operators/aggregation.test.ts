import fc from "fast-check";
import { expect, test } from "vitest";
import { aggregations, rowWeights } from "../../src/operators/aggregation.ts";
import { expectNear } from "./arbitraries.ts";

/** Losses of policy tokens per row, and how many tokens of the environment stand beside them. */
const rows = fc.array(
  fc.record({ losses: fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { maxLength: 5 }), others: fc.nat(3) }),
  { maxLength: 6 },
);
const sum = (list: readonly number[]) => list.reduce((total, x) => total + x, 0);
const mean = (list: readonly number[]) => (list.length === 0 ? 0 : sum(list) / list.length);

test("weights make the sum over tokens the mean that each mode names", () => {
  fc.assert(
    fc.property(rows, (list) => {
      const written = list.map(({ losses }) => losses).filter((losses) => losses.length > 0);
      const longest = Math.max(0, ...list.map(({ losses, others }) => losses.length + others));
      const expected = {
        "token-mean": mean(written.flat()),
        "token-sum": sum(written.flat()),
        "seq-mean-token-sum": mean(written.map(sum)),
        "seq-mean-token-mean": mean(written.map(mean)),
        "seq-mean-token-sum-norm": mean(written.map((losses) => sum(losses) / longest)),
      };
      for (const mode of aggregations) {
        const u = rowWeights(
          mode,
          list.map(({ losses }) => losses.length),
          list.map(({ losses, others }) => losses.length + others),
        );
        expectNear([sum(list.map(({ losses }, i) => u[i] * sum(losses)))], [expected[mode]]);
      }
    }),
  );
});

test("rows without policy tokens weigh nothing and do not count as rows", () => {
  for (const mode of aggregations) expect(rowWeights(mode, [0, 2, 0], [3, 2, 0])[0]).toBe(0);
  expect([...rowWeights("seq-mean-token-sum", [0, 2, 0], [3, 2, 0])]).toEqual([0, 1, 0]);
});

test("a given loss scale replaces the longest row", () => {
  expect([...rowWeights("seq-mean-token-sum-norm", [1, 2], [4, 2], 8)]).toEqual([1 / 16, 1 / 16]);
  expect([...rowWeights("seq-mean-token-sum-norm", [1, 2], [4, 2])]).toEqual([1 / 8, 1 / 8]);
});
