import fc from "fast-check";
import { expect, test } from "vitest";
import { leaveOneOut, leaveOneOutStretch, weightedBaseline } from "../../src/operators/baselines.ts";
import { expectNear, meanOf, numbers, pooled } from "./arbitraries.ts";

const onePool = (rows: number) => ({ of: new Int32Array(rows), count: 1 });
const members = (rows: { pool: number; valid: number }[], i: number) =>
  rows.map((_, j) => j).filter((j) => rows[j].pool === rows[i].pool && rows[j].valid === 1);
const counts = ({ pool, valid }: { pool: number; valid: number }) => pool >= 0 && valid === 1;

test("leave-one-out compares every member with the mean of the others of its pool", () => {
  fc.assert(
    fc.property(
      pooled,
      fc.constantFrom("zero" as const, "raw" as const),
      ({ rows, values, pools, valid }, singleton) => {
        const { baseline, advantage } = leaveOneOut(values, pools, { singleton, valid });
        const expected = rows.map((row, i) => {
          if (!counts(row)) return 0;
          const others = members(rows, i).filter((j) => j !== i);
          if (others.length > 0) return meanOf(others.map((j) => rows[j].x));
          return singleton === "raw" ? 0 : row.x;
        });
        expectNear(baseline, expected);
        expectNear(
          advantage,
          rows.map((row, i) => (counts(row) ? row.x - expected[i] : 0)),
        );
      },
    ),
  );
});

test("pools of equal values give exact zeros and the value as baseline", () => {
  fc.assert(
    fc.property(numbers, fc.integer({ min: 2, max: 9 }), (x, n) => {
      const values = new Float32Array(n).fill(x);
      const weights = Float64Array.from({ length: n }, (_, i) => i / 3);
      for (const { baseline, advantage } of [
        leaveOneOut(values, onePool(n)),
        weightedBaseline(values, weights, onePool(n)),
      ]) {
        expect([...advantage]).toEqual(new Array(n).fill(0));
        expect([...baseline]).toEqual([...values]);
      }
    }),
  );
});

test("leave-one-out keeps differences of one between numbers near 1e15", () => {
  expect([...leaveOneOut([1e15, 1e15 + 1], onePool(2)).advantage]).toEqual([-1, 1]);
});

test("the stretched form agrees with leave-one-out on the means and shares the sum over parts", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(numbers, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 6 }),
      (lists) => {
        const means = lists.map(meanOf);
        const { centre, factor } = leaveOneOutStretch(means, onePool(lists.length));
        const { advantage } = leaveOneOut(means, onePool(lists.length));
        expectNear(
          means.map((m, i) => factor[i] * (m - centre[i])),
          advantage,
        );
        // Kool et al.: K/(K−1) x − Σ m / (K − 1), summed over the parts of a row, is its length times the row's advantage.
        const total = means.reduce((sum, m) => sum + m, 0);
        const k = lists.length;
        lists.forEach((list, i) => {
          const sum = list.reduce((s, x) => s + (x * k) / (k - 1) - total / (k - 1), 0);
          expectNear([list.reduce((s, x) => s + factor[i] * (x - centre[i]), 0)], [sum], 1e-8);
        });
      },
    ),
  );
});

test("the stretched form leaves a member that is alone as it is, and rows outside at 0", () => {
  const { centre, factor } = leaveOneOutStretch(
    [5, 7, 9],
    { of: Int32Array.of(0, -1, 1), count: 2 },
    Uint8Array.of(1, 1, 0),
  );
  expect([...centre]).toEqual([0, 0, 0]);
  expect([...factor]).toEqual([1, 0, 0]);
});

test("the weighted baseline is the weighted mean, the plain one where nothing weighs", () => {
  fc.assert(
    fc.property(pooled, ({ rows, values, pools, valid, weights }) => {
      const { baseline, advantage } = weightedBaseline(values, weights, pools, { valid });
      rows.forEach((row, i) => {
        if (!counts(row)) {
          expect([baseline[i], advantage[i]]).toEqual([0, 0]);
          return;
        }
        const all = members(rows, i);
        const weight = all.reduce((sum, j) => sum + rows[j].weight, 0);
        const shares = all.map((j) => rows[j].x * (weight > 0 ? rows[j].weight / weight : 1 / all.length));
        const expected = all.length === 1 ? row.x : shares.reduce((sum, x) => sum + x, 0);
        expectNear([baseline[i], advantage[i]], [expected, row.x - expected]);
      });
    }),
  );
});

test("scaling all weights changes nothing, and the weighted advantages of a pool sum to 0", () => {
  fc.assert(
    fc.property(pooled, fc.double({ min: 1e-6, max: 1e6, noNaN: true }), ({ rows, values, pools, weights }, scale) => {
      const plain = weightedBaseline(values, weights, pools);
      const scaled = weightedBaseline(
        values,
        weights.map((w) => scale * w),
        pools,
      );
      expectNear(scaled.advantage, plain.advantage);
      for (let pool = 0; pool < pools.count; pool++) {
        const inside = rows.flatMap((row, i) => (row.pool === pool ? [i] : []));
        if (inside.length < 2) continue;
        expectNear([inside.reduce((sum, i) => sum + weights[i] * plain.advantage[i], 0)], [0], 1e-8);
      }
    }),
  );
});

test("a weighted pool of one keeps its value when asked", () => {
  const { baseline, advantage } = weightedBaseline([0.7], [3], onePool(1), { singleton: "raw" });
  expect([...baseline, ...advantage]).toEqual([0, 0.7]);
});

test("the order of rows only orders the baselines", () => {
  fc.assert(
    fc.property(pooled, ({ values, pools, valid, weights }) => {
      const back = <T extends Float64Array | Int32Array | Uint8Array>(list: T) => list.slice().reverse() as T;
      const turned = { of: back(pools.of), count: pools.count };
      const loo = leaveOneOut(back(values), turned, { valid: back(valid) });
      expectNear(back(loo.advantage), leaveOneOut(values, pools, { valid }).advantage);
      const weighted = weightedBaseline(back(values), back(weights), turned, { valid: back(valid) });
      expectNear(back(weighted.advantage), weightedBaseline(values, weights, pools, { valid }).advantage);
    }),
  );
});

test("no rows give no baselines", () => {
  expect(leaveOneOut([], { of: new Int32Array(0), count: 0 }).advantage).toHaveLength(0);
  expect(weightedBaseline([], [], { of: new Int32Array(0), count: 0 }).baseline).toHaveLength(0);
});
