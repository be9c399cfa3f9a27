import { leastSquares } from "../../operators/linear.ts";

const fewEnough = 10;

function objective(gram: Float64Array, n: number, a: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) sum += a[i] * gram[i * n + j] * a[j];
  return sum;
}

/** Stationary point on a support with the other weights at the floor: of all of them, the one of smallest norm. */
function onSupport(gram: Float64Array, n: number, floor: number, support: readonly number[]): Float64Array | null {
  const m = support.length;
  const values = new Float64Array((m + 1) * (m + 1));
  const right = new Float64Array(m + 1);
  const outside = Array.from({ length: n }, (_, k) => k).filter((k) => !support.includes(k));
  support.forEach((i, row) => {
    support.forEach((j, col) => {
      values[row * (m + 1) + col] = gram[i * n + j];
    });
    values[row * (m + 1) + m] = 1;
    values[m * (m + 1) + row] = 1;
    right[row] = 0 - outside.reduce((sum, j) => sum + gram[i * n + j] * floor, 0);
  });
  right[m] = 1 - floor * outside.length;
  const solved = leastSquares({ rows: m + 1, columns: m + 1, values }, right);
  const weights = new Float64Array(n).fill(floor);
  for (let row = 0; row < m; row++) {
    if (solved[row] < floor - 1e-12) return null;
    weights[support[row]] = Math.max(solved[row], floor);
  }
  return weights;
}

function bySupports(gram: Float64Array, n: number, floor: number): Float64Array {
  let best: Float64Array = new Float64Array(n).fill(1 / n);
  let value = objective(gram, n, best);
  let squares = 1 / n;
  const scale = Math.max(...Array.from({ length: n }, (_, k) => gram[k * n + k]));
  for (let bits = 1; bits < 1 << n; bits++) {
    const support = Array.from({ length: n }, (_, k) => k).filter((k) => (bits >> k) & 1);
    const weights = onSupport(gram, n, floor, support);
    if (weights === null) continue;
    const next = objective(gram, n, weights);
    const size = weights.reduce((sum, a) => sum + a * a, 0);
    const slack = 1e-12 * scale;
    if (next < value - slack || (next < value + slack && size < squares - 1e-12)) {
      best = weights;
      value = next;
      squares = size;
    }
  }
  return best;
}

/** Euclidean projection onto {a : Σ a = 1, a ≥ floor}. */
function project(point: Float64Array, floor: number): Float64Array {
  const sorted = Float64Array.from(point).sort().reverse();
  const total = 1 - floor * point.length;
  let sum = 0;
  let shift = 0;
  for (let k = 0; k < sorted.length; k++) {
    sum += sorted[k] - floor;
    const candidate = (sum - total) / (k + 1);
    if (sorted[k] - floor - candidate > 0) shift = candidate;
  }
  return point.map((x) => Math.max(x - floor - shift, 0) + floor);
}

/** Accelerated projected gradient, for more gradients than supports can be listed. */
function byDescent(gram: Float64Array, n: number, floor: number): Float64Array {
  let lipschitz = 0;
  for (let i = 0; i < n; i++) {
    let row = 0;
    for (let j = 0; j < n; j++) row += Math.abs(gram[i * n + j]);
    lipschitz = Math.max(lipschitz, row);
  }
  let weights: Float64Array = new Float64Array(n).fill(1 / n);
  if (lipschitz === 0) return weights;
  let ahead: Float64Array = weights;
  let momentum = 1;
  for (let round = 0; round < 20000; round++) {
    const step = ahead.map((a, i) => {
      let slope = 0;
      for (let j = 0; j < n; j++) slope += gram[i * n + j] * ahead[j];
      return a - slope / lipschitz;
    });
    const next = project(step, floor);
    const grown = (1 + Math.sqrt(1 + 4 * momentum * momentum)) / 2;
    const previous = weights;
    ahead = next.map((a, k) => a + ((momentum - 1) / grown) * (a - previous[k]));
    const moved = next.reduce((sum, a, k) => sum + Math.abs(a - previous[k]), 0);
    weights = next;
    momentum = grown;
    if (moved < 1e-15) break;
  }
  return weights;
}

/**
 * Weights of the shortest vector in the convex hull of K vectors: argmin ½ αᵀ G α with Σ α = 1 and α ≥ floor, where
 * G is their Gram matrix (K × K, row by row). Ties go to the smallest sum of squares. Exact up to ten vectors; beyond, by
 * accelerated projected gradient.
 */
export function minNormWeights(gram: Float64Array, n: number, floor: number): Float64Array {
  const least = floor * n >= 1 ? 1 / n : floor;
  return n <= fewEnough ? bySupports(gram, n, least) : byDescent(gram, n, least);
}
