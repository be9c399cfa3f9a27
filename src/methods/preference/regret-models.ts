import { logSumExp, sigmoid } from "../../operators/scalars.ts";

/** Optimal values of a deterministic table. */
export interface OptimalValues {
  V: number[];
  Q: number[][];
  /** Only when the sweeps did not settle. */
  warning?: string;
}

const settled = 1e-10;
const mostSweeps = 100000;

/**
 * Synchronous value iteration on deterministic tables: V(s) ← max_a reward[s][a] + γ V(next[s][a]), terminal states 0, until
 * the largest change is below 1e-10 or 100000 sweeps are done.
 */
export function valueIteration(
  next: readonly (readonly number[])[],
  reward: readonly (readonly number[])[],
  terminal: readonly boolean[],
  gamma: number,
): OptimalValues {
  let values = new Float64Array(next.length);
  const q = (s: number, a: number) => reward[s][a] + gamma * values[next[s][a]];
  let change = Number.POSITIVE_INFINITY;
  for (let sweep = 0; sweep < mostSweeps && change >= settled; sweep++) {
    const after = new Float64Array(values.length);
    change = 0;
    for (let s = 0; s < after.length; s++) {
      if (terminal[s]) continue;
      after[s] = Number.NEGATIVE_INFINITY;
      for (let a = 0; a < next[s].length; a++) after[s] = Math.max(after[s], q(s, a));
      change = Math.max(change, Math.abs(after[s] - values[s]));
    }
    values = after;
  }
  const Q = next.map((actions, s) => actions.map((_, a) => (terminal[s] ? 0 : q(s, a))));
  if (change < settled) return { V: [...values], Q };
  return { V: [...values], Q, warning: `values still change by ${change} after ${mostSweeps} sweeps` };
}

/** Σ_k softmax(x / T)_k x_k, close to the largest x for a small temperature. */
function softMaximum(values: readonly number[], temperature: number): number {
  const top = values.reduce((a, b) => Math.max(a, b));
  const exponents = values.map((x) => (x - top) / temperature);
  const norm = logSumExp(exponents);
  return top + values.reduce((sum, x, k) => sum + Math.exp(exponents[k] - norm) * (x - top), 0);
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, k) => sum + x * b[k], 0);

/**
 * Value of a state by the successor features of candidate policies, V = Σ_k p_k x_k with x_k = ψ_k·w and p the softmax of
 * x / T; and its slope by w, Σ_k p_k (1 + (x_k − V) / T) ψ_k.
 */
export function linearValue(psi: Segment["psi_start"], w: readonly number[], temperature: number) {
  const values = psi.map((features) => dot(features, w));
  const value = softMaximum(values, temperature);
  const norm = logSumExp(values.map((x) => (x - value) / temperature));
  const slope = new Array<number>(w.length).fill(0);
  values.forEach((x, k) => {
    const above = (x - value) / temperature;
    const share = Math.exp(above - norm) * (1 + above);
    for (let f = 0; f < slope.length && share !== 0; f++) slope[f] += share * psi[k][f];
  });
  return { value, slope };
}

/** A trajectory segment by its features, and the successor features of candidate policies at its first and last state. */
export interface Segment {
  phi: readonly number[];
  psi_start: readonly (readonly number[])[];
  psi_end: readonly (readonly number[])[];
}

/** Minus the regret of a segment under linear rewards: φ·w + V(end) − V(start), V the best of the candidate policies. */
export function linearScore(segment: Segment, w: readonly number[], temperature: number): number {
  const value = (psi: Segment["psi_start"]) =>
    softMaximum(
      psi.map((features) => dot(features, w)),
      temperature,
    );
  return dot(segment.phi, w) + value(segment.psi_end) - value(segment.psi_start);
}

/** P(first preferred) = σ(difference of scores). */
export function linearPreference(
  [first, second]: readonly [Segment, Segment],
  w: readonly number[],
  temperature: number,
): number {
  return sigmoid(linearScore(first, w, temperature) - linearScore(second, w, temperature));
}
