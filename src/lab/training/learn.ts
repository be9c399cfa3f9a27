import type { Optimiser } from "../optimisers/optimiser.ts";
import type { Coefficients, Policy } from "../policies/policy.ts";
import type { Random } from "../random.ts";
import type { TokenCredit } from "./credit.ts";
import type { Episode } from "./episodes.ts";
import { stepWeights, type TokenLogprobs } from "./policy-gradient.ts";
import type { Recorded } from "./record.ts";
import type { TrainingSettings } from "./settings.ts";

/** A batch with its credit. */
export interface Lesson {
  episodes: readonly Episode[];
  recorded: Recorded;
  /** Log-probabilities when the batch was sampled. */
  logprobs: TokenLogprobs;
  given: TokenCredit;
}

/** What learning from a batch said, as means over the steps of the optimiser. */
export interface Learned {
  loss: number;
  clip_fraction: number;
  approx_kl: number;
  gradient_norm: number;
  lr: number;
}

/** Who learns. */
export interface Learner {
  policy: Policy;
  optimiser: Optimiser;
  settings: TrainingSettings;
}

/** Steps of the optimiser over a batch: `epochs` passes of `minibatches` steps each. */
export function learn(learner: Learner, random: Random, lesson: Lesson): Learned {
  const { settings, optimiser, policy } = learner;
  const { episodes, recorded, logprobs: sampled, given } = lesson;
  const sums = { loss: 0, clip_fraction: 0, approx_kl: 0, gradient_norm: 0 };
  let steps = 0;
  let lr = 0;
  for (let epoch = 0; epoch < settings.epochs; epoch++) {
    for (const members of dealt(episodes.length, settings.minibatches, random)) {
      // The first step is taken by the policy that sampled.
      const logprobs = steps === 0 ? sampled : current(policy, lesson, members);
      const made = stepWeights(recorded.rows, given, logprobs, members, settings);
      const traces = Array.from(members, (i) => episodes[i].trace);
      const { gradient } = policy.gradient(
        traces,
        coefficients(learner, episodes, members, made.weight, made.entropyWeight),
      );
      const update = optimiser.update(policy.parameters(), gradient);
      policy.changed();
      lr = update.rate;
      steps++;
      sums.loss += made.loss;
      sums.clip_fraction += made.clipFraction;
      sums.approx_kl += made.approxKl;
      sums.gradient_norm += update.gradientNorm;
    }
  }
  return {
    loss: sums.loss / steps,
    clip_fraction: sums.clip_fraction / steps,
    approx_kl: sums.approx_kl / steps,
    gradient_norm: sums.gradient_norm / steps,
    lr,
  };
}

/** Log-probabilities of some rollouts under the policy as it is now; those of the others stay as they were. */
function current(policy: Policy, { episodes, recorded, logprobs }: Lesson, members: ArrayLike<number>): TokenLogprobs {
  const { offsets } = recorded.rows;
  const traces = Array.from(members, (i) => episodes[i].trace);
  const now = policy.evaluate(traces).logprob;
  const logprob = logprobs.logprob.slice();
  let first = 0;
  traces.forEach(({ mask }, m) => {
    let at = offsets[members[m]];
    for (let k = 0; k < mask.length; k++) if (mask[k] === 1) logprob[at++] = now[first + k];
    first += mask.length;
  });
  return { ...logprobs, logprob };
}

/** Rollouts of each step: all of them, or dealt out at random. */
function dealt(count: number, minibatches: number, random: Random): Int32Array[] {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  if (minibatches === 1) return [order];
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  const parts = Math.min(minibatches, count);
  return Array.from({ length: parts }, (_, k) =>
    order.slice(Math.floor((k * count) / parts), Math.floor(((k + 1) * count) / parts)).sort(),
  );
}

/** Derivatives of the loss by every token of the traces of a step; values learn the reward that was still to come. */
function coefficients(
  { settings, policy }: Learner,
  episodes: readonly Episode[],
  members: Int32Array,
  weight: Float64Array,
  entropyWeight: Float64Array,
): Coefficients {
  const total = members.reduce((sum, i) => sum + episodes[i].trace.mask.length, 0);
  const logprob = new Float64Array(total);
  const entropy = new Float64Array(total);
  const value = new Float64Array(total);
  let at = 0;
  let chosen = 0;
  for (const i of members) {
    const { trace, turns } = episodes[i];
    let toCome = episodes[i].reward;
    let turn = 0;
    for (let k = 0; k < trace.mask.length; k++, at++) {
      while (turn < turns.length && k >= turns[turn].end) toCome -= turns[turn++].reward;
      if (trace.mask[k] === 0) continue;
      logprob[at] = -weight[chosen];
      entropy[at] = -entropyWeight[chosen];
      if (trace.value !== null) value[at] = (settings.value_coef * (trace.value[k] - toCome)) / weight.length;
      chosen++;
    }
  }
  return {
    logprob,
    ...(settings.entropy_coef > 0 ? { entropy } : {}),
    ...(policy.hasValue && settings.value_coef > 0 ? { value } : {}),
  };
}
