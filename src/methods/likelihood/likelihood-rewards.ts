import { z } from "zod";
import { leaveOneOut } from "../../operators/baselines.ts";
import { advantageColumns } from "../../operators/group-credit.ts";
import { policyLengths, requireTokens } from "../../operators/mask.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { bits } from "../../operators/ranges.ts";
import { logMeanExp as logMeanExpOf, logSumExp } from "../../operators/scalars.ts";
import { softmaxPools } from "../../operators/softmax.ts";
import { type Batch, InputError, type NumericArray } from "../../rollouts/index.ts";
import { functionArgs, numberList } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { lengthDivisor, rankRewards } from "./nover.ts";
import { meanProbability, mostLogprob, referenceLogprobs, sumOf } from "./reference.ts";

const ownRewards = ["log_prob", "avg_log_prob", "prob", "avg_prob", "geo_prob"] as const;
type OwnReward = (typeof ownRewards)[number];
const baselines = ["rloo", "mean", "none"] as const;

const weight = (text: string) => z.number().min(0).default(1).describe(`weight of the ${text} (variant nover)`);
const params = z.object({
  variant: z
    .enum([...ownRewards, "jepo", "nover", "base_rl"])
    .default("log_prob")
    .describe("how the likelihood of the reference answer becomes a reward; base_rl takes rollout.reward instead"),
  baseline: z
    .enum(baselines)
    .nullable()
    .default(null)
    .describe(
      "what is subtracted: the mean of the others (rloo), of the group (mean), nothing; null = rloo, nover mean",
    ),
  length_floor: z.number().min(0).default(0).describe("tokens of reasoning below which length_floor_coef is charged"),
  length_floor_coef: z.number().min(0).default(0).describe("charge per token that is missing to length_floor"),
  tag_weight: weight("format"),
  reasoning_weight: weight("rank of the perplexity"),
  efficiency_weight: weight("share of longer and worse rollouts"),
});
type Params = z.output<typeof params>;

/** Reward R of one reference answer and, for every token of it, dR / d logprob. */
function ownReward(kind: OwnReward, lp: ArrayLike<number>, from = 0, to = lp.length): number {
  if (kind === "avg_prob") return meanProbability(lp, from, to);
  const sum = sumOf(lp, from, to);
  if (kind === "log_prob") return sum;
  if (kind === "avg_log_prob") return sum / (to - from);
  return Math.exp(kind === "prob" ? sum : sum / (to - from));
}

function ownWeight(kind: OwnReward, reward: number, n: number, lp: number): number {
  if (kind === "log_prob") return 1;
  if (kind === "avg_log_prob") return 1 / n;
  if (kind === "prob") return reward;
  return kind === "avg_prob" ? Math.exp(lp) / n : reward / n;
}

/** Reference answers of all rollouts: their log-probabilities, where each begins, and their sums. */
interface References {
  lp: NumericArray;
  offsets: Int32Array;
  sums: Float64Array;
}

function referencesOf(batch: Batch): References {
  const lp = referenceLogprobs(batch, "reference.logprob");
  const offsets = batch.offsets("reference");
  const sums = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i + 1] === offsets[i]) {
      throw new InputError("the reference answer is empty", { rollout: batch.ids[i], column: "reference.logprob" });
    }
    sums[i] = sumOf(lp, offsets[i], offsets[i + 1]);
  }
  return { lp, offsets, sums };
}

/** A reward per rollout, its advantage as far as the variant has one of its own, and weights of reference tokens. */
interface Rewarded {
  reward: Float64Array;
  /** Advantage that needs no further baseline. */
  settled: Float64Array | null;
  weight: Float64Array | null;
}

function ownRewarded(batch: Batch, kind: OwnReward): Rewarded {
  const { lp, offsets } = referencesOf(batch);
  const reward = new Float64Array(batch.size);
  const weight = new Float64Array(lp.length);
  for (let i = 0; i < batch.size; i++) {
    const [from, to] = [offsets[i], offsets[i + 1]];
    reward[i] = ownReward(kind, lp, from, to);
    for (let t = from; t < to; t++) weight[t] = ownWeight(kind, reward[i], to - from, lp[t]);
  }
  return { reward, settled: null, weight };
}

const logAdd = (a: number, b: number) => logSumExp([a, b]);

/** JEPO on the summed log-probabilities of one group: the common reward and A_i = R − log mean of the others' e^L. */
function jepo(sums: Float64Array): { reward: number; advantage: Float64Array } {
  const n = sums.length;
  const reward = logMeanExpOf(sums);
  const advantage = new Float64Array(n);
  if (n === 1) return { reward: sums[0], advantage: Float64Array.of(sums[0]) };
  if (sums.every((sum) => sum === sums[0])) return { reward: sums[0], advantage };
  // log Σ e^L of the members behind i, then of those before it.
  const behind = new Float64Array(n + 1).fill(Number.NEGATIVE_INFINITY);
  for (let i = n - 1; i > 0; i--) behind[i] = logAdd(behind[i + 1], sums[i]);
  let before = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < n; i++) {
    advantage[i] = reward - (logAdd(before, behind[i + 1]) - Math.log(n - 1));
    before = logAdd(before, sums[i]);
  }
  return { reward, advantage };
}

function jepoRewarded(batch: Batch): Rewarded {
  const { lp, offsets, sums } = referencesOf(batch);
  const groups = batch.groups();
  const reward = new Float64Array(batch.size);
  const settled = new Float64Array(batch.size);
  const weight = new Float64Array(lp.length);
  const shares = softmaxPools(sums, poolByGroup(batch, "rollout"));
  for (let i = 0; i < batch.size; i++) weight.fill(shares[i], offsets[i], offsets[i + 1]);
  for (let g = 0; g < groups.count; g++) {
    const members = groups.members.subarray(groups.offsets[g], groups.offsets[g + 1]);
    const made = jepo(Float64Array.from(members, (i) => sums[i]));
    members.forEach((i, k) => {
      reward[i] = made.reward;
      settled[i] = made.advantage[k];
    });
  }
  return { reward, settled, weight };
}

function noverRewarded(batch: Batch, p: Params): Rewarded {
  const { offsets, sums } = referencesOf(batch);
  if (!batch.has("signals.cot_tokens", "every")) requireTokens(batch);
  const given = batch.numbers("signals.cot_tokens", { absent: 0 });
  const negative = given.findIndex((n) => n < 0);
  if (negative >= 0) throw batch.wrongValue("signals.cot_tokens", negative, "a count of tokens", `${given[negative]}`);
  const counted = Float64Array.from(policyLengths(batch), (n, i) =>
    batch.hasIn("signals.cot_tokens", i) ? given[i] : n,
  );
  const valid = bits(batch, "signals.format_ok", { absent: 1 });
  const logPerplexity = sums.map((sum, i) => -sum / (offsets[i + 1] - offsets[i]) / lengthDivisor(counted[i]));
  const { reason, efficiency } = rankRewards({ logPerplexity, lengths: counted, valid }, batch.groups());
  const reward = reason.map(
    (x, i) => p.tag_weight * valid[i] + p.reasoning_weight * x + p.efficiency_weight * efficiency[i],
  );
  return { reward, settled: null, weight: new Float64Array(batch.count("reference")) };
}

function rewarded(batch: Batch, p: Params): Rewarded {
  if (p.variant === "jepo") return jepoRewarded(batch);
  if (p.variant === "nover") return noverRewarded(batch, p);
  if (p.variant !== "base_rl") return ownRewarded(batch, p.variant);
  const weight = batch.hasLevel("reference", "any") ? new Float64Array(batch.count("reference")) : null;
  return { reward: Float64Array.from(batch.numbers("rollout.reward")), settled: null, weight };
}

/** Rewards minus their baseline inside the group; alone in a group: the reward itself, 0 with `mean`. */
function centred(batch: Batch, rewards: Float64Array, p: Params): Float64Array {
  const pools = poolByGroup(batch, "rollout");
  const baseline = p.baseline ?? (p.variant === "nover" ? "mean" : "rloo");
  if (baseline === "none") return rewards;
  if (baseline === "rloo") return leaveOneOut(rewards, pools, { singleton: "raw" }).advantage;
  return normalizePools(rewards, pools, { normByStd: false });
}

/**
 * Likelihood rewards (arXiv 2602.03979): R from the log-probabilities of the reference answer after the reasoning, the
 * charge c · min(|z| − floor, 0) for too short a reasoning, A = R − baseline inside the group for the tokens of the
 * reasoning, and w_t = dR / d logprob_t for the tokens of the reference answer, which are trained beside it.
 * `jepo` rewards the group as a whole: R = log mean_i e^(L_i), A_i = R − log mean_(j≠i) e^(L_j).
 */
function assign(batch: Batch, p: Params): Batch {
  const { reward, settled, weight } = rewarded(batch, p);
  const floor = new Float64Array(batch.size);
  if (p.length_floor_coef > 0) {
    requireTokens(batch);
    policyLengths(batch).forEach((n, i) => {
      floor[i] = p.length_floor_coef * Math.min(n - p.length_floor, 0);
    });
  }
  const total = reward.map((r, i) => r + floor[i]);
  const advantage = centred(batch, settled === null ? total : floor, p);
  const own = settled === null ? advantage : advantage.map((a, i) => a + settled[i]);
  const columns = { "rollout.reward": total, ...advantageColumns(batch, own) };
  return batch.with(weight === null ? columns : { ...columns, "reference.weight": weight });
}

/** Below this probability of the whole reference answer the probability reward has nothing left to compare. */
const flatline = Math.log(1e-8);

function warnings(batch: Batch, p: Params): string[] {
  if (p.variant !== "prob" && p.variant !== "jepo") return [];
  const { sums } = referencesOf(batch);
  const best = new Float64Array(batch.groupCount).fill(Number.NEGATIVE_INFINITY);
  sums.forEach((sum, i) => {
    best[batch.groupOf[i]] = Math.max(best[batch.groupOf[i]], sum);
  });
  const flat = best.filter((sum) => sum < flatline).length;
  if (flat === 0) return [];
  return [
    `in ${flat} of ${best.length} groups no rollout gives its reference a probability of 1e-8: log_prob still tells them apart`,
  ];
}

const logprobList = z.array(z.number().max(mostLogprob, "a log-probability of at most 0")).min(1, "at least one token");
const rewardArgs = z.object({ variant: z.enum(ownRewards).default("log_prob"), logprobs: logprobList });

/** Reward of one rollout from the log-probabilities of its reference answer, for the variants that look at no other. */
export function likelihoodReward(args: z.input<typeof rewardArgs>): number {
  const { variant, logprobs } = functionArgs(rewardArgs, args);
  return ownReward(variant, logprobs);
}

const valuesArgs = z.object({ values: numberList.min(1, "at least one number") });

/** log of the mean of e^x, with the maximum subtracted first. */
export function logMeanExp(args: z.input<typeof valuesArgs>): number {
  return logMeanExpOf(functionArgs(valuesArgs, args).values);
}

const sumsArgs = z.object({ sums: numberList });

/** JEPO advantages of one group from the summed log-probability of the reference answer after each reasoning. */
export function jepoAdvantages(args: z.input<typeof sumsArgs>): number[] {
  const { sums } = functionArgs(sumsArgs, args);
  return sums.length === 0 ? [] : [...jepo(Float64Array.from(sums)).advantage];
}

const metricsArgs = z.object({
  samples: z.array(z.array(logprobList).min(1, "at least one sample")).min(1, "at least one prompt"),
});

/**
 * Marginal likelihood of the reference answers from sampled reasonings, log p(a*) ≈ log mean_i e^(L_i) per prompt:
 * `per_answer` = mean over prompts of log p / n, `per_token` = Σ log p / Σ n, `perplexity` = e^(−per_answer).
 * @param args `samples[prompt][reasoning]` = log-probabilities of the tokens of the reference answer, n of them.
 * @throws InputError when the samples of a prompt differ in n, or the perplexity is too large to be written.
 */
export function likelihoodMetrics(args: z.input<typeof metricsArgs>) {
  const { samples } = functionArgs(metricsArgs, args);
  let perAnswer = 0;
  let logp = 0;
  let tokens = 0;
  samples.forEach((prompt, k) => {
    const n = prompt[0].length;
    const other = prompt.find((sample) => sample.length !== n);
    if (other !== undefined) {
      throw new InputError(`argument samples.${k} holds answers of several lengths`, {
        expected: `${n} log-probabilities`,
        got: `${other.length}`,
      });
    }
    const marginal = logMeanExpOf(prompt.map((sample) => sumOf(sample)));
    perAnswer += marginal / n / samples.length;
    logp += marginal;
    tokens += n;
  });
  const perplexity = Math.exp(-perAnswer);
  if (!Number.isFinite(perplexity)) throw new InputError("the perplexity is too large", { got: `e^${-perAnswer}` });
  return { per_answer: perAnswer, per_token: logp / tokens, perplexity };
}

export const likelihoodRewards = defineMethod({
  id: "likelihood-rewards",
  title: "Likelihood-based rewards for reasoning",
  summary:
    "Reward the reasoning by how likely the policy itself finds the reference answer after it; of all ways to turn that likelihood into a number the plain log-probability works for short and for long answers.",
  facts: {
    paper: {
      title: "Likelihood-Based Reward Designs for General LLM Reasoning",
      arxiv: "2602.03979",
      date: "2026-02",
      repo: null,
    },
    headline:
      "On MATH with Llama-3.2-3B as accurate as a 0/1 reward (43.3 against 42.7) at a perplexity of 2.2 instead of 13.9; on long proofs only the log-probability learns.",
    granularity: "rollout",
    methodology: ["information", "self-supervised", "monte-carlo"],
    checked: "leave-one-out of VeriFree 3e-16 and rewards of NOVER 7e-16 against their code; the paper has none",
  },
  equations: [
    {
      text: "log_prob: R = L = Σ_t log π(a*_t | prompt, z, a*_<t)",
      tex: "R = L = \\sum_t \\log\\pi(a^*_t | p, z, a^*_{<t})",
    },
    {
      text: "prob: R = e^L; avg_log_prob: L/n; avg_prob: mean of e^lp; geo_prob: e^(L/n)",
      tex: "R \\in \\{ e^L,\\; L/n,\\; \\tfrac{1}{n}\\sum_t e^{lp_t},\\; e^{L/n} \\}",
    },
    {
      text: "jepo: R = log mean_i e^(L_i), A_i = R − log mean_(j≠i) e^(L_j)",
      tex: "R = \\log\\tfrac{1}{G}\\sum_i e^{L_i},\\quad A_i = R - \\log\\tfrac{1}{G-1}\\sum_{j \\ne i} e^{L_j}",
    },
    {
      text: "A_i = R_i − mean of the other R, w_t = dR / d lp_t",
      tex: "A_i = R_i - \\tfrac{1}{G-1}\\sum_{j \\ne i} R_j",
    },
  ],
  params,
  presets: { verifree: { variant: "prob" }, nover: { variant: "nover" } },
  reads: [
    "reference.logprob | rollout.reward",
    "rollout.reward if variant",
    "signals.format_ok if variant",
    "signals.cot_tokens if variant",
    "group?",
    "tokens.mask?",
  ],
  writes: ["rollout.reward", "rollout.advantage", "tokens.advantage", "reference.weight"],
  scope: "group",
  functions: { likelihoodReward, logMeanExp, jepoAdvantages, likelihoodMetrics },
  warnings,
  assign,
});
