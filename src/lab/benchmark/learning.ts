import { exactValue } from "../exact/values.ts";
import { Random } from "../random.ts";
import type { Bench } from "./apply.ts";
import { gather } from "./apply.ts";

/**
 * Paces that every method is tried with: the root mean square length, in logits, of an update at the start of training. The
 * learning rate follows from it, since the scales of credit differ from method to method.
 */
export const paces = [0.2, 0.6, 1.8, 5.4] as const;

export interface LearningOptions {
  rate: number;
  updates: number;
  /** Groups of each update, and episodes of each group. */
  groups: number;
  size: number;
  seed: number;
  /** Expected reward at which to stop; `null` = never. */
  until: number | null;
}

export interface Learning {
  /** Episodes until the goal, null when it was not reached. */
  episodes: number | null;
  /** Exact expected reward before each update, and at the end. */
  curve: number[];
  /** Exact expected verdict at the end. */
  verdict: number;
}

/**
 * Trains a tabular policy from the start of a task: plain ascent θ ← θ + rate · g,
 * no logit moving by more than `longestStep` at once.
 */
export function learn(bench: Bench, options: LearningOptions): Learning {
  const { rate, updates, groups, size, seed, until } = options;
  const { model, start } = bench.setting;
  const policy = start.copy();
  const random = new Random(seed);
  const curve: number[] = [];
  let episodes: number | null = null;
  for (let update = 0; update <= updates; update++) {
    const oracles = bench.oracles(policy);
    curve.push(oracles.values.value);
    if (until !== null && oracles.values.value >= until) {
      episodes = update * groups * size;
      break;
    }
    if (update === updates) break;
    const feed = bench.sample(policy, oracles, groups, size, random);
    gather(policy, feed, bench.credit(feed));
    bounded(policy.gradient, rate);
    policy.ascend(rate);
  }
  return { episodes, curve, verdict: exactValue(model, policy, "verified") };
}

/** Longest step of a single logit in one update, as small as those of a trainer that keeps near the policy that sampled. */
export const longestStep = 1;

function bounded(gradient: Float64Array, rate: number): void {
  const most = longestStep / rate;
  for (let k = 0; k < gradient.length; k++) gradient[k] = Math.min(most, Math.max(-most, gradient[k]));
}
