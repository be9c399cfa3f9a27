import { logSumExp } from "../../operators/scalars.ts";

/** P(y beats y') of every pair of responses. */
export type Preference = readonly (readonly number[])[];

/** Expected win rate of each response against a draw from the policy: r(y) = Σ_y' π(y') P(y beats y'). */
export function winRates(preference: Preference, policy: ArrayLike<number>): number[] {
  return preference.map((row) => row.reduce((sum, p, k) => sum + p * policy[k], 0));
}

/** log π*(y) = base(y) + r(y) / η − log Z, base the logarithm of the policy that is improved. */
export function improved(base: readonly number[], rewards: readonly number[], eta: number): number[] {
  // Taken off first, the largest reward cannot overflow under a small η.
  const top = rewards.reduce((a, b) => Math.max(a, b));
  const raw = base.map((x, y) => x + (rewards[y] - top) / eta);
  const norm = logSumExp(raw);
  return raw.map((x) => x - norm);
}

export interface Iterated {
  /** Mean of the policies before each step. */
  average: number[];
  last: number[];
  /** Win rate of each new policy against the one before it. */
  improvement: number[];
}

/** Soft policy iteration on a known preference, in logarithms so that no response dies out by underflow. */
export function iterate(preference: Preference, start: readonly number[], eta: number, steps: number): Iterated {
  let log = start.map((p) => Math.log(p));
  let policy: readonly number[] = start;
  const average = start.map(() => 0);
  const improvement: number[] = [];
  for (let step = 0; step < steps; step++) {
    const rewards = winRates(preference, policy);
    policy.forEach((p, y) => {
      average[y] += p / steps;
    });
    log = improved(log, rewards, eta);
    policy = log.map((x) => Math.exp(x));
    improvement.push(policy.reduce((sum, p, y) => sum + p * rewards[y], 0));
  }
  return { average, last: [...policy], improvement };
}
