import type { Matrix } from "./matching.ts";

/** A pivot this much smaller than the largest entry is nothing but rounding. */
const singularTolerance = 1e-14;

/** Singular values this much smaller than the largest one count as 0. */
const rankTolerance = 1e-12;

/** A square matrix taken apart as P A = L U, both factors in one array. */
export interface Factors {
  readonly size: number;
  readonly values: Float64Array;
  readonly order: Int32Array;
}

function largest(values: Float64Array): number {
  let most = 0;
  for (const x of values) most = Math.max(most, Math.abs(x));
  return most;
}

/** Row at or below k whose entry in column k is the largest. */
function pivotRow(values: Float64Array, size: number, k: number): number {
  let row = k;
  for (let i = k + 1; i < size; i++) {
    if (Math.abs(values[i * size + k]) > Math.abs(values[row * size + k])) row = i;
  }
  return row;
}

/** Gaussian elimination with row pivots, O(n³); `null` when the matrix is singular to rounding. */
export function factorize(matrix: Matrix): Factors | null {
  const size = matrix.rows;
  const values = matrix.values.slice();
  const order = Int32Array.from({ length: size }, (_, i) => i);
  const least = singularTolerance * largest(values);
  for (let k = 0; k < size; k++) {
    const pivot = pivotRow(values, size, k);
    if (!(Math.abs(values[pivot * size + k]) > least)) return null;
    if (pivot !== k) {
      const row = values.slice(k * size, (k + 1) * size);
      values.copyWithin(k * size, pivot * size, (pivot + 1) * size);
      values.set(row, pivot * size);
      [order[k], order[pivot]] = [order[pivot], order[k]];
    }
    for (let i = k + 1; i < size; i++) {
      const factor = values[i * size + k] / values[k * size + k];
      values[i * size + k] = factor;
      if (factor === 0) continue;
      for (let j = k + 1; j < size; j++) values[i * size + j] -= factor * values[k * size + j];
    }
  }
  return { size, values, order };
}

/** x with A x = b, A given by its factors, O(n²). */
export function solveWith({ size, values, order }: Factors, b: ArrayLike<number>): Float64Array {
  const x = Float64Array.from(order, (row) => b[row]);
  for (let i = 1; i < size; i++) for (let j = 0; j < i; j++) x[i] -= values[i * size + j] * x[j];
  for (let i = size - 1; i >= 0; i--) {
    for (let j = i + 1; j < size; j++) x[i] -= values[i * size + j] * x[j];
    x[i] /= values[i * size + i];
  }
  return x;
}

/** x with A x = b; `null` when A is singular to rounding. */
export function solveLinear(matrix: Matrix, b: ArrayLike<number>): Float64Array | null {
  const factors = factorize(matrix);
  return factors === null ? null : solveWith(factors, b);
}

function dot(u: Float64Array, v: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < u.length; k++) sum += u[k] * v[k];
  return sum;
}

/** Turns two columns by the angle whose cosine and sine are c and s. */
function rotate(u: Float64Array, v: Float64Array, c: number, s: number): void {
  for (let k = 0; k < u.length; k++) {
    const x = u[k];
    u[k] = c * x - s * v[k];
    v[k] = s * x + c * v[k];
  }
}

interface Decomposition {
  /** Columns of U Σ. */
  readonly scaled: readonly Float64Array[];
  /** Columns of V. */
  readonly right: readonly Float64Array[];
  readonly singular: Float64Array;
}

/** A = U Σ Vᵀ by one-sided Jacobi rotations (Hestenes, 1958): pairs of columns are turned until all are orthogonal. */
function decompose({ rows, columns, values }: Matrix): Decomposition {
  const scaled = Array.from({ length: columns }, (_, j) =>
    Float64Array.from({ length: rows }, (_, i) => values[i * columns + j]),
  );
  const right = Array.from({ length: columns }, (_, j) => {
    const unit = new Float64Array(columns);
    unit[j] = 1;
    return unit;
  });
  const slack = 1e-16 * Math.max(rows, 8);
  for (let sweep = 0, turned = true; turned && sweep < 60; sweep++) {
    turned = false;
    for (let p = 0; p < columns; p++) {
      for (let q = p + 1; q < columns; q++) {
        const pp = dot(scaled[p], scaled[p]);
        const qq = dot(scaled[q], scaled[q]);
        const pq = dot(scaled[p], scaled[q]);
        if (Math.abs(pq) <= slack * Math.sqrt(pp * qq)) continue;
        turned = true;
        const zeta = (qq - pp) / (2 * pq);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const c = 1 / Math.sqrt(1 + t * t);
        rotate(scaled[p], scaled[q], c, c * t);
        rotate(right[p], right[q], c, c * t);
      }
    }
  }
  return { scaled, right, singular: Float64Array.from(scaled, (u) => Math.sqrt(dot(u, u))) };
}

function scaledDown(matrix: Matrix): { matrix: Matrix; unit: number } {
  const unit = largest(matrix.values) || 1;
  return { matrix: { ...matrix, values: matrix.values.map((x) => x / unit) }, unit };
}

/**
 * Singular values from the smallest to the largest, one per column. Of a symmetric matrix without negative eigenvalues,
 * such as a graph Laplacian, they are the eigenvalues.
 */
export function singularValues(matrix: Matrix): Float64Array {
  const { matrix: small, unit } = scaledDown(matrix);
  return decompose(small)
    .singular.sort()
    .map((x) => x * unit);
}

/**
 * The x that minimises ‖A x − b‖₂ and, of all that do, has the smallest ‖x‖₂. Directions whose singular value is below
 * 1e-12 of the largest are left out.
 */
export function leastSquares(matrix: Matrix, b: ArrayLike<number>): Float64Array {
  const { matrix: small, unit } = scaledDown(matrix);
  const { scaled, right, singular } = decompose(small);
  const x = new Float64Array(matrix.columns);
  const target = Float64Array.from(b);
  const least = rankTolerance * largest(singular);
  singular.forEach((sigma, j) => {
    if (sigma <= least) return;
    const part = dot(scaled[j], target) / sigma / sigma / unit;
    for (let k = 0; k < x.length; k++) x[k] += part * right[j][k];
  });
  return x;
}
