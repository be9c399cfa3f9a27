import { leastSquares } from "../operators/linear.ts";
import { expectedRewards, policyValues, type Tabular, uniformPolicy } from "./tabular.ts";

/** What is taken out of a reward function before rewards are compared. */
export const canonicalisations = [
  "VAL",
  "VALPotential",
  "Minimal",
  "MinimalPotential",
  "EPIC",
  "DARD",
  "None",
] as const;
export type Canonicalisation = (typeof canonicalisations)[number];

export const norms = ["1", "2", "inf", "weighted_1", "weighted_2", "weighted_inf"] as const;
export type Norm = (typeof norms)[number];

export interface CanonOptions {
  /** Policy whose values level the reward (VAL, VALPotential); default uniform. */
  policy?: Float64Array | null;
  /** Weight squares by the transition probabilities (MinimalPotential). */
  weighted?: boolean;
}

/** C = R + γ φ(t) − φ(s) − less. */
function shaped({ states: n, actions: m, gamma }: Tabular, reward: Float64Array, phi: Float64Array, less = 0) {
  return reward.map((r, k) => r + gamma * phi[k % n] - phi[Math.floor(k / (n * m))] - less);
}

/** The same number for every next state: C(s,a,t) = b(s,a) + γ Σ_u P(s,a,u) V(u) − V(s). */
function levelled(mdp: Tabular, expected: Float64Array, values: Float64Array): Float64Array {
  const { states: n, actions: m, transition, gamma } = mdp;
  const out = new Float64Array(n * m * n);
  for (let row = 0; row < n * m; row++) {
    let next = 0;
    for (let u = 0; u < n; u++) next += transition[row * n + u] * values[u];
    out.fill(expected[row] + gamma * next - values[Math.floor(row / m)], row * n, (row + 1) * n);
  }
  return out;
}

/** Mean over the actions of each state of a number per state and action (`row` = s m + a). */
function meanOverActions({ states: n, actions: m }: Tabular, perRow: (row: number) => number): Float64Array {
  return Float64Array.from({ length: n }, (_, s) => {
    let sum = 0;
    for (let a = 0; a < m; a++) sum += perRow(s * m + a);
    return sum / m;
  });
}

/** EPIC (Gleave et al., 2020) with uniform states and actions; next states ignore the dynamics. */
function epic(mdp: Tabular, reward: Float64Array): Float64Array {
  const { states: n, gamma } = mdp;
  const mean = (row: number) => reward.subarray(row * n, (row + 1) * n).reduce((sum, r) => sum + r, 0) / n;
  const phi = meanOverActions(mdp, mean);
  const overall = phi.reduce((sum, x) => sum + x, 0) / n;
  return shaped(mdp, reward, phi, gamma * overall);
}

/** DARD (Wulfe et al., 2022): next states follow the dynamics, one action being shared by both of them. */
function dard(mdp: Tabular, reward: Float64Array, expected: Float64Array): Float64Array {
  const { states: n, actions: m, transition, gamma } = mdp;
  const phi = meanOverActions(mdp, (row) => expected[row]);
  // both[s n + t] = E_A Σ_{s'} P(s,A,s') Σ_{s''} P(t,A,s'') R(s',A,s'')
  const both = new Float64Array(n * n);
  const inner = new Float64Array(n * n);
  for (let a = 0; a < m; a++) {
    for (let from = 0; from < n; from++) {
      for (let t = 0; t < n; t++) {
        let sum = 0;
        for (let u = 0; u < n; u++) sum += transition[(t * m + a) * n + u] * reward[(from * m + a) * n + u];
        inner[from * n + t] = sum;
      }
    }
    for (let s = 0; s < n; s++) {
      for (let from = 0; from < n; from++) {
        const p = transition[(s * m + a) * n + from] / m;
        if (p === 0) continue;
        for (let t = 0; t < n; t++) both[s * n + t] += p * inner[from * n + t];
      }
    }
  }
  const out = shaped(mdp, reward, phi);
  for (let k = 0; k < out.length; k++) out[k] -= gamma * both[Math.floor(k / (n * m)) * n + (k % n)];
  return out;
}

/** The reward with the smallest sum of squares that shaping and redistribution over next states can reach. */
function minimal(mdp: Tabular, expected: Float64Array): Float64Array {
  const { states: n, actions: m, transition, gamma } = mdp;
  const weights = expected.map((_, row) => 1 / Math.hypot(...transition.subarray(row * n, (row + 1) * n)));
  const values = new Float64Array(n * m * n);
  for (let k = 0; k < values.length; k++) {
    const row = Math.floor(k / n);
    values[k] = weights[row] * (gamma * transition[k] - (k % n === Math.floor(row / m) ? 1 : 0));
  }
  const target = expected.map((b, row) => -weights[row] * b);
  const phi = leastSquares({ rows: n * m, columns: n, values }, target);
  const beta = levelled(mdp, expected, phi);
  return beta.map((b, k) => transition[k] * b * weights[Math.floor(k / n)] ** 2);
}

/** The reward with the smallest (weighted) sum of squares that shaping alone can reach. */
function minimalPotential(mdp: Tabular, reward: Float64Array, weighted: boolean): Float64Array {
  const { states: n, actions: m, transition, gamma } = mdp;
  // Actions share the shaping term, so only their (weighted) mean reward between two states matters.
  const values = new Float64Array(n * n * n);
  const target = new Float64Array(n * n);
  for (let pair = 0; pair < n * n; pair++) {
    const s = Math.floor(pair / n);
    const t = pair % n;
    let weight = 0;
    let sum = 0;
    for (let a = 0; a < m; a++) {
      const k = (s * m + a) * n + t;
      const w = weighted ? transition[k] : 1;
      weight += w;
      sum += w * reward[k];
    }
    if (weight === 0) continue;
    const root = Math.sqrt(weight);
    values[pair * n + t] += root * gamma;
    values[pair * n + s] -= root;
    target[pair] = -sum / root;
  }
  return shaped(mdp, reward, leastSquares({ rows: n * n, columns: n, values }, target));
}

/** A reward R[(s m + a) n + t] without what cannot change the order of policies; see `starcCanonicalize`. */
export function canonicalReward(
  mdp: Tabular,
  reward: Float64Array,
  method: Canonicalisation,
  { policy = null, weighted = false }: CanonOptions = {},
): Float64Array {
  const expected = expectedRewards(mdp, reward);
  const values = () => policyValues(mdp, expected, policy ?? uniformPolicy(mdp));
  switch (method) {
    case "VAL":
      return levelled(mdp, expected, values());
    case "VALPotential":
      return shaped(mdp, reward, values());
    case "Minimal":
      return minimal(mdp, expected);
    case "MinimalPotential":
      return minimalPotential(mdp, reward, weighted);
    case "EPIC":
      return epic(mdp, reward);
    case "DARD":
      return dard(mdp, reward, expected);
    case "None":
      return reward.slice();
  }
}

/** A norm over all transitions; the weighted ones count each by its probability in `transition`. */
export function rewardNorm(values: Float64Array, norm: Norm, transition: Float64Array | null = null): number {
  const weighted = norm.startsWith("weighted_");
  const kind = weighted ? norm.slice("weighted_".length) : norm;
  // In units of the largest entry, so that no square overflows.
  const unit = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  if (unit === 0) return 0;
  let out = 0;
  values.forEach((value, k) => {
    const p = weighted && transition !== null ? transition[k] : 1;
    const x = Math.abs(value) / unit;
    if (kind === "inf") out = Math.max(out, p * x);
    else out += p * (kind === "1" ? x : x * x);
  });
  return unit * (kind === "2" ? Math.sqrt(out) : out);
}
