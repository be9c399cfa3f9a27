import fc from "fast-check";
import { expect, test } from "vitest";
import { agreement, type PairTable } from "../../src/analysis/agreement.ts";

const number = fc.oneof(
  fc.constantFrom(0, 0, 1, -1),
  fc.integer({ min: -1000, max: 1000 }).map((x) => x / 7),
);

/** Two to four lists of one length. */
const lists = fc
  .tuple(fc.integer({ min: 2, max: 4 }), fc.integer({ min: 0, max: 12 }))
  .chain(([count, length]) =>
    fc.array(fc.array(number, { minLength: length, maxLength: length }), { minLength: count, maxLength: count }),
  )
  .map((all) => all.map((list) => Float64Array.from(list)));

const tables = (values: readonly Float64Array[]): PairTable[] => {
  const { spearman, pearson, sameSign, oppositeSign } = agreement(values);
  return [spearman, pearson, sameSign, oppositeSign];
};

test("every table is symmetric", () => {
  fc.assert(
    fc.property(lists, (values) => {
      for (const table of tables(values)) {
        table.forEach((row, a) => {
          row.forEach((value, b) => {
            expect(value).toBe(table[b][a]);
          });
        });
      }
    }),
  );
});

test("a series agrees with itself wholly, or says nothing", () => {
  fc.assert(
    fc.property(lists, (values) => {
      const { spearman, pearson, sameSign, oppositeSign, nonZero } = agreement(values);
      values.forEach((list, k) => {
        const constant = list.every((x) => x === list[0]);
        for (const table of [spearman, pearson]) {
          if (constant) expect(table[k][k]).toBeNull();
          else expect(table[k][k]).toBeCloseTo(1, 12);
        }
        expect(sameSign[k][k]).toBe(nonZero[k] === 0 ? null : 1);
        expect(oppositeSign[k][k]).toBe(nonZero[k] === 0 ? null : 0);
      });
    }),
  );
});

test("turning the signs of one series turns its correlations and swaps equal and opposite signs", () => {
  fc.assert(
    fc.property(lists, (values) => {
      const turned = [values[0].map((x) => -x), ...values.slice(1)];
      const before = agreement(values);
      const after = agreement(turned);
      const [s, t] = [before.spearman[0][1], after.spearman[0][1]];
      if (s === null) expect(t).toBeNull();
      else expect(t).toBeCloseTo(-s, 9);
      expect(after.sameSign[0][1]).toBe(before.oppositeSign[0][1]);
    }),
  );
});

test("ranks do not change under a monotone map, so Spearman does not either", () => {
  fc.assert(
    fc.property(lists, (values) => {
      const mapped = [values[0].map((x) => (x > 0 ? 8 * x : 2 * x)), ...values.slice(1)];
      const [s, t] = [agreement(values).spearman[0][1], agreement(mapped).spearman[0][1]];
      if (s === null) expect(t).toBeNull();
      else expect(t).toBeCloseTo(s, 9);
    }),
  );
});

test("signs count rows where at least one of the two is not 0", () => {
  const { sameSign, oppositeSign, nonZero } = agreement([
    Float64Array.of(1, -1, 0, 2, 0),
    Float64Array.of(2, 1, 0, 0, -3),
  ]);
  expect(nonZero).toEqual([3 / 5, 3 / 5]);
  expect(sameSign[0][1]).toBe(1 / 4);
  expect(oppositeSign[0][1]).toBe(1 / 4);
});
