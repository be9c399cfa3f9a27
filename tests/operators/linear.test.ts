import fc from "fast-check";
import { expect, test } from "vitest";
import { leastSquares, singularValues, solveLinear } from "../../src/operators/linear.ts";
import type { Matrix } from "../../src/operators/matching.ts";

const entry = fc.integer({ min: -40, max: 40 }).map((x) => x / 8);
const matrices = (rows: fc.Arbitrary<number>, columns: fc.Arbitrary<number>) =>
  fc
    .tuple(rows, columns)
    .chain(([n, m]) =>
      fc
        .array(entry, { minLength: n * m, maxLength: n * m })
        .map((values): Matrix => ({ rows: n, columns: m, values: Float64Array.from(values) })),
    );
const size = fc.integer({ min: 1, max: 6 });

function times({ rows, columns, values }: Matrix, x: ArrayLike<number>): number[] {
  return Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += values[i * columns + j] * x[j];
    return sum;
  });
}

function transposed({ rows, columns, values }: Matrix): Matrix {
  const flipped = Float64Array.from({ length: rows * columns }, (_, k) => {
    return values[(k % rows) * columns + Math.floor(k / rows)];
  });
  return { rows: columns, columns: rows, values: flipped };
}

/** Entry by entry within a distance that grows with the numbers. */
function close(actual: ArrayLike<number>, expected: ArrayLike<number>, slack: number): void {
  expect(actual.length).toBe(expected.length);
  for (let k = 0; k < expected.length; k++) expect(Math.abs(actual[k] - expected[k])).toBeLessThan(slack);
}

test("the solution of a square system solves it", () => {
  fc.assert(
    fc.property(
      size.chain((n) =>
        fc.tuple(matrices(fc.constant(n), fc.constant(n)), fc.array(entry, { minLength: n, maxLength: n })),
      ),
      ([matrix, b]) => {
        for (let i = 0; i < matrix.rows; i++) matrix.values[i * matrix.rows + i] += 40;
        const x = solveLinear(matrix, b);
        close(times(matrix, x ?? []), b, 1e-12);
      },
    ),
  );
});

test("rows are swapped where a pivot is 0, and a singular matrix has no solution", () => {
  const swap: Matrix = { rows: 3, columns: 3, values: Float64Array.of(0, 1, 0, 0, 0, 2, 4, 0, 0) };
  expect([...(solveLinear(swap, [5, 6, 8]) ?? [])]).toEqual([2, 5, 3]);
  const singular: Matrix = { rows: 2, columns: 2, values: Float64Array.of(0.1, 0.3, 0.2, 0.6) };
  expect(solveLinear(singular, [1, 2])).toBeNull();
});

test("least squares: the residual is orthogonal to the columns, and the solution to the null space", () => {
  fc.assert(
    fc.property(
      matrices(size, size).chain((matrix) =>
        fc.tuple(
          fc.constant(matrix),
          fc.array(entry, { minLength: matrix.rows, maxLength: matrix.rows }),
          fc.boolean(),
        ),
      ),
      ([matrix, b, dependent]) => {
        // A last column that repeats the first one leaves a direction undecided.
        const { rows, columns, values } = matrix;
        if (dependent) for (let i = 0; i < rows; i++) values[i * columns + columns - 1] = 2 * values[i * columns];
        const singular = singularValues(matrix).filter((x) => x > 1e-9);
        fc.pre(singular.length === 0 || singular[singular.length - 1] / singular[0] < 1e4);
        const x = leastSquares(matrix, b);
        const residual = times(matrix, x).map((y, i) => b[i] - y);
        close(times(transposed(matrix), residual), new Array(columns).fill(0), 1e-7);
        if (dependent && columns > 1)
          expect(Math.abs(x[columns - 1] - 2 * x[0])).toBeLessThan(1e-7 * (1 + Math.abs(x[0])));
      },
    ),
  );
});

test("singular values: their squares sum to the squares of the entries, and known ones come out", () => {
  fc.assert(
    fc.property(matrices(size, size), (matrix) => {
      const squares = (values: Float64Array) => values.reduce((sum, x) => sum + x * x, 0);
      const all = squares(matrix.values);
      expect(Math.abs(squares(singularValues(matrix)) - all)).toBeLessThan(1e-10 * (1 + all));
    }),
  );
  // The Laplacian of a path of three: 0, 1, 3.
  const path: Matrix = { rows: 3, columns: 3, values: Float64Array.of(1, -1, 0, -1, 2, -1, 0, -1, 1) };
  close(singularValues(path), [0, 1, 3], 1e-12);
  close(singularValues({ ...path, values: path.values.map((x) => x * 1e200) }), [0, 1e200, 3e200], 1e188);
  expect([...leastSquares({ rows: 2, columns: 2, values: new Float64Array(4) }, [1, 2])]).toEqual([0, 0]);
});
