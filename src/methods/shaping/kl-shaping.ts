import { z } from "zod";
import { aggregations, rowWeights } from "../../operators/aggregation.ts";
import { type KlKind, klGradient, klValue } from "../../operators/kl.ts";
import { logRatios } from "../../operators/log-ratio.ts";
import { policyNumbers, requireTokens } from "../../operators/mask.ts";
import { policyRuns } from "../../operators/runs.ts";
import { logSumExp } from "../../operators/scalars.ts";
import { placedTokenRewards, tokenRewards } from "../../operators/token-rewards.ts";
import { type Batch, type FloatArray, InputError, type NumericArray } from "../../rollouts/index.ts";
import { functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { klCoef, rewardClip } from "../parameters.ts";

/** Estimator behind each name; trainers use two names for three of them. */
const kinds = { k1: "k1", kl: "k1", abs: "abs", k2: "k2", mse: "k2", k3: "k3", low_var_kl: "k3" } as const;
type KindName = keyof typeof kinds;
const kindNames = Object.keys(kinds) as KindName[];
/** Value of one estimator with the gradient of k2. */
const straightThrough = ["k1+", "kl+", "k3+", "low_var_kl+"] as const;

const params = z.object({
  kl_coef: klCoef(0.001, "weight of the KL inside the reward; verl 0.001, TRL's PPO 0.05, OpenRLHF 0.01"),
  kind: z
    .enum([...kindNames, "full"])
    .default("k1")
    .describe("estimator: k1 (kl), abs, k2 (mse), k3 (low_var_kl), or full = tokens.full_kl over the vocabulary"),
  reward_clip: rewardClip,
  kl_clip: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("largest absolute value of a token's KL, 10 in OpenRLHF; null = as it is"),
});
type Params = z.output<typeof params>;

/** KL of every policy token in the wanted estimate, cut to its range; 0 on tokens of the environment. */
function tokenKl(batch: Batch, p: Params): FloatArray {
  const { starts, ends } = policyRuns(batch);
  const bound = p.kl_clip ?? Number.POSITIVE_INFINITY;
  const given: NumericArray =
    p.kind === "full" ? policyNumbers(batch, "tokens.full_kl") : logRatios(batch, { policy: "sampler" });
  const kind = p.kind === "full" ? "k1" : kinds[p.kind];
  const out = batch.zeros("token", given);
  for (let run = 0; run < starts.length; run++) {
    for (let t = starts[run]; t < ends[run]; t++) out[t] = Math.min(Math.max(klValue(kind, given[t]), -bound), bound);
  }
  return out;
}

/** Outcomes cut to their range; null stays legal where a rollout has token rewards. */
function clippedOutcomes(batch: Batch, clip: readonly [number, number] | null): ArrayLike<number> | undefined {
  if (clip === null || !batch.has("rollout.reward") || batch.has("tokens.reward", "every")) return undefined;
  const valid = batch.validity("rollout.reward");
  const rewards = batch.numbers("rollout.reward", { absent: 0, missing: 0 });
  return Float64Array.from(rewards, (r, i) => {
    if (valid !== null && valid[i] === 0 && !batch.hasIn("tokens.reward", i))
      throw batch.missing("tokens.reward or rollout.reward", i);
    return Math.min(Math.max(r, clip[0]), clip[1]);
  });
}

/** Sums of a token column over policy tokens (the others hold 0), or their means. */
function perRollout(batch: Batch, values: FloatArray, mean: boolean): Float64Array {
  const { offsets, starts, ends } = policyRuns(batch);
  const out = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    let sum = 0;
    let count = 0;
    for (let run = offsets[i]; run < offsets[i + 1]; run++) {
      count += ends[run] - starts[run];
      for (let t = starts[run]; t < ends[run]; t++) sum += values[t];
    }
    out[i] = mean && count > 0 ? sum / count : sum;
  }
  return out;
}

/**
 * KL inside the reward (arXiv 1909.08593 section 2; estimators from Schulman's note of 2020): r'_t = r_t − β kl_t on policy
 * tokens with r_t = `tokens.reward`, else the outcome on the last policy token. Without a policy token the outcome is lost.
 */
function assign(batch: Batch, p: Params): Batch {
  requireTokens(batch);
  const kl = tokenKl(batch, p);
  const reward = placedTokenRewards(batch, tokenRewards(batch, clippedOutcomes(batch, p.reward_clip)), kl);
  for (let t = 0; t < kl.length; t++) reward[t] -= p.kl_coef * kl[t];
  return batch.with({
    "tokens.kl": kl,
    "tokens.reward": reward,
    "rollout.kl": perRollout(batch, kl, true),
    "rollout.reward_shaped": perRollout(batch, reward, false),
  });
}

function warnings(_: Batch, p: Params): string[] {
  if (p.kind === "full" || kinds[p.kind] === "k1" || p.kl_coef === 0) return [];
  return [`${p.kind} inside the reward does not give the gradient of a KL divergence; k1 does`];
}

const penaltyKind = z.enum([...kindNames, ...straightThrough]);

/** Estimator and gradient of a name of `klPenalty` or `klLoss`. */
function estimator(name: z.output<typeof penaltyKind>): { value: KlKind; gradient: KlKind } {
  const plus = name.endsWith("+");
  const value = kinds[(plus ? name.slice(0, -1) : name) as KindName];
  return { value, gradient: plus ? "k2" : value };
}

const klPenaltyArgs = z.object({ logprob: numberList, ref_logprob: numberList, kind: penaltyKind.default("k1") });

/**
 * Estimate of the KL of each token and its derivative by the token's log-probability. `k1+` and `k3+` take the gradient
 * of k2 (straight through). Lists of one length.
 */
export function klPenalty(args: z.input<typeof klPenaltyArgs>): { value: number[]; grad: number[] } {
  const { logprob, ref_logprob, kind } = functionArgs(klPenaltyArgs, args);
  sameLength({ logprob, ref_logprob });
  const { value, gradient } = estimator(kind);
  const d = logprob.map((x, t) => x - ref_logprob[t]);
  return { value: d.map((x) => klValue(value, x)), grad: d.map((x) => klGradient(gradient, x)) };
}

const fullKlArgs = z.object({ logits: numberRows, ref_logits: numberRows });

/** KL(p ‖ q) over the whole vocabulary at each position, from logits of any offset: Σ_v p_v (log p_v − log q_v). */
export function fullKl(args: z.input<typeof fullKlArgs>): number[] {
  const { logits, ref_logits } = functionArgs(fullKlArgs, args);
  sameLength({ logits, ref_logits });
  return logits.map((row, position) => {
    const reference = ref_logits[position];
    sameLength({ [`logits.${position}`]: row, [`ref_logits.${position}`]: reference });
    if (row.length === 0) throw new InputError(`argument logits.${position} is empty`, { expected: "a vocabulary" });
    const norm = logSumExp(row);
    const referenceNorm = logSumExp(reference);
    let kl = 0;
    row.forEach((x, v) => {
      kl += Math.exp(x - norm) * (x - norm - (reference[v] - referenceNorm));
    });
    return Math.max(kl, 0);
  });
}

const klLossArgs = z.object({
  logprob: numberRows,
  ref_logprob: numberRows,
  mask: z.array(z.array(z.union([z.literal(0), z.literal(1)]))).optional(),
  kind: penaltyKind.default("k3"),
  agg: z.enum(aggregations).default("token-mean"),
  loss_scale: z.number().positive().nullable().default(null),
});

/**
 * KL as a loss: Σ u_it value_it with the weights u of the aggregation, and weight_it = −d loss / d logprob_it.
 * Rows may differ in length; `mask` absent = all 1.
 */
export function klLoss(args: z.input<typeof klLossArgs>): { loss: number; weight: number[][] } {
  const { logprob, ref_logprob, kind, agg, loss_scale, ...rest } = functionArgs(klLossArgs, args);
  const mask = rest.mask ?? logprob.map((row) => row.map(() => 1));
  sameLength({ logprob, ref_logprob, mask });
  const counts = mask.map((row) => row.reduce<number>((sum, m) => sum + m, 0));
  const u = rowWeights(
    agg,
    counts,
    logprob.map((row) => row.length),
    loss_scale,
  );
  const { value, gradient } = estimator(kind);
  let loss = 0;
  const weight = logprob.map((row, i) => {
    sameLength({ [`logprob.${i}`]: row, [`ref_logprob.${i}`]: ref_logprob[i], [`mask.${i}`]: mask[i] });
    return row.map((x, t) => {
      if (mask[i][t] === 0) return 0;
      const d = x - ref_logprob[i][t];
      loss += u[i] * klValue(value, d);
      return 0 - u[i] * klGradient(gradient, d);
    });
  });
  return { loss, weight };
}

const adaptiveKlCoefArgs = z.object({
  coef: z.number().nonnegative(),
  kl: z.number(),
  target: z.number().positive(),
  horizon: z.number().positive(),
  n_steps: z.number().nonnegative(),
});

/** Largest relative error that the controller answers to. */
const mostError = 0.2;

/**
 * Adaptive coefficient (arXiv 1909.08593 section 2.2): e = clip(kl / target − 1, −0.2, 0.2), coef (1 + e n_steps / horizon).
 * `kl` is the batch mean of `rollout.kl`, `n_steps` the number of rollouts.
 */
export function adaptiveKlCoef(args: z.input<typeof adaptiveKlCoefArgs>): number {
  const { coef, kl, target, horizon, n_steps } = functionArgs(adaptiveKlCoefArgs, args);
  const error = Math.min(Math.max(kl / target - 1, -mostError), mostError);
  return coef * (1 + (error * n_steps) / horizon);
}

export const klShaping = defineMethod({
  id: "kl-shaping",
  title: "KL penalty per token",
  summary:
    "Estimate the KL divergence to a reference policy from the sampled tokens and subtract it from the reward of every token; as a loss, with the gradient of each estimator, under `functions`.",
  facts: {
    paper: {
      title: "Fine-Tuning Language Models from Human Preferences",
      arxiv: "1909.08593",
      date: "2019-09",
      repo: "openai/lm-human-preferences",
    },
    headline:
      "k1 in the reward and k2 as loss follow KL(π ‖ π_ref); k3 as loss follows KL(π_ref ‖ π), k1 as loss follows nothing.",
    granularity: "token",
    methodology: ["shaping"],
    checked: "verl (August 2026): values 5e-7 (rounding at 447), gradients 4e-9, loss 3e-9, controller 3e-11",
  },
  equations: [
    { text: "d_t = log π(y_t) − log π_ref(y_t)", tex: "d_t = \\log\\pi(y_t) - \\log\\pi_{ref}(y_t)" },
    {
      text: "k1 = d, abs = |d|, k2 = d²/2, k3 = e^(−d) + d − 1",
      tex: "k_1 = d,\\quad k_2 = \\tfrac{1}{2} d^2,\\quad k_3 = e^{-d} + d - 1",
    },
    { text: "r'_t = r_t − β kl_t", tex: "r'_t = r_t - \\beta\\,\\mathrm{kl}_t" },
  ],
  params,
  presets: {
    trl: { kl_coef: 0.05 },
    openrlhf: { kl_coef: 0.01, reward_clip: [-10, 10], kl_clip: 10 },
  },
  reads: [
    "tokens",
    "tokens.reward | rollout.reward",
    "tokens.mask?",
    "tokens.old_logprob | tokens.logprob | tokens.full_kl",
    "tokens.ref_logprob | tokens.full_kl",
  ],
  writes: ["tokens.kl", "tokens.reward", "rollout.kl", "rollout.reward_shaped"],
  scope: "rollout",
  functions: { klPenalty, fullKl, klLoss, adaptiveKlCoef },
  warnings,
  assign,
});
