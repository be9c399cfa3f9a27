import { z } from "zod";
import { advantageColumns } from "../../operators/group-credit.ts";
import { normalizePools, poolMoments } from "../../operators/normalize.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { bits } from "../../operators/ranges.ts";
import { sigmoid } from "../../operators/scalars.ts";
import type { Batch, NumericArray } from "../../rollouts/index.ts";
import { functionArgs, numberList } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { positiveEps } from "../parameters.ts";
import { meanProbability, mostLogprob, referenceLogprobs, sumOf } from "./reference.ts";

const aggregator = z
  .enum(["mean_prob", "mean_log_prob", "seq_prob", "geo_prob"])
  .default("mean_prob")
  .describe("how the log-probabilities of the reference answer become one score");
type Aggregator = z.output<typeof aggregator>;

const shaping = z
  .enum(["threshold", "identity", "leaky", "sigmoid"])
  .default("threshold")
  .describe("what is done to the score minus its base");
const threshold = z
  .number()
  .default(0)
  .describe("differences below it become 0 (threshold) or 1 % of themselves (leaky)");
const steepness = z.number().default(6).describe("k of σ(k (2d − 1)) with shaping sigmoid; 0 = σ(d)");

const params = z.object({
  aggregator,
  shaping,
  threshold,
  sigmoid_k: steepness,
  format_coef: z
    .union([z.number().min(0).max(1), z.literal(-1)], "a number from 0 to 1, or -1")
    .default(0.1)
    .describe("share of the reward that the format earns; -1 = no share, but a wrong format costs the whole reward"),
  std_threshold: z.number().min(0).default(0).describe("least spread of a group that is kept, from emaStdThreshold"),
  std_floor: z.number().positive().default(1e-6).describe("a group of less spread has advantage 0"),
  eps: positiveEps(1e-6),
  round_bf16: z.boolean().default(false).describe("round the score to bfloat16, as the released code does"),
  repetition_on_zero: z
    .boolean()
    .default(false)
    .describe("charge signals.repetition also to a reward of exactly 0, which the released code lets off"),
});
type Params = z.output<typeof params>;

/** Score of a reference answer from its log-probabilities, rows [from, to); 0 for an empty answer. */
function score(kind: Aggregator, logprobs: ArrayLike<number>, from = 0, to = logprobs.length): number {
  if (to <= from) return 0;
  if (kind === "mean_prob") return meanProbability(logprobs, from, to);
  const sum = sumOf(logprobs, from, to);
  if (kind === "seq_prob") return Math.exp(sum);
  const mean = sum / (to - from);
  return kind === "geo_prob" ? Math.exp(mean) : mean;
}

function shaped(d: number, kind: Params["shaping"], least: number, k: number): number {
  if (kind === "sigmoid") return sigmoid(k === 0 ? d : k * (2 * d - 1));
  if (kind === "identity" || d >= least) return d;
  return kind === "leaky" ? 0.01 * d : 0;
}

const word = new DataView(new ArrayBuffer(4));

/** The nearest bfloat16 (ties to even). */
function roundToBfloat16(x: number): number {
  word.setFloat32(0, x);
  const bits = word.getUint32(0);
  word.setUint32(0, (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000);
  return word.getFloat32(0);
}

/** Scores after reasoning (b, 0 where no answer span could be replaced) and without it (a). */
function scores(batch: Batch, spanOk: NumericArray, p: Params) {
  const given = batch.validity("signals.base_score");
  const withoutReasoning = batch.numbers("signals.base_score", { absent: 0, missing: 0 });
  for (let i = 0; i < batch.size; i++) {
    const aggregated = given === null || given[i] === 1;
    if (batch.hasIn("reference.logprob", i) || (aggregated && !batch.hasIn("reference.base_logprob", i))) continue;
    throw batch.missing("reference.logprob", i, "log-probabilities of the reference answer after this reasoning");
  }
  const logprob = referenceLogprobs(batch, "reference.logprob", 0);
  const base = referenceLogprobs(batch, "reference.base_logprob", 0);
  const offsets = batch.offsets("reference");
  const pr = new Float64Array(batch.size);
  const before = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    const [from, to] = [offsets[i], offsets[i + 1]];
    const known = batch.hasIn("reference.logprob", i) && spanOk[i] === 1;
    pr[i] = known ? score(p.aggregator, logprob, from, to) : 0;
    if (p.round_bf16) pr[i] = roundToBfloat16(pr[i]);
    before[i] = batch.hasIn("reference.base_logprob", i) ? score(p.aggregator, base, from, to) : withoutReasoning[i];
  }
  return { pr, before };
}

/** R of every rollout: the shaped difference mixed with the format, less the charge for repetition. */
function rewardsOf(
  batch: Batch,
  pr: Float64Array,
  before: Float64Array,
  format: NumericArray,
  p: Params,
): Float64Array {
  const repetition = batch.numbers("signals.repetition", { absent: 0 });
  return pr.map((b, i) => {
    const d = shaped(b - before[i], p.shaping, p.threshold, p.sigmoid_k);
    let reward = (1 - p.format_coef) * d + p.format_coef * format[i];
    if (p.format_coef === -1) reward = format[i] === 1 ? d : -1;
    return reward !== 0 || p.repetition_on_zero ? reward + repetition[i] : reward;
  });
}

/**
 * Credit of RLPR (arXiv 2506.18254; official code): b = f(reference after the reasoning), a = f(reference without it),
 * d = shaped(b − a), R = (1 − c) d + c format (+ repetition), A = (R − μ) / (σ + ε) inside the group, sample spread. A group
 * whose spread is below `std_threshold` is dropped: keep 0, advantage 0. A rollout alone in its group counts with mean 0
 * and spread 1.
 */
function assign(batch: Batch, p: Params): Batch {
  const format = bits(batch, "signals.format_ok", { absent: 1 });
  const span = bits(batch, "signals.span_ok", { absent: -1 });
  const spanOk = Float64Array.from(span, (ok, i) => (ok === -1 ? format[i] : ok));
  const { pr, before } = scores(batch, spanOk, p);
  const reward = rewardsOf(batch, pr, before, format, p);
  const pools = poolByGroup(batch, "rollout");
  const { count, squares } = poolMoments(reward, pools);
  const spread = squares.map((s, pool) => (count[pool] === 1 ? 1 : Math.sqrt(s / (count[pool] - 1))));
  const advantage = normalizePools(reward, pools, { ddof: 1, eps: p.eps, singleton: "raw" });
  const groupStd = advantage.map((_, i) => spread[pools.of[i]]);
  const keep = Uint8Array.from(groupStd, (std) => (std >= p.std_threshold ? 1 : 0));
  for (let i = 0; i < advantage.length; i++) if (keep[i] === 0 || groupStd[i] < p.std_floor) advantage[i] = 0;
  return batch.with({
    "rollout.pr": pr,
    "rollout.reward": reward,
    "rollout.group_std": groupStd,
    "rollout.keep": keep,
    ...advantageColumns(batch, advantage),
  });
}

function warnings(batch: Batch): string[] {
  const unscored = batch.ids.filter((_, i) => !batch.hasIn("reference.logprob", i)).length;
  if (unscored === 0) return [];
  return [`${unscored} of ${batch.size} rollouts have no reference.logprob: their reference counts as empty, score 0`];
}

const probabilityArgs = z.object({
  logprobs: z.array(z.number().max(mostLogprob, "a log-probability of at most 0")),
  aggregator,
});

/** f of the log-probabilities of one reference answer; 0 for an empty answer. */
export function probabilityReward(args: z.input<typeof probabilityArgs>): number {
  const given = functionArgs(probabilityArgs, args);
  return score(given.aggregator, given.logprobs);
}

const shapeArgs = z.object({ x: z.number(), shaping, threshold, k: steepness });

/** The shaped difference of two scores. */
export function shapeReward(args: z.input<typeof shapeArgs>): number {
  const { x, k, ...given } = functionArgs(shapeArgs, args);
  return shaped(x, given.shaping, given.threshold, k);
}

const repetitionArgs = z.object({
  text: z.string(),
  window: z.int().min(1).default(10),
  limit: z.int().min(1).default(10),
});

/**
 * −1 when any run of `window` consecutive words occurs `limit` times or more in a text of more than `window` words, else 0.
 * Words are separated by white space and by each underscore.
 */
export function repetitionPenalty(args: z.input<typeof repetitionArgs>): -1 | 0 {
  const { text, window, limit } = functionArgs(repetitionArgs, args);
  const words = text
    .split(/\s+/u)
    .filter((part) => part !== "")
    .flatMap((part) => part.split("_"));
  if (words.length <= window) return 0;
  const seen = new Map<string, number>();
  for (let k = 0; k + window <= words.length; k++) {
    // Words hold no white space, so a blank between them keeps runs apart.
    const run = words.slice(k, k + window).join(" ");
    const times = (seen.get(run) ?? 0) + 1;
    if (times >= limit) return -1;
    seen.set(run, times);
  }
  return 0;
}

const emaArgs = z.object({
  history: numberList,
  beta: z.number().min(0).default(0.5),
  ratio: z.number().min(0).max(1).default(0.99),
  warmup: z.int().min(1).default(5),
});

/**
 * Least spread of a group that is kept: β × the running mean of the mean group spreads so far, oldest first. The running
 * mean starts as the plain mean of the first `warmup` values, then m ← (1 − ratio) x + ratio m. Fewer values: 0.
 */
export function emaStdThreshold(args: z.input<typeof emaArgs>): number {
  const { history, beta, ratio, warmup } = functionArgs(emaArgs, args);
  if (history.length < warmup) return 0;
  const start = sumOf(history, 0, warmup) / warmup;
  return beta * history.slice(warmup).reduce((mean, x) => (1 - ratio) * x + ratio * mean, start);
}

export const rlpr = defineMethod({
  id: "rlpr",
  title: "Reinforcement learning with reference probability reward (RLPR)",
  summary:
    "In the place of a verifier, the reward is how probable the policy finds the reference answer after its reasoning, less how probable it found it without; groups of little spread are dropped.",
  facts: {
    paper: {
      title: "RLPR: Extrapolating RLVR to General Domains without Verifiers",
      arxiv: "2506.18254",
      date: "2025-06",
      repo: "OpenBMB/RLPR",
    },
    headline:
      "7.6 points over VeriFree on TheoremQA and 7.5 on Minerva; 1.6 on average over a method that trains a verifier model.",
    granularity: "rollout",
    methodology: ["information", "self-supervised", "monte-carlo"],
    checked: "official code (reward, advantage, spread, bfloat16, repetition, shaping), max abs diff 4e-14",
  },
  equations: [
    {
      text: "b = f(log-probabilities of the reference after the reasoning), a = the same without reasoning, f = mean of e^lp",
      tex: "b = \\tfrac{1}{n}\\sum_t \\pi(y^*_t | x, z, y^*_{<t}),\\quad a = \\tfrac{1}{n}\\sum_t \\pi_0(y^*_t | x, y^*_{<t})",
    },
    {
      text: "R = (1 − c) max(b − a, 0) + c format_ok",
      tex: "R = (1 - c)\\max(b - a, 0) + c\\,\\mathbb{1}[\\text{format}]",
    },
    { text: "A = (R − μ) / (σ + ε), 0 where σ < threshold", tex: "A = \\frac{R - \\mu}{\\sigma + \\varepsilon}" },
  ],
  params,
  presets: { paper: { format_coef: 0 }, official: { round_bf16: true } },
  reads: [
    "reference.logprob",
    "reference.base_logprob?",
    "signals.base_score?",
    "signals.format_ok?",
    "signals.span_ok?",
    "signals.repetition?",
    "group?",
    "tokens.mask?",
  ],
  writes: [
    "rollout.pr",
    "rollout.reward",
    "rollout.group_std",
    "rollout.keep",
    "rollout.advantage",
    "tokens.advantage",
  ],
  scope: "group",
  functions: { probabilityReward, shapeReward, repetitionPenalty, emaStdThreshold },
  warnings,
  assign,
});
