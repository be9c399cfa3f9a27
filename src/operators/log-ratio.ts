import type { Batch, FloatArray, NumericArray } from "../rollouts/index.ts";
import { policyMask, policyNumbers } from "./mask.ts";

export interface LogRatioSpec {
  /**
   * Column of the policy. `sampler`: the policy that produced the batch, `tokens.old_logprob` where a rollout has it, else
   * `tokens.logprob`. Or any path, or several of which each rollout uses the first that it has.
   */
  policy: "sampler" | string | readonly string[];
  /** Column of the reference, or several of which each rollout uses the first that it has. Default `tokens.ref_logprob`. */
  reference?: string | readonly string[];
  /** Factor of the difference (β). Default 1. */
  coef?: number;
  /** Refuse log-probabilities above 1e-6 on policy tokens (densities may be above 0). Default: accept. */
  refusePositive?: boolean;
}

/** Largest log-probability that still counts as rounding of 0. */
const mostLogprob = 1e-6;

/**
 * Log-probabilities of all tokens from the first of these columns that each rollout has.
 * Only policy tokens are checked: null (and, if asked, a value above 1e-6) is legal on tokens of the environment, where
 * the number is meaningless.
 * @throws InputError naming the rollout that has none of the columns, or the token with a value that will not do.
 */
export function logprobs(batch: Batch, paths: readonly string[], refusePositive = false): NumericArray {
  return batch.memo(`logprobs ${paths.join(" ")} ${refusePositive}`, () => {
    const found = paths.filter((path) => batch.has(path));
    const all = found.map((path) => policyNumbers(batch, path, 0));
    if (refusePositive) for (let k = 0; k < all.length; k++) refuse(batch, found[k], all[k]);
    if (found.length > 0 && batch.has(found[0], "every")) return all[0];
    const offsets = batch.offsets("token");
    const single = all.length > 0 && all.every((values) => values instanceof Float32Array);
    const out = single ? new Float32Array(batch.count("token")) : new Float64Array(batch.count("token"));
    for (let i = 0; i < batch.size; i++) {
      const k = found.findIndex((path) => batch.hasIn(path, i));
      if (k < 0) throw batch.missing(paths.join(" or "), i);
      out.set(all[k].subarray(offsets[i], offsets[i + 1]), offsets[i]);
    }
    return out;
  });
}

function refuse(batch: Batch, path: string, values: NumericArray): void {
  const mask = policyMask(batch);
  for (let t = 0; t < values.length; t++) {
    if (values[t] > mostLogprob && (mask === null || mask[t] === 1))
      throw batch.wrongValue(path, t, "a log-probability of at most 0", `${values[t]}`);
  }
}

function pair(batch: Batch, spec: LogRatioSpec): { policy: NumericArray; reference: NumericArray } {
  const { policy, reference = "tokens.ref_logprob", refusePositive = false } = spec;
  const ours = policy === "sampler" ? ["tokens.old_logprob", "tokens.logprob"] : [policy].flat();
  return {
    policy: logprobs(batch, ours, refusePositive),
    reference: logprobs(batch, [reference].flat(), refusePositive),
  };
}

/**
 * Log-ratio of every token: β (log π(y_t) − log π_ref(y_t)) on policy tokens, 0 on tokens of the environment.
 * With β = 1 it is the k1 estimate of the KL divergence; with β of DPO it is the implicit reward (arXiv 2404.12358).
 * @returns one number per token, as wide as the policy's column.
 * @throws InputError when a rollout lacks a column, or a log-probability of a policy token is null (or above 1e-6, if asked).
 */
export function logRatios(batch: Batch, spec: LogRatioSpec): FloatArray {
  const { policy, reference } = pair(batch, spec);
  const { coef = 1 } = spec;
  const mask = policyMask(batch);
  const out = batch.zeros("token", policy);
  for (let t = 0; t < out.length; t++) {
    if (mask === null || mask[t] === 1) out[t] = coef * (policy[t] - reference[t]);
  }
  return out;
}

/**
 * Log-ratio of every rollout: Σ_t β (log π(y_t) − log π_ref(y_t)) over its policy tokens, summed in float64.
 * @returns one number per rollout; 0 for a rollout without policy tokens.
 */
export function logRatioSums(batch: Batch, spec: LogRatioSpec): Float64Array {
  const { policy, reference } = pair(batch, spec);
  const { coef = 1 } = spec;
  const mask = policyMask(batch);
  const offsets = batch.offsets("token");
  const out = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    let sum = 0;
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      if (mask === null || mask[t] === 1) sum += policy[t] - reference[t];
    }
    out[i] = coef * sum;
  }
  return out;
}
