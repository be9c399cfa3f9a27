import fc from "fast-check";
import { expect, test } from "vitest";
import { matrixFromRows } from "../../src/operators/matching.ts";
import { entropicTransport } from "../../src/operators/transport.ts";
import { InputError } from "../../src/rollouts/index.ts";

const problems = fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 })).chain(([rows, columns]) =>
  fc.tuple(
    fc.array(fc.oneof(fc.constantFrom(0, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true })), {
      minLength: rows * columns,
      maxLength: rows * columns,
    }),
    fc.constant(rows),
    fc.constant(columns),
  ),
);

test("both marginals are met, for any strength of the entropy", () => {
  fc.assert(
    fc.property(problems, fc.double({ min: -3, max: 2, noNaN: true }), ([values, rows, columns], log) => {
      const { values: z } = entropicTransport({ rows, columns, values: Float64Array.from(values) }, 10 ** log);
      for (let i = 0; i < rows; i++) {
        const sum = z.subarray(i * columns, (i + 1) * columns).reduce((s, x) => s + x, 0);
        expect(Math.abs(sum - 1 / rows)).toBeLessThan(1e-11);
      }
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        for (let i = 0; i < rows; i++) sum += z[i * columns + j];
        expect(Math.abs(sum - 1 / columns)).toBeLessThan(1e-11);
      }
    }),
    { numRuns: 300 },
  );
});

test("the plan is a scaling of exp(S / reg): cross ratios are those of the kernel", () => {
  fc.assert(
    fc.property(problems, fc.double({ min: 0.2, max: 5, noNaN: true }), ([values, rows, columns], reg) => {
      const { values: z } = entropicTransport({ rows, columns, values: Float64Array.from(values) }, reg);
      const at = (list: ArrayLike<number>, i: number, j: number) => list[i * columns + j];
      for (let i = 1; i < rows; i++) {
        for (let j = 1; j < columns; j++) {
          const plan = Math.log((at(z, 0, 0) * at(z, i, j)) / (at(z, 0, j) * at(z, i, 0)));
          const kernel = (at(values, 0, 0) + at(values, i, j) - at(values, 0, j) - at(values, i, 0)) / reg;
          expect(plan).toBeCloseTo(kernel, 8);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("plain Sinkhorn, iterated long enough, gives the same plan", () => {
  const s = [
    [0.9, 0.1, 0.4],
    [0.2, 0.8, 0.3],
  ];
  const reg = 0.5;
  const k = s.map((row) => row.map((x) => Math.exp(x / reg)));
  const a = [1, 1];
  const b = [1, 1, 1];
  for (let round = 0; round < 5000; round++) {
    for (let i = 0; i < 2; i++) a[i] = 1 / 2 / k[i].reduce((sum, x, j) => sum + x * b[j], 0);
    for (let j = 0; j < 3; j++) b[j] = 1 / 3 / k.reduce((sum, row, i) => sum + row[j] * a[i], 0);
  }
  const { values } = entropicTransport(matrixFromRows(s), reg);
  values.forEach((z, at) => {
    const [i, j] = [Math.floor(at / 3), at % 3];
    expect(z).toBeCloseTo(a[i] * k[i][j] * b[j], 12);
  });
});

test("a small reg gives the optimal assignment, a large one the product of the marginals", () => {
  const s = matrixFromRows([
    [0.9, 0.8],
    [0.8, 0.1],
  ]);
  const sharp = entropicTransport(s, 1e-4).values;
  [0, 0.5, 0.5, 0].forEach((z, k) => {
    expect(sharp[k]).toBeCloseTo(z, 9);
  });
  for (const z of entropicTransport(s, 1e9).values) expect(z).toBeCloseTo(0.25, 8);
});

test("columns that hardly interact do not keep the plan from settling", () => {
  const n = 40;
  const values = Float64Array.from({ length: n * n }, (_, k) => ((k * 7919 + k * k) % 1009) / 1009);
  const { values: z } = entropicTransport({ rows: n, columns: n, values }, 1e-3);
  for (let j = 0; j < n; j++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += z[i * n + j];
    expect(Math.abs(sum - 1 / n)).toBeLessThan(1e-11);
  }
});

test("empty sides give an empty plan; a reg that cannot work is refused", () => {
  expect(entropicTransport({ rows: 0, columns: 0, values: new Float64Array(0) }, 1).values.length).toBe(0);
  expect(entropicTransport({ rows: 3, columns: 0, values: new Float64Array(0) }, 1).rows).toBe(3);
  const s = matrixFromRows([[0.1, 0.7]]);
  for (const reg of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => entropicTransport(s, reg)).toThrow(InputError);
  }
  expect(() => entropicTransport(s, 1e-14)).toThrow(/raise reg/);
});
