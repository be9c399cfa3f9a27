import { solveLinear } from "../operators/linear.ts";
import { InputError } from "../rollouts/index.ts";

/**
 * A tabular decision process: `transition[(s m + a) n + t]` is the probability of state t after action a in state s,
 * n states, m actions.
 */
export interface Tabular {
  readonly states: number;
  readonly actions: number;
  readonly transition: Float64Array;
  /** Discount, 0 ≤ γ < 1. */
  readonly gamma: number;
}

/** Expected reward of each state and action, b[s m + a] = Σ_t P(s,a,t) R(s,a,t). */
export function expectedRewards({ states, actions, transition }: Tabular, reward: Float64Array): Float64Array {
  const out = new Float64Array(states * actions);
  for (let k = 0; k < transition.length; k++) {
    if (transition[k] !== 0) out[Math.floor(k / states)] += transition[k] * reward[k];
  }
  return out;
}

/** Value of every state under a policy π[s m + a]: V = (I − γ P_π)⁻¹ r_π, solved exactly. */
export function policyValues(mdp: Tabular, expected: Float64Array, policy: ArrayLike<number>): Float64Array {
  const { states: n, actions: m, transition, gamma } = mdp;
  const values = new Float64Array(n * n);
  const rewards = new Float64Array(n);
  for (let row = 0; row < n * m; row++) {
    const s = Math.floor(row / m);
    if (policy[row] === 0) continue;
    rewards[s] += policy[row] * expected[row];
    for (let t = 0; t < n; t++) values[s * n + t] -= gamma * policy[row] * transition[row * n + t];
  }
  for (let s = 0; s < n; s++) values[s * n + s] += 1;
  const solved = solveLinear({ rows: n, columns: n, values }, rewards);
  if (solved === null) throw new InputError("the discount is too close to 1", { got: `${gamma}` });
  return solved;
}

/** The policy that takes every action with the same probability. */
export function uniformPolicy({ states, actions }: Tabular): Float64Array {
  return new Float64Array(states * actions).fill(1 / actions);
}

/** Action values Q[s m + a] = b(s,a) + γ Σ_t P(s,a,t) V(t). */
function actionValues(mdp: Tabular, expected: Float64Array, values: Float64Array): Float64Array {
  const { states: n, transition, gamma } = mdp;
  return expected.map((b, row) => {
    let next = 0;
    for (let t = 0; t < n; t++) next += transition[row * n + t] * values[t];
    return b + gamma * next;
  });
}

/**
 * An optimal deterministic policy by policy iteration from action 0: a state keeps its action while it is within 1e-12 of
 * the best, else it takes the first of the best ones. Gives π[s m + a] of zeros and ones.
 */
export function greedyPolicy(mdp: Tabular, expected: Float64Array): Float64Array {
  const { states: n, actions: m } = mdp;
  const chosen = new Int32Array(n);
  const policy = () => {
    const out = new Float64Array(n * m);
    chosen.forEach((a, s) => {
      out[s * m + a] = 1;
    });
    return out;
  };
  // Each round is an improvement; the bound only guards against rounding.
  for (let round = 0; round < 10_000; round++) {
    const q = actionValues(mdp, expected, policyValues(mdp, expected, policy()));
    let changed = false;
    for (let s = 0; s < n; s++) {
      const row = q.subarray(s * m, (s + 1) * m);
      const best = row.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
      if (row[chosen[s]] >= best - 1e-12) continue;
      chosen[s] = row.indexOf(best);
      changed = true;
    }
    if (!changed) break;
  }
  return policy();
}
