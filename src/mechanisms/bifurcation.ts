/**
 * Tasks with exactly known credit: an episode is on track (status 0) or off track (status 1), and only some steps can
 * change that. Everything here is exact and costs O(H K).
 */

/** What a step can do: nothing (`neutral`), lose the track (`gate`), or win it back (`repair`). */
export const stepKinds = ["neutral", "gate", "repair"] as const;
export type StepKind = (typeof stepKinds)[number];

export interface BifurcationStep {
  readonly kind: StepKind;
  /** Actions that keep the track at a gate, or may win it back at a repair; none is legal. */
  readonly correct: readonly number[];
  /** Probability that a correct action repairs. */
  readonly rho: number;
  /** Probability that chance takes an episode off the track after this step. */
  readonly slip: number;
}

export interface BifurcationTask {
  /** Number of actions K of every step. */
  readonly actions: number;
  /** Probability of success at the end on track, and off track. */
  readonly pOn: number;
  readonly pOff: number;
  readonly steps: readonly BifurcationStep[];
}

/** Probability of being on track after the step: Pr(m_{t+1} = 0 | m_t, a_t). */
export function onTrack(step: BifurcationStep, status: number, action: number): number {
  const right = step.kind !== "neutral" && step.correct.includes(action);
  if (step.kind === "neutral") return status === 0 ? 1 - step.slip : 0;
  if (step.kind === "gate") return status === 0 && right ? 1 - step.slip : 0;
  if (status === 0) return 1 - step.slip;
  return right ? step.rho * (1 - step.slip) : 0;
}

/** Exact values under a policy; H steps, two statuses, K actions. */
export interface BifurcationValues {
  /** V[2 t + m], t = 0 … H. */
  values: Float64Array;
  /** Q[(2 t + m) K + a]. */
  actionValues: Float64Array;
}

/**
 * Backward induction: V_H = (p_on, p_off), Q_t(m,a) = p V_{t+1}(0) + (1 − p) V_{t+1}(1) with p of `onTrack`,
 * V_t(m) = Σ_a π_t(m,a) Q_t(m,a).
 * @param policy π[(2 t + m) K + a]; `null` takes every action with the same probability.
 */
export function bifurcationValues(task: BifurcationTask, policy: Float64Array | null): BifurcationValues {
  const { actions, steps, pOn, pOff } = task;
  const values = new Float64Array(2 * (steps.length + 1));
  const actionValues = new Float64Array(2 * steps.length * actions);
  values.set([pOn, pOff], 2 * steps.length);
  for (let t = steps.length - 1; t >= 0; t--) {
    const [on, off] = values.subarray(2 * t + 2, 2 * t + 4);
    for (let m = 0; m < 2; m++) {
      const row = (2 * t + m) * actions;
      let value = 0;
      for (let a = 0; a < actions; a++) {
        const p = onTrack(steps[t], m, a);
        const q = p * on + (1 - p) * off;
        actionValues[row + a] = q;
        value += (policy === null ? 1 / actions : policy[row + a]) * q;
      }
      values[2 * t + m] = value;
    }
  }
  return { values, actionValues };
}

/** How much the action matters: max_a Q − min_a Q for every step and status, [2 t + m]. */
export function criticalities({ actionValues, values }: BifurcationValues): Float64Array {
  const rows = values.length - 2;
  const actions = rows === 0 ? 0 : actionValues.length / rows;
  return Float64Array.from({ length: rows }, (_, row) => {
    const own = actionValues.subarray(row * actions, (row + 1) * actions);
    return own.reduce((most, q) => Math.max(most, q), own[0]) - own.reduce((least, q) => Math.min(least, q), own[0]);
  });
}

/** One episode: H actions, H + 1 statuses, and the outcome. */
export interface BifurcationEpisode {
  actions: ArrayLike<number>;
  status: ArrayLike<number>;
  reward: number;
}

/** What made the outcome of an episode: skill and chance of every step, and chance at the end. */
export interface BifurcationCredit {
  /** A_t(m_t, a_t). */
  advantage: Float64Array;
  /** V_{t+1}(m_{t+1}) − Q_t(m_t, a_t). */
  luck: Float64Array;
  /** R − V_H(m_H). */
  residual: number;
  /** V_0(m_0) + Σ advantage + Σ luck + residual: the outcome again. */
  check: number;
}

/** Splits the outcome of an episode exactly; the values must be those of the policy that acted. */
export function episodeCredit(
  { values, actionValues }: BifurcationValues,
  actions: number,
  episode: BifurcationEpisode,
): BifurcationCredit {
  const steps = episode.actions.length;
  const advantage = new Float64Array(steps);
  const luck = new Float64Array(steps);
  let check = values[episode.status[0]];
  for (let t = 0; t < steps; t++) {
    const from = 2 * t + episode.status[t];
    const q = actionValues[from * actions + episode.actions[t]];
    advantage[t] = q - values[from];
    luck[t] = values[2 * t + 2 + episode.status[t + 1]] - q;
    check += advantage[t] + luck[t];
  }
  const residual = episode.reward - values[2 * steps + episode.status[steps]];
  return { advantage, luck, residual, check: check + residual };
}
