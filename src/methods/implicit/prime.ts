import { z } from "zod";
import { leaveOneOut, leaveOneOutStretch } from "../../operators/baselines.ts";
import { logRatios } from "../../operators/log-ratio.ts";
import { lastPolicyTokens, policyLengths, policyMask } from "../../operators/mask.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { policyRuns } from "../../operators/runs.ts";
import { softplus } from "../../operators/scalars.ts";
import { whitenRuns } from "../../operators/whiten.ts";
import type { Batch, FloatArray } from "../../rollouts/index.ts";
import { functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";

const params = z.object({
  beta: z.number().positive().default(0.05).describe("scale of the log-ratio"),
  norm: z
    .enum(["batch", "none"])
    .default("batch")
    .describe("batch divides the implicit rewards by the largest return of the call"),
  norm_eps: z.number().positive().default(1e-6).describe("added to that largest return"),
  rm_coef: z.number().min(0).default(1).describe("weight of the implicit process reward; 0 = outcome only"),
  gt_coef: z.number().min(0).default(1).describe("weight of the outcome; 0 = process only"),
  gamma_rm: z.number().gt(0).max(1).default(1).describe("discount per token of the process part"),
  gamma_gt: z.number().gt(0).max(1).default(1).describe("discount per token of the outcome part"),
  rloo: z
    .enum(["official", "paper"])
    .default("official")
    .describe("leave-one-out baseline of the process part: stretched by K/(K-1) as in the code, or as printed"),
  last_token: z
    .enum(["include", "exclude"])
    .default("include")
    .describe("whether the last policy token has a process reward"),
  granularity: z
    .enum(["token", "whole"])
    .default("token")
    .describe("token by token, or the sum of all on the last policy token"),
  whiten_advantage: z.boolean().default(true).describe("centre and scale over all policy tokens of the call"),
  eps: z.number().positive().default(1e-8).describe("added to the variance of whitening, inside the root"),
});
type Params = z.output<typeof params>;

/** Reference of the implicit reward model: the first of these that a rollout has. */
const references = ["tokens.prm_ref_logprob", "tokens.ref_logprob", "tokens.old_logprob", "tokens.logprob"];

/** q_t = β (log π_φ − log π_ref), placed as granularity and last_token say; 0 on tokens of the environment. */
function implicitRewards(batch: Batch, p: Params): FloatArray {
  const q = logRatios(batch, {
    policy: "tokens.prm_logprob",
    reference: references,
    coef: p.beta,
    refusePositive: true,
  });
  const last = lastPolicyTokens(batch);
  const offsets = batch.offsets("token");
  for (let i = 0; i < batch.size; i++) {
    if (last[i] < 0) continue;
    if (p.last_token === "exclude") q[last[i]] = 0;
    if (p.granularity === "token") continue;
    let sum = 0;
    for (let t = offsets[i]; t <= last[i]; t++) sum += q[t];
    q.fill(0, offsets[i], last[i]);
    q[last[i]] = sum;
  }
  return q;
}

/** Divides by C + ε, C = the largest |Σ_{s ≥ t} q_s| of the call: every return is then within ±1. */
function scaleByLargestReturn(batch: Batch, q: FloatArray, eps: number): void {
  const offsets = batch.offsets("token");
  let largest = 0;
  for (let i = 0; i < batch.size; i++) {
    let sum = 0;
    for (let t = offsets[i + 1] - 1; t >= offsets[i]; t--) {
      sum += q[t];
      largest = Math.max(largest, Math.abs(sum));
    }
  }
  const factor = 1 / (largest + eps);
  for (let t = 0; t < q.length; t++) q[t] *= factor;
}

/** Process rewards minus their baseline, on policy tokens: leave-one-out over the mean token reward of each response. */
function centred(batch: Batch, reward: FloatArray, p: Params): FloatArray {
  const runs = policyRuns(batch);
  const pools = poolByGroup(batch, "rollout");
  const lengths = policyLengths(batch);
  const means = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    for (let run = runs.offsets[i]; run < runs.offsets[i + 1]; run++) {
      for (let t = runs.starts[run]; t < runs.ends[run]; t++) means[i] += reward[t];
    }
    if (lengths[i] > 0) means[i] /= lengths[i];
  }
  const official = p.rloo === "official" ? leaveOneOutStretch(means, pools) : null;
  const { baseline } = leaveOneOut(means, pools, { singleton: "raw" });
  const out = batch.zeros("token", reward);
  for (let i = 0; i < batch.size; i++) {
    const centre = official?.centre[i] ?? baseline[i];
    const factor = official?.factor[i] ?? 1;
    for (let run = runs.offsets[i]; run < runs.offsets[i + 1]; run++) {
      for (let t = runs.starts[run]; t < runs.ends[run]; t++) out[t] = factor * (reward[t] - centre);
    }
  }
  return out;
}

/**
 * Credit of PRIME (arXiv 2502.01456; official code for the batch norm and the baseline): the implicit
 * process reward r of every token and the outcome o, each minus its leave-one-out baseline, summed backwards,
 * A_t = rm_coef Σ_{s ≥ t} γ_rm^{s−t} (r_s − b) + gt_coef γ_gt^{T−t} (o − b_o), then whitened over all policy tokens.
 * Discounts count token positions, tokens of the environment included. A missing outcome counts as 0.
 */
function assign(batch: Batch, p: Params): Batch {
  const reward = implicitRewards(batch, p);
  if (p.norm === "batch") scaleByLargestReturn(batch, reward, p.norm_eps);
  const offsets = batch.offsets("token");
  const mask = policyMask(batch);
  const chain = { offsets, mask, gap: "count" } as const;
  const advantage = centred(batch, reward, p);
  reverseSumsInto({ ...chain, rewards: advantage, gamma: p.gamma_rm }, advantage);
  const outcome = leaveOneOut(
    batch.numbers("rollout.reward", { absent: 0, missing: 0 }),
    poolByGroup(batch, "rollout"),
    { singleton: "raw" },
  ).advantage;
  const outcomePart = batch.zeros("token", reward);
  reverseSumsInto({ ...chain, last: outcome, gamma: p.gamma_gt }, outcomePart);
  for (let t = 0; t < advantage.length; t++) advantage[t] = p.rm_coef * advantage[t] + p.gt_coef * outcomePart[t];
  if (p.whiten_advantage) whitenRuns(advantage, policyRuns(batch), { eps: p.eps });
  return batch.with({ "tokens.reward": reward, "tokens.advantage": advantage });
}

const logprobRows = z.array(z.array(z.number().max(1e-6, "a log-probability of at most 0")));
const ceLossArgs = z.object({
  prm_logprob: logprobRows,
  ref_logprob: logprobRows,
  reward: z.array(z.number().nullable()),
  beta: params.shape.beta,
  mask: z.array(z.array(z.union([z.literal(0), z.literal(1)]))).optional(),
});

/**
 * Loss of the implicit reward model (arXiv 2502.01456): the mean over responses of
 * −o log σ(z) − (1 − o) log(1 − σ(z)), with z = β Σ_t (log π_φ − log π_ref) over policy tokens. No responses: 0.
 */
export function primeCeLoss(args: z.input<typeof ceLossArgs>): number {
  const { prm_logprob, ref_logprob, reward, beta, mask } = functionArgs(ceLossArgs, args);
  sameLength({ prm_logprob, ref_logprob, reward, ...(mask === undefined ? {} : { mask }) });
  let total = 0;
  prm_logprob.forEach((row, i) => {
    sameLength({
      [`prm_logprob[${i}]`]: row,
      [`ref_logprob[${i}]`]: ref_logprob[i],
      ...(mask === undefined ? {} : { [`mask[${i}]`]: mask[i] }),
    });
    const z = beta * row.reduce((sum, x, t) => (mask?.[i][t] === 0 ? sum : sum + x - ref_logprob[i][t]), 0);
    const outcome = reward[i] ?? 0;
    total += outcome * softplus(-z) + (1 - outcome) * softplus(z);
  });
  return prm_logprob.length === 0 ? 0 : total / prm_logprob.length;
}

const pairArgs = z.object({ score: numberList, reward: numberList });

/**
 * How well scores order the responses of one group: over pairs i < j, weighted by |o_i − o_j|, the share in which
 * (score_i > score_j) agrees with (o_i > o_j); 0.5 when no pair differs in its outcome.
 */
export function primePairAccuracy(args: z.input<typeof pairArgs>): number {
  const { score, reward } = functionArgs(pairArgs, args);
  sameLength({ score, reward });
  let right = 0;
  let all = 0;
  for (let i = 0; i < score.length; i++) {
    for (let j = i + 1; j < score.length; j++) {
      const weight = Math.abs(reward[i] - reward[j]);
      all += weight;
      if (score[i] > score[j] === reward[i] > reward[j]) right += weight;
    }
  }
  return all === 0 ? 0.5 : right / all;
}

const filterArgs = z.object({
  rewards: numberRows,
  lower: z.number().default(0.2),
  upper: z.number().default(0.8),
});

/** Which groups are worth training on: lower ≤ mean outcome ≤ upper, both inclusive; an empty group is not. */
export function primeFilter(args: z.input<typeof filterArgs>): boolean[] {
  const { rewards, lower, upper } = functionArgs(filterArgs, args);
  return rewards.map((group) => {
    const mean = group.reduce((a, b) => a + b, 0) / group.length;
    return mean >= lower && mean <= upper;
  });
}

export const prime = defineMethod({
  id: "prime",
  title: "PRIME: process reinforcement through implicit rewards",
  summary:
    "A language model trained online with outcome labels gives every token the reward beta times its log-ratio to the reference; its leave-one-out return is added to that of the outcome and whitened.",
  facts: {
    paper: {
      title: "Process Reinforcement through Implicit Rewards",
      arxiv: "2502.01456",
      date: "2025-02",
      repo: "PRIME-RL/PRIME",
    },
    headline:
      "Eurus-2-7B-PRIME gains 15.1 % on average over its SFT model on reasoning benchmarks, with 10 % of the data of Qwen2.5-Math-7B-Instruct.",
    granularity: "token",
    methodology: ["implicit-reward", "monte-carlo", "self-supervised"],
    checked: "official code and the verl recipe, max abs diff 2e-15",
  },
  equations: [
    {
      text: "q_t = β (log π_φ(y_t) − log π_ref(y_t)), r_t = q_t / (C + ε), C = max |Σ_{s ≥ t} q_s| of the call",
      tex: "q_t = \\beta\\log\\frac{\\pi_\\phi(y_t)}{\\pi_{\\mathrm{ref}}(y_t)},\\quad r_t = \\frac{q_t}{C + \\varepsilon}",
    },
    {
      text: "a_it = r_it K/(K−1) − Σ_j m_j / (K−1), m_j = mean of r_j",
      tex: "a_{it} = \\tfrac{K}{K-1} r_{it} - \\tfrac{1}{K-1}\\sum_j \\bar r_j",
    },
    {
      text: "A_it = rm_coef Σ_{s ≥ t} γ_rm^{s−t} a_is + gt_coef γ_gt^{T−t} (o_i − mean of the other o), then whitened",
      tex: "A_{it} = \\lambda_{\\mathrm{rm}}\\sum_{s \\ge t}\\gamma_{\\mathrm{rm}}^{s-t} a_{is} + \\lambda_{\\mathrm{gt}}\\gamma_{\\mathrm{gt}}^{T-t}\\Big(o_i - \\tfrac{1}{K-1}\\sum_{j \\ne i} o_j\\Big)",
    },
  ],
  params,
  presets: {
    paper: { norm: "none", rloo: "paper" },
    official: {},
    verl: { last_token: "exclude", rm_coef: 5, gt_coef: 5 },
  },
  reads: [
    "tokens.prm_logprob",
    "tokens.prm_ref_logprob | tokens.ref_logprob | tokens.old_logprob | tokens.logprob",
    "rollout.reward?",
    "tokens.mask?",
    "group?",
  ],
  writes: ["tokens.reward", "tokens.advantage"],
  scope: (p) => (p.norm === "none" && !p.whiten_advantage ? "group" : "batch"),
  unscored: true,
  functions: { primeCeLoss, primePairAccuracy, primeFilter },
  assign,
});
