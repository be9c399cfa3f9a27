import { InputError } from "../rollouts/index.ts";
import { solveCholesky } from "./cholesky.ts";
import type { Matrix } from "./matching.ts";

/** A transport problem with the state of its solution: prices of the columns, and what follows from them. */
interface Transport {
  readonly rows: number;
  readonly columns: number;
  readonly similarity: Float64Array;
  /** g: price of each column. */
  readonly prices: Float64Array;
  /** log Σ_j exp((S_ij + g_j) / reg) of each row. */
  readonly rowLogs: Float64Array;
  /** Z, with row sums 1/m. */
  readonly plan: Float64Array;
  /** Column sums of Z. */
  readonly sums: Float64Array;
}

/**
 * Entropic optimal transport between two uniform distributions: the plan Z that minimises ⟨Z, −S⟩ − reg · H(Z) among
 * all plans with row sums 1/m and column sums 1/n (arXiv 1306.0895), both to an error below 1e-12.
 *
 * Z_ij = exp((S_ij + f_i + g_j) / reg), and works on its logarithm: Sinkhorn's alternating updates bring the prices g
 * near, Newton's method on the dual in g makes them exact, and a small `reg` is approached from larger ones.
 * @returns the plan in the shape of `similarity`, which is empty when a side of it is empty.
 * @throws InputError when `reg` is not above 0, or so small that double precision cannot hold the marginals.
 */
export function entropicTransport(similarity: Matrix, reg: number): Matrix {
  if (!(reg > 0) || !Number.isFinite(reg)) {
    throw new InputError("reg is not valid", { expected: "a finite number above 0", got: `${reg}` });
  }
  const { rows, columns, values } = similarity;
  if (rows === 0 || columns === 0) return similarity;
  // The dual has one unknown per column: the shorter side becomes the columns.
  if (columns > rows) return transposed(entropicTransport(transposed(similarity), reg));
  const problem: Transport = {
    rows,
    columns,
    similarity: values,
    prices: new Float64Array(columns),
    rowLogs: new Float64Array(rows),
    plan: new Float64Array(rows * columns),
    sums: new Float64Array(columns),
  };
  const range = rangeOf(values);
  for (let larger = range; larger > reg; larger /= 4) settle(problem, larger, 1e-3 / columns);
  const error = settle(problem, reg, 1e-13);
  // A sum of size s is known to s rounding units; divided by reg, that is how well a marginal can be met.
  const attainable = Math.max(1e-12, (16 * Number.EPSILON * (range + rangeOf(problem.prices))) / reg);
  if (!(error < attainable) || attainable > 1e-4) {
    throw new InputError("the transport plan does not settle", { got: `reg ${reg}`, hint: "raise reg" });
  }
  return { rows, columns, values: problem.plan };
}

function rangeOf(values: Float64Array): number {
  let min = values[0];
  let max = values[0];
  for (const x of values) {
    if (x < min) min = x;
    if (x > max) max = x;
  }
  return max - min;
}

function transposed({ rows, columns, values }: Matrix): Matrix {
  const out = new Float64Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = values[i * columns + j];
  return { rows: columns, columns: rows, values: out };
}

/** Improves the prices until every column sum is within `wanted` of 1/n or nothing improves; returns the error left. */
function settle(problem: Transport, reg: number, wanted: number): number {
  let best = evaluate(problem, reg);
  let stuck = 0;
  for (let round = 0; round < 2000 && best.error > wanted && stuck < 5; round++) {
    const before = best.error;
    if (round < 5 || !newtonStep(problem, reg, best)) sinkhornStep(problem, reg);
    best = evaluate(problem, reg);
    stuck = before < 1e-9 && best.error >= before ? stuck + 1 : 0;
  }
  return best.error;
}

interface Progress {
  /** Dual objective, to be made small: reg · mean_i log Σ_j exp((S_ij + g_j) / reg) − mean_j g_j. */
  objective: number;
  /** Largest error of a column sum. */
  error: number;
}

/** Plan, column sums and objective that follow from the prices. Row sums are 1/m by construction. */
function evaluate({ rows, columns, similarity, prices, rowLogs, plan, sums }: Transport, reg: number): Progress {
  sums.fill(0);
  let objective = 0;
  for (let i = 0; i < rows; i++) {
    const start = i * columns;
    let max = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < columns; j++) max = Math.max(max, similarity[start + j] + prices[j]);
    let sum = 0;
    for (let j = 0; j < columns; j++) {
      const e = Math.exp((similarity[start + j] + prices[j] - max) / reg);
      plan[start + j] = e;
      sum += e;
    }
    rowLogs[i] = max / reg + Math.log(sum);
    objective += (reg * rowLogs[i]) / rows;
    for (let j = 0; j < columns; j++) {
      plan[start + j] /= sum * rows;
      sums[j] += plan[start + j];
    }
  }
  let error = 0;
  for (let j = 0; j < columns; j++) {
    objective -= prices[j] / columns;
    error = Math.max(error, Math.abs(sums[j] - 1 / columns));
  }
  return { objective, error };
}

/** Sinkhorn's update of the columns: each price moves until its column sum is 1/n, the others standing still. */
function sinkhornStep({ rows, columns, similarity, prices, rowLogs }: Transport, reg: number): void {
  for (let j = 0; j < columns; j++) {
    let max = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < rows; i++) max = Math.max(max, similarity[i * columns + j] / reg - rowLogs[i]);
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += Math.exp(similarity[i * columns + j] / reg - rowLogs[i] - max);
    prices[j] = reg * (Math.log(rows / columns) - max - Math.log(sum));
  }
}

/**
 * One Newton step on the dual with backtracking: (diag(c) − m ZᵀZ) d = reg (1/n − c), last price fixed.
 * @returns whether the step was taken; the prices are unchanged otherwise.
 */
function newtonStep(problem: Transport, reg: number, now: Progress): boolean {
  const { rows, columns, prices, plan, sums } = problem;
  const n = columns - 1;
  const hessian = new Float64Array(n * n);
  for (let j = 0; j < columns; j++) {
    for (let k = 0; k < j; k++) {
      let products = 0;
      for (let i = 0; i < rows; i++) products += plan[i * columns + j] * plan[i * columns + k];
      products *= rows;
      // Rows of the full matrix sum to 0: a diagonal made of these sums loses nothing where columns hardly interact.
      hessian[k * n + k] += products;
      if (j === n) continue;
      hessian[j * n + j] += products;
      hessian[j * n + k] = -products;
    }
  }
  // Columns that interact with no other have a curvature of 0: this keeps every pivot above 0 on its own scale.
  for (let j = 0; j < n; j++) hessian[j * n + j] = hessian[j * n + j] * (1 + 1e-10) + 1e-16;
  const direction = new Float64Array(n);
  for (let j = 0; j < n; j++) direction[j] = reg * (1 / columns - sums[j]);
  let slope = 0;
  if (!solveCholesky(hessian, direction, n)) return false;
  for (let j = 0; j < n; j++) slope += (sums[j] - 1 / columns) * direction[j];
  const start = prices.slice();
  for (let length = 1; length > 1e-3; length /= 4) {
    for (let j = 0; j < n; j++) prices[j] = start[j] + length * direction[j];
    const next = evaluate(problem, reg);
    if (next.error < 0.5 * now.error || next.objective < now.objective + 1e-4 * length * slope) return true;
    // Near the end the objective is lost in rounding; its derivative along the step still tells whether it fell.
    let ahead = 0;
    for (let j = 0; j < n; j++) ahead += (sums[j] - 1 / columns) * direction[j];
    if (ahead <= 0) return true;
  }
  prices.set(start);
  evaluate(problem, reg);
  return false;
}
