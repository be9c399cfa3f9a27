import { z } from "zod";
import { factorize, singularValues, solveWith } from "../../operators/linear.ts";
import { type Matrix, matrixFromRows } from "../../operators/matching.ts";
import { InputError } from "../../rollouts/index.ts";
import { count, functionArgs, numberRows, sameLength } from "../arguments.ts";

const graphArgs = z.object({
  states: numberRows,
  maxNodes: count.min(1).default(200),
  radius: z.number().min(0),
});

const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(...a.map((x, k) => x - b[k]));

/**
 * Undirected graph of the states of a walk: a state further than `radius` from every node opens a node of its own while
 * there are fewer than `maxNodes`, else it joins the nearest one (Euclidean, the lowest of equally near ones), which stays
 * where it is. Consecutive states on different nodes add 1 to the weight between them.
 */
export function stateGraph(args: z.input<typeof graphArgs>): {
  nodes: number[][];
  assignment: number[];
  weights: number[][];
} {
  const { states, maxNodes, radius } = functionArgs(graphArgs, args);
  matrixFromRows(states, "argument states");
  const nodes: number[][] = [];
  const assignment = states.map((state) => {
    let nearest = -1;
    let least = Number.POSITIVE_INFINITY;
    nodes.forEach((node, k) => {
      const far = distance(state, node);
      if (far >= least) return;
      nearest = k;
      least = far;
    });
    if (nearest >= 0 && (least <= radius || nodes.length >= maxNodes)) return nearest;
    return nodes.push(state) - 1;
  });
  const weights = nodes.map(() => nodes.map(() => 0));
  for (let t = 1; t < assignment.length; t++) {
    const [u, v] = [assignment[t - 1], assignment[t]];
    if (u === v) continue;
    weights[u][v] += 1;
    weights[v][u] += 1;
  }
  return { nodes, assignment, weights };
}

/** Two weights that differ by less than this part of the larger one are the same. */
const symmetryTolerance = 1e-9;

/**
 * The weights of an undirected graph.
 * @throws InputError naming the pair of nodes whose weight is negative or depends on the direction.
 */
function graphOf(rows: readonly (readonly number[])[], name: string): Matrix {
  const matrix = matrixFromRows(rows, `argument ${name}`);
  const { values } = matrix;
  const n = rows.length;
  sameLength({ [name]: rows, [`${name}.0`]: { length: n === 0 ? 0 : matrix.columns } });
  values.forEach((weight, at) => {
    const [u, v] = [Math.floor(at / n), at % n];
    const back = values[v * n + u];
    if (weight >= 0 && Math.abs(weight - back) <= symmetryTolerance * Math.max(weight, back)) return;
    throw new InputError(`argument ${name} is not an undirected graph`, {
      expected: weight < 0 ? "weights of 0 or more" : `the same weight in both directions, ${back}`,
      got: `${weight} from ${u} to ${v}`,
    });
  });
  return matrix;
}

/** Nodes that can be reached from a node, itself included, in ascending order. */
function component({ rows: n, values }: Matrix, from: number): number[] {
  const seen = new Set([from]);
  const open = [from];
  for (let u = open.pop(); u !== undefined; u = open.pop()) {
    for (let v = 0; v < n; v++) {
      if (values[u * n + v] === 0 || seen.has(v)) continue;
      seen.add(v);
      open.push(v);
    }
  }
  return [...seen].sort((a, b) => a - b);
}

const potentialArgs = z.object({ weights: numberRows, goal: count });

/**
 * A potential that rises towards a node: Φ(i) = −c(i) / max c, c(i) the commute time between i and the goal, which is the
 * volume of the component times the effective resistance: the i-th diagonal entry of the inverse Laplacian without the
 * goal's row and column. The goal has 0, nodes of other components −1.
 */
export function graphPotential(args: z.input<typeof potentialArgs>): number[] {
  const { weights, goal } = functionArgs(potentialArgs, args);
  const graph = graphOf(weights, "weights");
  const n = graph.rows;
  if (goal >= n) throw new InputError("argument goal not valid", { expected: `a node below ${n}`, got: `${goal}` });
  const others = component(graph, goal).filter((node) => node !== goal);
  const out = new Array<number>(n).fill(-1);
  out[goal] = 0;
  const size = others.length;
  if (size === 0) return out;
  // In units of the largest weight, which cancels out.
  const unit = graph.values.reduce((most, x) => Math.max(most, x), 0);
  const laplacian = new Float64Array(size * size);
  others.forEach((u, i) => {
    for (const v of [goal, ...others]) if (v !== u) laplacian[i * size + i] += graph.values[u * n + v] / unit;
    others.forEach((v, j) => {
      if (i !== j) laplacian[i * size + j] = -graph.values[u * n + v] / unit;
    });
  });
  const factors = factorize({ rows: size, columns: size, values: laplacian });
  if (factors === null)
    throw new InputError("argument weights span too many orders of magnitude", {
      expected: "a ratio below 1e12 or so",
    });
  const resistance = others.map((_, i) => {
    const unitVector = new Float64Array(size);
    unitVector[i] = 1;
    return solveWith(factors, unitVector)[i];
  });
  const most = Math.max(...resistance);
  others.forEach((node, i) => {
    out[node] = -resistance[i] / most;
  });
  return out;
}

const autoencoderArgs = z.object({ embedding: numberRows, weights: numberRows });

/**
 * Loss of node embeddings E[n][d] against a graph: T = weights / largest weight (0 without edges), D = E Eᵀ, the mean over
 * ordered pairs u ≠ v of (D_uv − T_uv)², and its gradient 4 / (n (n − 1)) · offdiag(D − T) E. A single node: 0.
 */
export function graphAutoencoderLoss(args: z.input<typeof autoencoderArgs>): { loss: number; gradient: number[][] } {
  const { embedding, weights } = functionArgs(autoencoderArgs, args);
  sameLength({ embedding, weights });
  matrixFromRows(embedding, "argument embedding");
  const { rows: n, values } = graphOf(weights, "weights");
  const gradient = embedding.map((row) => row.map(() => 0));
  if (n < 2) return { loss: 0, gradient };
  const unit = values.reduce((most, x) => Math.max(most, x), 0) || 1;
  const pairs = n * (n - 1);
  let loss = 0;
  for (let u = 0; u < n; u++) {
    for (let v = 0; v < n; v++) {
      if (u === v) continue;
      const error = embedding[u].reduce((sum, x, k) => sum + x * embedding[v][k], -values[u * n + v] / unit);
      loss += (error * error) / pairs;
      embedding[v].forEach((x, k) => {
        gradient[u][k] += (4 * error * x) / pairs;
      });
    }
  }
  return { loss, gradient };
}

/** Eigenvalues of the symmetric normalised Laplacian from the smallest; an isolated node has a row of zeros. */
function spectrum(weights: readonly (readonly number[])[], name: string): Float64Array {
  const { rows: n, values } = graphOf(weights, name);
  if (n === 0) throw new InputError(`argument ${name} not valid`, { expected: "at least one node", got: "none" });
  const degree = Float64Array.from(weights, (row, u) => row.reduce((sum, w, v) => (u === v ? sum : sum + w), 0));
  const laplacian = values.map((weight, at) => {
    const [u, v] = [Math.floor(at / n), at % n];
    if (degree[u] === 0 || degree[v] === 0) return 0;
    return u === v ? 1 : -weight / Math.sqrt(degree[u]) / Math.sqrt(degree[v]);
  });
  // No eigenvalue is negative, so they are the singular values.
  return singularValues({ rows: n, columns: n, values: laplacian });
}

const spectrumArgs = z.object({ a: numberRows, b: numberRows, k: count.min(1).default(10) });

/**
 * Likeness of two graphs, e^−rms of the differences of the first min(k, n_A, n_B) eigenvalues of their normalised
 * Laplacians in ascending order; 1 for isomorphic graphs.
 */
export function spectrumSimilarity(args: z.input<typeof spectrumArgs>): number {
  const { a, b, k } = functionArgs(spectrumArgs, args);
  const [x, y] = [spectrum(a, "a"), spectrum(b, "b")];
  const used = Math.min(k, x.length, y.length);
  let squares = 0;
  for (let i = 0; i < used; i++) squares += (x[i] - y[i]) ** 2 / used;
  return Math.exp(-Math.sqrt(squares));
}
