import fc from "fast-check";
import { expect, test } from "vitest";
import { greedyMatching, type Matrix, matrixFromRows, maxWeightMatching } from "../../src/operators/matching.ts";
import { InputError } from "../../src/rollouts/index.ts";

/** Weights with many ties, zeros and a few negative entries, up to 6 × 6. */
const matrices = fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 })).chain(([rows, columns]) =>
  fc
    .array(fc.oneof(fc.constantFrom(0, 0.25, 0.5, 0.75, 1), fc.double({ min: -1, max: 1, noNaN: true })), {
      minLength: rows * columns,
      maxLength: rows * columns,
    })
    .map((values): Matrix => ({ rows, columns, values: Float64Array.from(values) })),
);

function weightOf({ columns, values }: Matrix, partners: ArrayLike<number>): number {
  return Array.from(partners).reduce((sum: number, j, i) => sum + (j < 0 ? 0 : values[i * columns + j]), 0);
}

/** Every matching by trying each free column, and none, for each row in turn. */
function allMatchings({ rows, columns, values }: Matrix): number[][] {
  const found: number[][] = [];
  const extend = (partners: number[], free: Set<number>) => {
    const i = partners.length;
    if (i === rows) {
      found.push(partners);
      return;
    }
    extend([...partners, -1], free);
    for (const j of free) {
      if (values[i * columns + j] <= 0) continue;
      extend([...partners, j], new Set([...free].filter((k) => k !== j)));
    }
  };
  extend([], new Set(Array.from({ length: columns }, (_, j) => j)));
  return found;
}

test("no other matching outweighs the maximum-weight matching", () => {
  fc.assert(
    fc.property(matrices, (m) => {
      const partners = maxWeightMatching(m);
      const used = [...partners].filter((j) => j >= 0);
      expect(new Set(used).size).toBe(used.length);
      partners.forEach((j, i) => {
        if (j >= 0) expect(m.values[i * m.columns + j]).toBeGreaterThan(0);
      });
      const best = Math.max(...allMatchings(m).map((p) => weightOf(m, p)));
      expect(weightOf(m, partners)).toBeCloseTo(best, 12);
    }),
    { numRuns: 300 },
  );
});

test("among equal matchings the first row has the heaviest column it can have, then the second", () => {
  const quarters = fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }))
    .chain(([rows, columns]) =>
      fc
        .array(fc.constantFrom(0, 0.25, 0.5, 1), { minLength: rows * columns, maxLength: rows * columns })
        .map((values): Matrix => ({ rows, columns, values: Float64Array.from(values) })),
    );
  fc.assert(
    fc.property(quarters, (m) => {
      const all = allMatchings(m);
      const best = Math.max(...all.map((p) => weightOf(m, p)));
      // Quarters add exactly, so equal sums are equal. Order: per row the weight (descending), then the column.
      const weight = (p: number[], i: number) => (p[i] < 0 ? 0 : m.values[i * m.columns + p[i]]);
      const [expected] = all
        .filter((p) => weightOf(m, p) === best)
        .sort((p, q) => {
          for (let i = 0; i < m.rows; i++) {
            const order = weight(q, i) - weight(p, i) || p[i] - q[i];
            if (order !== 0) return order;
          }
          return 0;
        });
      expect([...maxWeightMatching(m)]).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});

test("of two equal rows for one column the first is paid, whichever way the matrix is long", () => {
  expect([...maxWeightMatching(matrixFromRows([[1], [1]]))]).toEqual([0, -1]);
  expect([...maxWeightMatching(matrixFromRows([[1, 1]]))]).toEqual([0]);
  expect([
    ...maxWeightMatching(
      matrixFromRows([
        [0.3, 0.5],
        [0.3, 0.5],
      ]),
    ),
  ]).toEqual([1, 0]);
});

test("greedy takes the heaviest free pair, lower row then lower column first", () => {
  fc.assert(
    fc.property(matrices, (m) => {
      const rows = new Set(Array.from({ length: m.rows }, (_, i) => i));
      const columns = new Set(Array.from({ length: m.columns }, (_, j) => j));
      const expected = new Array(m.rows).fill(-1);
      for (;;) {
        let pair: [number, number] | null = null;
        let heaviest = 0;
        for (const i of rows) {
          for (const j of columns) {
            const w = m.values[i * m.columns + j];
            if (w > heaviest) {
              heaviest = w;
              pair = [i, j];
            }
          }
        }
        if (pair === null) break;
        expected[pair[0]] = pair[1];
        rows.delete(pair[0]);
        columns.delete(pair[1]);
      }
      expect([...greedyMatching(m)]).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

test("greedy can lose to the optimum", () => {
  const m = matrixFromRows([
    [0.9, 0.8],
    [0.8, 0.1],
  ]);
  expect([...greedyMatching(m)]).toEqual([0, 1]);
  expect([...maxWeightMatching(m)]).toEqual([1, 0]);
});

test("a large matrix is matched as well as its planted permutation", () => {
  const n = 200;
  const values = Float64Array.from({ length: n * n }, (_, k) => ((k * 7919) % 1000) / 2000);
  for (let i = 0; i < n; i++) values[i * n + ((i * 37) % n)] = 1;
  expect([...maxWeightMatching({ rows: n, columns: n, values })]).toEqual(
    Array.from({ length: n }, (_, i) => (i * 37) % n),
  );
});

test("a ragged or non-finite matrix is refused", () => {
  expect(() => matrixFromRows([[1, 2], [3]])).toThrow(InputError);
  expect(() => matrixFromRows([[1, Number.NaN]], "similarity")).toThrow(/similarity.*\(0, 1\)/);
  expect(() => matrixFromRows([[1, null]])).toThrow(InputError);
  expect(() => matrixFromRows("x")).toThrow(InputError);
  expect(() => matrixFromRows([1, 2])).toThrow(InputError);
});
