/** What is known of one update; null where it cannot be known. All but the times are the same in every run of a seed. */
export interface Metrics {
  /** From 1. */
  update: number;
  /** Mean of what training saw. */
  reward: number;
  /** Mean of what the verifier said. */
  true_reward: number;
  /** Mean entropy of the choices, in nats. */
  entropy: number;
  /** Mean estimate (k3) of the divergence from the reference policy, per choice. */
  kl: number | null;
  /** Tokens that the policy wrote, per rollout. */
  length: number;
  turns: number;
  loss: number;
  clip_fraction: number;
  /** Mean of log π_old − log π at the steps of the optimiser. */
  approx_kl: number;
  gradient_norm: number;
  lr: number;
  advantage_mean: number;
  advantage_std: number;
  /** Correlation of the advantages with the true ones, over the choices of the batch. */
  credit_correlation: number | null;
  /** Share of choices whose advantage has the sign of the true one, where that is not 0; an advantage of 0 counts half. */
  credit_sign: number | null;
  /** Turns played beyond the rollouts, for methods that ask for more. */
  extra_turns: number;
  sample_s: number;
  credit_s: number;
  learn_s: number;
  /** Part of the update's time that working out credit took. */
  credit_share: number;
}

/** Names of all metrics, in the order in which a table has them. */
export const metricNames = [
  "update",
  "reward",
  "true_reward",
  "entropy",
  "kl",
  "length",
  "turns",
  "loss",
  "clip_fraction",
  "approx_kl",
  "gradient_norm",
  "lr",
  "advantage_mean",
  "advantage_std",
  "credit_correlation",
  "credit_sign",
  "extra_turns",
  "sample_s",
  "credit_s",
  "learn_s",
  "credit_share",
] as const satisfies readonly (keyof Metrics)[];

/** Names of the metrics that measure time, and so differ from run to run. */
export const timings: readonly (keyof Metrics)[] = ["sample_s", "credit_s", "learn_s", "credit_share"];

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < values.length; k++) sum += values[k];
  return values.length === 0 ? 0 : sum / values.length;
}

/** Standard deviation of a population. */
export function spread(values: ArrayLike<number>): number {
  const m = mean(values);
  let sum = 0;
  for (let k = 0; k < values.length; k++) sum += (values[k] - m) ** 2;
  return values.length === 0 ? 0 : Math.sqrt(sum / values.length);
}

/** True advantages closer to 0 than this have no sign. */
const none = 1e-9;

/** How close credit comes to the truth; null where one of the two does not vary, or no true advantage has a sign. */
export function fidelity(
  credit: ArrayLike<number>,
  truth: ArrayLike<number>,
): { credit_correlation: number | null; credit_sign: number | null } {
  const [a, b] = [mean(credit), mean(truth)];
  let covariance = 0;
  let signed = 0;
  let right = 0;
  for (let k = 0; k < credit.length; k++) {
    covariance += (credit[k] - a) * (truth[k] - b);
    if (Math.abs(truth[k]) <= none) continue;
    signed++;
    if (credit[k] === 0) right += 0.5;
    else if (credit[k] > 0 === truth[k] > 0) right++;
  }
  const size = spread(credit) * spread(truth) * credit.length;
  return {
    credit_correlation: size < 1e-12 ? null : covariance / size,
    credit_sign: signed === 0 ? null : right / signed,
  };
}
