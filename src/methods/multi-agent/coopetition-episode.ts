import type { Environment, Reciprocity, StopRule } from "./coopetition-environments.ts";

export type RewardMode = "private" | "integrated" | "cooperative";

/** How actions remembered by reciprocity are counted: the released window ends now, that of the report one step earlier. */
export type MemoryMode = "official" | "paper";

type Matrix = number[][];

/** An action this small or smaller kills the synergy. */
const leastAction = 1e-10;

/** Geometric mean of all actions; 0 when one of them is 0. */
export function synergy(actions: readonly number[]): number {
  if (actions.some((a) => a <= leastAction)) return 0;
  return Math.exp(actions.reduce((sum, a) => sum + Math.log(a), 0) / actions.length);
}

/** π_i = e_i − a_i + θ ln(1 + a_i) + α_i γ g(a). */
export function privatePayoffs(actions: readonly number[], e: Environment, gamma: number): number[] {
  const shared = gamma * synergy(actions);
  return actions.map((a, i) => e.endowments[i] - a + e.theta * Math.log1p(a) + e.alpha[i] * shared);
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const clip = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high);

/** Everything that an episode carries from step to step. */
interface State {
  trust: Matrix;
  damage: Matrix;
  history: number[][];
  /** Agreed actions of a negotiation. */
  agreement: readonly number[] | null;
  /** Public reputation or loyalty of each agent. */
  standing: number[];
  /** Steps before an excluded member may return, `null` for members. */
  excluded: (number | null)[];
}

function startOf(e: Environment): State {
  const square = (diagonal: number, rest: number) =>
    e.endowments.map((_, i) => e.endowments.map((_, j) => (i === j ? diagonal : rest)));
  return {
    trust: square(1, e.trust),
    damage: square(0, e.damage),
    history: [],
    agreement: null,
    standing: e.endowments.map(() => 0.5),
    excluded: e.endowments.map(() => null),
  };
}

/** Trust T and reputation damage R after one step, from the matrices before it. */
function updateTrust(state: State, actions: readonly number[], e: Environment): void {
  const { build, erode, damage, repair, dependence, sharpness } = e.rates;
  state.trust.forEach((row, i) => {
    const harm = state.damage[i];
    row.forEach((t, j) => {
      if (i === j) return;
      const r = harm[j];
      const signal = Math.tanh(sharpness * (actions[j] - e.baseline[j]));
      const ceiling = 1 - r;
      const change =
        signal > 0 ? build * signal * Math.max(0, ceiling - t) : erode * signal * t * (1 + dependence * e.D[i][j]);
      row[j] = clip(t + change, 0, ceiling);
      harm[j] = clip(r + (signal < 0 ? damage * -signal * (1 - r) : -repair * r), 0, 1);
    });
  });
}

/** Rewards before the rules of the class: π, U_i = π_i + Σ_j min(T_ij, 1 − R_ij) D_ij π_j, or the mean of all U. */
function baseRewards(payoffs: readonly number[], { trust, damage }: State, e: Environment, mode: RewardMode): number[] {
  if (mode === "private") return [...payoffs];
  const integrated = payoffs.map((own, i) =>
    payoffs.reduce((sum, other, j) => {
      return i === j ? sum : sum + Math.min(trust[i][j], 1 - damage[i][j]) * e.D[i][j] * other;
    }, own),
  );
  return mode === "integrated" ? integrated : integrated.map(() => mean(integrated));
}

/** Teams: low effort costs, lasting effort and effort of all pay. */
function loyaltyFactors(state: State, e: Environment): number[] {
  const recent = state.history.slice(-10);
  const rates = recent.map((actions) => actions.map((a, i) => a / e.endowments[i]));
  const now = rates[rates.length - 1];
  const all = now.every((rate) => rate >= 0.5) ? 1.2 : 1;
  return now.map((rate, i) => {
    const lasting = mean(rates.map((row) => row[i]));
    return all * (rate < 0.3 ? 0.5 : 1) * (lasting >= 0.6 ? 1 + 0.15 * lasting : 1);
  });
}

/** Coalitions: members of little loyalty are shut out for a while, and come back when they have regained it. */
function coalitionFactors(state: State, actions: readonly number[], e: Environment): number[] {
  const { standing, excluded } = state;
  actions.forEach((a, i) => {
    const rate = a / e.endowments[i];
    standing[i] = clip(standing[i] + (rate >= 0.5 ? 0.02 * rate : -0.05 * (0.5 - rate)), 0, 1);
  });
  let members = excluded.filter((timer) => timer === null).length;
  excluded.forEach((timer, i) => {
    if (timer !== null || standing[i] >= 0.15 || members <= 3) return;
    excluded[i] = 5;
    members--;
  });
  excluded.forEach((timer, i) => {
    if (timer === null) return;
    excluded[i] = timer - 1;
    if (timer - 1 > 0 || standing[i] < 0.4) return;
    excluded[i] = null;
    members++;
  });
  return excluded.map((timer) => (timer !== null ? 0.5 : members >= 3 ? 1.1 : 1));
}

/** max(0.01, 1 + u_i / mean endowment), u_i what i owes the others for doing more or less than they used to. */
function reciprocityFactors(state: State, e: Environment, r: Reciprocity, memory: MemoryMode): number[] {
  const { history, trust } = state;
  const t = history.length;
  const now = history[t - 1];
  const size = Math.min(r.memory, t - 1);
  const end = memory === "official" ? t : t - 1;
  const window = history.slice(end - size, end);
  const usual = now.map((_, j) => (size === 0 ? 0 : mean(window.map((actions) => actions[j]))));
  const scale = mean(e.endowments);
  return now.map((_, i) => {
    const owed = now.reduce((sum, a, j) => {
      if (i === j) return sum;
      const strength = r.rho * e.D[i][j] ** r.eta;
      const response = Math.tanh(r.sharpness * (a - usual[j]));
      return sum + r.lambda * trust[i][j] * (1 + r.omega * e.D[i][j]) * strength * response;
    }, 0);
    return Math.max(0.01, 1 + owed / scale);
  });
}

/** Public reputation follows effort; its tier multiplies the reward. */
function reputationFactors(state: State, actions: readonly number[], e: Environment): number[] {
  state.standing = state.standing.map((x, i) => clip(x + 0.1 * (actions[i] / e.endowments[i] - 0.5), 0, 1));
  const reaches = (x: number, tier: number) => x >= tier - 1e-6;
  return state.standing.map((x) => (reaches(x, 0.8) ? 1.3 : reaches(x, 0.5) ? 1 : reaches(x, 0.25) ? 0.7 : 0.4));
}

/** Departures from an agreement of more than this break it, and actions this close to each other make one. */
const agreementRoom = 10;

/** Penalty for leaving an agreement; two actions that are close become the next one. */
function negotiationPenalties(state: State, actions: readonly number[]): number[] {
  const { agreement } = state;
  const away = actions.map((a, i) => (agreement === null ? 0 : Math.abs(a - agreement[i])));
  const broken = away.some((d) => d > agreementRoom);
  if (Math.abs(actions[0] - actions[1]) <= agreementRoom) state.agreement = actions;
  return away.map((d) => (broken ? 3 * d : 0));
}

/** Rewards after the rules of the environment's class. */
function withRules(rewards: number[], state: State, actions: readonly number[], e: Environment, memory: MemoryMode) {
  const times = (factors: readonly number[]) => rewards.map((r, i) => r * factors[i]);
  switch (e.extra) {
    case "effort":
      return times(actions.map((a, i) => (a / e.endowments[i] < 0.2 ? 0.9 : 1)));
    case "loyalty":
      return times(loyaltyFactors(state, e));
    case "coalition": {
      const coalition = coalitionFactors(state, actions, e);
      return times(loyaltyFactors(state, e).map((factor, i) => factor * coalition[i]));
    }
    case "reciprocity":
      return e.reciprocity === null ? rewards : times(reciprocityFactors(state, e, e.reciprocity, memory));
    case "public-reputation":
      return times(reputationFactors(state, actions, e));
    case "negotiation": {
      const penalties = negotiationPenalties(state, actions);
      return rewards.map((r, i) => r - penalties[i]);
    }
    default:
      return rewards;
  }
}

function hasEnded(stop: StopRule, trust: Matrix): boolean {
  if (stop.kind === "none") return false;
  const pairs = stop.pairs ?? trust.flatMap((row, i) => row.flatMap((_, j) => (i === j ? [] : [[i, j] as const])));
  const level = mean(pairs.map(([i, j]) => trust[i][j]));
  return stop.kind === "below" ? level < stop.level : level >= stop.level;
}

/** What became of an episode: rewards per step and agent, trust T and reputation damage R at its end. */
export interface Episode {
  rewards: number[][];
  trust: Matrix;
  reputation: Matrix;
  status: "running" | "terminated" | "truncated";
  steps: number;
}

/**
 * Plays given actions until the environment ends: clip the actions to the endowments, update trust, pay, apply the rules of
 * the class, test for the end. Later actions are ignored.
 */
export function playEpisode(
  e: Environment,
  actions: readonly (readonly number[])[],
  gamma: number,
  mode: RewardMode,
  memory: MemoryMode,
): Episode {
  const state = startOf(e);
  const rewards: number[][] = [];
  let status: Episode["status"] = "running";
  for (const given of actions) {
    const step = given.map((a, i) => clip(a, 0, e.endowments[i]));
    state.history.push(step);
    updateTrust(state, step, e);
    const base = baseRewards(privatePayoffs(step, e, gamma), state, e, mode);
    rewards.push(withRules(base, state, step, e, memory));
    if (hasEnded(e.stop, state.trust)) status = "terminated";
    else if (rewards.length >= e.horizon) status = "truncated";
    if (status !== "running") break;
  }
  return { rewards, trust: state.trust, reputation: state.damage, status, steps: rewards.length };
}
