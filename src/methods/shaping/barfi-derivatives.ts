import { solveLinear } from "../../operators/linear.ts";
import { logSumExp } from "../../operators/scalars.ts";
import { InputError } from "../../rollouts/index.ts";

/** A tabular softmax policy, entries s · actions + a. */
export interface SoftmaxPolicy {
  readonly states: number;
  readonly actions: number;
  readonly chance: Float64Array;
  readonly logChance: Float64Array;
}

export interface Episode {
  readonly s: readonly number[];
  readonly a: readonly number[];
  readonly r_p: readonly number[];
  readonly r_aux: readonly number[];
}

/** Weights of the blend: phi1 per state and action, phi2 and phi3 per state. */
export interface Blend {
  readonly phi1: Float64Array;
  readonly phi2: Float64Array;
  readonly phi3: Float64Array;
}

export function softmaxPolicy(theta: readonly (readonly number[])[]): SoftmaxPolicy {
  const logChance = Float64Array.from(
    theta.flatMap((row) => {
      const total = logSumExp(row);
      return row.map((x) => x - total);
    }),
  );
  const actions = theta[0].length;
  return { states: theta.length, actions, logChance, chance: logChance.map(Math.exp) };
}

/** Inner update δ and its derivatives by θ (H), by φ (A) and by the inner discount (B); matrices row by row. */
export interface Derivatives {
  readonly delta: Float64Array;
  readonly byTheta: Float64Array;
  readonly byPhi: Float64Array;
  readonly byGamma: Float64Array;
}

/** d r_φ(s, a) / dφ, added to a vector laid out as phi1 (row by row), phi2, phi3. */
function addRewardGradient(out: Float64Array, { states, actions }: SoftmaxPolicy, episode: Episode, t: number): void {
  const s = episode.s[t];
  out[s * actions + episode.a[t]] += 1;
  out[states * actions + s] += episode.r_p[t];
  out[states * actions + states + s] += episode.r_aux[t];
}

/**
 * The inner update on fixed episodes and its derivatives, means over episodes, ψ_t = ∇_θ log π(a_t|s_t),
 * u_t = r_φ − λ log π, U_t = Σ_{j ≥ t} γ_φ^(j−t) u_j: δ = Σ_t ψ_t U_t.
 */
export function innerDerivatives(
  policy: SoftmaxPolicy,
  blend: Blend,
  { gammaPhi, entropy }: { gammaPhi: number; entropy: number },
  episodes: readonly Episode[],
): Derivatives {
  const { states, actions, chance, logChance } = policy;
  const n = states * actions;
  const q = n + 2 * states;
  const delta = new Float64Array(n);
  const byGamma = new Float64Array(n);
  const byTheta = new Float64Array(n * n);
  const byPhi = new Float64Array(n * q);
  for (const episode of episodes) {
    let value = 0;
    let valueByGamma = 0;
    // Discounted sums of ψ_j and of d r_φ / dφ from t on.
    const scores = new Float64Array(n);
    const gradients = new Float64Array(q);
    for (let t = episode.s.length - 1; t >= 0; t--) {
      const from = episode.s[t] * actions;
      const taken = from + episode.a[t];
      const { phi1, phi2, phi3 } = blend;
      const reward = phi1[taken] + phi2[episode.s[t]] * episode.r_p[t] + phi3[episode.s[t]] * episode.r_aux[t];
      valueByGamma = value + gammaPhi * valueByGamma;
      value = reward - entropy * logChance[taken] + gammaPhi * value;
      for (let k = 0; k < n; k++) scores[k] *= gammaPhi;
      for (let k = 0; k < q; k++) gradients[k] *= gammaPhi;
      for (let k = from; k < from + actions; k++) scores[k] += (k === taken ? 1 : 0) - chance[k];
      addRewardGradient(gradients, policy, episode, t);
      for (let row = from; row < from + actions; row++) {
        const psi = (row === taken ? 1 : 0) - chance[row];
        delta[row] += psi * value;
        byGamma[row] += psi * valueByGamma;
        for (let k = 0; k < q; k++) byPhi[row * q + k] += psi * gradients[k];
        for (let k = 0; k < n; k++) byTheta[row * n + k] -= entropy * psi * scores[k];
        for (let k = from; k < from + actions; k++)
          byTheta[row * n + k] += (chance[row] * chance[k] - (row === k ? chance[row] : 0)) * value;
      }
    }
  }
  for (const sums of [delta, byGamma, byTheta, byPhi]) for (let k = 0; k < sums.length; k++) sums[k] /= episodes.length;
  return { delta, byTheta, byPhi, byGamma };
}

/** Gradient of the primary return by θ: the mean over on-policy episodes of Σ_t ψ_t Σ_{j ≥ t} γ^j r_p,j. */
export function returnGradient(
  { states, actions, chance }: SoftmaxPolicy,
  gamma: number,
  episodes: readonly Episode[],
) {
  const out = new Float64Array(states * actions);
  for (const { s, a, r_p } of episodes) {
    let sum = 0;
    for (let t = s.length - 1; t >= 0; t--) {
      sum += gamma ** t * r_p[t];
      for (let k = 0; k < actions; k++) {
        const row = s[t] * actions + k;
        out[row] += ((k === a[t] ? 1 : 0) - chance[row]) * (sum / episodes.length);
      }
    }
  }
  return out;
}

const size = (v: Float64Array) => Math.hypot(...v);

/**
 * M⁻¹ v ≈ η Σ_{k ≤ n} (I − η M)^k v.
 * @throws InputError when the sum grows a million-fold: η is too large.
 */
export function neumannSolve(
  matrix: Float64Array,
  vector: ArrayLike<number>,
  eta: number,
  loops: number,
): Float64Array {
  const n = vector.length;
  let v = Float64Array.from(vector);
  const sum = v.slice();
  const most = 1e6 * size(v);
  for (let loop = 0; loop < loops; loop++) {
    const next = v.slice();
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) next[i] -= eta * matrix[i * n + j] * v[j];
    v = next;
    for (let i = 0; i < n; i++) sum[i] += v[i];
    if (!(size(sum) <= most))
      throw new InputError("the Neumann series diverges", {
        expected: "eta below 1 / largest eigenvalue",
        got: `${eta}`,
        hint: "take a smaller eta",
      });
  }
  return sum.map((x) => eta * x);
}

/** x with (M + damping I) x = v. */
export function dampedSolve(matrix: Float64Array, vector: ArrayLike<number>, damping: number): Float64Array {
  const n = vector.length;
  const values = matrix.slice();
  for (let i = 0; i < n; i++) values[i * n + i] += damping;
  const x = solveLinear({ rows: n, columns: n, values }, vector);
  if (x === null)
    throw new InputError("the derivative of the inner update is singular", {
      hint: "give it some damping (a tabular softmax always needs it)",
    });
  return x;
}
