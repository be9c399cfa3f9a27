import { z } from "zod";
import { lastPolicyTokens, policyLengths, policyMask, policyNumbers, requireTokens } from "../../operators/mask.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { selectPlace } from "../../operators/quantile.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { policyRuns } from "../../operators/runs.ts";
import { lessKl } from "../../operators/token-rewards.ts";
import type { Batch, FloatArray, NumericArray } from "../../rollouts/index.ts";
import { functionArgs, numberList, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { klCoef } from "../parameters.ts";

const params = z.object({
  flow_coef: z.number().min(0).default(0.01).describe("size of the fine"),
  threshold: z.number().lt(1).default(0.6).describe("scaled scores up to it are not fined; 0 or less = off"),
  topk: z.int().default(15).describe("at most so many tokens of a response are fined; 0 or less = off"),
  gamma: z.number().gt(0).max(1).default(1).describe("discount per policy token"),
  eps: z.number().positive().default(1e-9).describe("added to the standard deviation of the outcomes of a group"),
  min_mode: z
    .enum(["valid", "second_distinct"])
    .default("valid")
    .describe("least score of the scaling: of all policy tokens, or the second smallest value (released code)"),
  kl_coef: klCoef(0, "weight of the KL estimate of each token inside the reward"),
});
type Params = z.output<typeof params>;

/** Smallest and largest score over rows of runs; with `secondDistinct` the smallest value above the smallest. */
function bounds(scores: NumericArray, rows: Int32Array, secondDistinct: boolean): { low: number; high: number } {
  let low = Number.POSITIVE_INFINITY;
  let second = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const t of rows) {
    const s = scores[t];
    if (s > high) high = s;
    if (s < low) {
      second = low;
      low = s;
    } else if (s > low && s < second) second = s;
  }
  if (!secondDistinct) return { low, high };
  return { low: second === Number.POSITIVE_INFINITY ? low : second, high };
}

/** Sets all but the `count` largest values to 0; of equal ones the earlier stay. */
function keepLargest(x: Float64Array, count: number): void {
  const bar = selectPlace(x.slice(), x.length - count);
  let left = count;
  for (const value of x) if (value > bar) left--;
  for (let k = 0; k < x.length; k++) {
    if (x[k] < bar || (x[k] === bar && left-- <= 0)) x[k] = 0;
  }
}

/** Fines of the policy tokens `rows` of one response: −coef x, x = scaled score where it is large enough. */
function fine(scores: NumericArray, rows: Int32Array, p: Params, out: FloatArray): void {
  const { low, high } = bounds(scores, rows, p.min_mode === "second_distinct");
  if (!(high > low)) return;
  const x = new Float64Array(rows.length);
  let left = 0;
  for (let k = 0; k < x.length; k++) {
    const scaled = (scores[rows[k]] - low) / (high - low);
    if (scaled === 0 || (p.threshold > 0 && scaled <= p.threshold)) continue;
    x[k] = scaled;
    left++;
  }
  if (p.topk > 0 && left >= p.topk) keepLargest(x, p.topk);
  for (let k = 0; k < x.length; k++) if (x[k] !== 0) out[rows[k]] = 0 - p.flow_coef * x[k];
}

/** Row numbers of the policy tokens of rollout i. */
function policyRows(batch: Batch, i: number): Int32Array {
  const { offsets, starts, ends } = policyRuns(batch);
  const rows = new Int32Array(policyLengths(batch)[i]);
  let n = 0;
  for (let run = offsets[i]; run < offsets[i + 1]; run++) {
    for (let t = starts[run]; t < ends[run]; t++) rows[n++] = t;
  }
  return rows;
}

/**
 * Credit of RLFR (arXiv 2510.10201, official code): inside each response the flow scores s are scaled to x in [0, 1]; the
 * `topk` largest above `threshold` are fined r_t = −flow_coef x_t. The outcome, centred and scaled inside the group, is
 * added on the last policy token, and A_t = Σ_{j ≥ t} γ^(j−t) r_j over policy tokens. Nothing is whitened.
 */
function assign(batch: Batch, p: Params): Batch {
  requireTokens(batch);
  const scores = policyNumbers(batch, "tokens.flow_score");
  const mask = policyMask(batch);
  const negative = scores.findIndex((s, t) => s < 0 && (mask === null || mask[t] === 1));
  if (negative >= 0) throw batch.wrongValue("tokens.flow_score", negative, "0 or more", `${scores[negative]}`);
  const fines = batch.zeros("token", scores);
  for (let i = 0; i < batch.size; i++) fine(scores, policyRows(batch, i), p, fines);
  const outcome = normalizePools(batch.numbers("rollout.reward"), poolByGroup(batch, "rollout"), {
    ddof: 1,
    eps: p.eps,
  });
  const rewards = lessKl(batch, { rewards: fines, last: outcome }, p.kl_coef);
  const advantage = batch.zeros("token", scores);
  reverseSumsInto({ offsets: batch.offsets("token"), ...rewards, mask, gamma: p.gamma }, advantage);
  return batch.with({
    "rollout.outcome_advantage": outcome,
    "tokens.flow_reward": fines,
    "tokens.advantage": advantage,
  });
}

function warnings(batch: Batch): string[] {
  const homeless = lastPolicyTokens(batch).reduce((n, t) => (t < 0 ? n + 1 : n), 0);
  if (homeless === 0) return [];
  return [`${homeless} of ${batch.size} rollouts have no policy token: their outcome has nowhere to go`];
}

const time = z.number().gt(0).lt(1);
const inputArgs = z.object({ latent: numberList, noise: numberList, t: time });

/** Input and target of the flow at time t: x = t h + (1 − t) e and velocity h − e, with latent h and noise e. */
export function flowInput(args: z.input<typeof inputArgs>): { x: number[]; velocity: number[] } {
  const { latent, noise, t } = functionArgs(inputArgs, args);
  sameLength({ latent, noise });
  return {
    x: latent.map((h, k) => t * h + (1 - t) * noise[k]),
    velocity: latent.map((h, k) => h - noise[k]),
  };
}

const scoreArgs = inputArgs.extend({
  latent: numberList.min(1, "at least one dimension"),
  predicted: numberList,
  debias: z.boolean().default(true),
});

/**
 * Deviation of a predicted velocity from the target h − e: the mean square over dimensions, times t / (1 − t) when debiased.
 */
export function flowScore(args: z.input<typeof scoreArgs>): number {
  const { latent, noise, predicted, t, debias } = functionArgs(scoreArgs, args);
  sameLength({ latent, noise, predicted });
  const squares = latent.reduce((sum, h, k) => sum + (predicted[k] - (h - noise[k])) ** 2, 0);
  return ((debias ? t / (1 - t) : 1) * squares) / latent.length;
}

export const rlfr = defineMethod({
  id: "rlfr",
  title: "RLFR: flow rewards from the latent space",
  summary:
    "A flow model trained on the hidden states of good solutions scores every token; the few that it predicts worst are fined, on top of the group-normalised outcome.",
  facts: {
    paper: {
      title: "RLFR: Extending Reinforcement Learning for LLMs with Flow Environment",
      arxiv: "2510.10201",
      date: "2025-10",
      repo: "Jinghaoleven/RLFR",
    },
    headline:
      "About 2.4 points over the plain 0/1 reward for Qwen2.5-Math-7B, and gains on six language and multimodal suites.",
    granularity: "token",
    methodology: ["shaping", "self-supervised", "monte-carlo"],
    checked: "official code (scaling, filter, top-k, reward, returns), max abs diff 0",
    reconstructed: ["a group of one: outcome advantage 0, where the official code divides by zero"],
  },
  equations: [
    {
      text: "s_t = t/(1−t) mean |v(x_t) − (h − e)|², x_t = t h + (1 − t) e",
      tex: "s_k = \\tfrac{t}{1-t}\\,\\overline{\\lVert v(x_t) - (h - e)\\rVert^2}",
    },
    {
      text: "x = (s − min) / (max − min), fine −c x for the top k above the threshold",
      tex: "r_k = -c\\,x_k\\,\\mathbb{1}[x_k > \\theta,\\ k \\in \\mathrm{top}]",
    },
    {
      text: "A_t = Σ_{j ≥ t} γ^(j−t) r_j, with (R − μ) / (σ + ε) added to r of the last token",
      tex: "A_t = \\sum_{j \\ge t}\\gamma^{j-t} r_j",
    },
  ],
  params,
  presets: { official: { min_mode: "second_distinct" } },
  reads: [
    "tokens.flow_score",
    "rollout.reward",
    "tokens.mask?",
    "group?",
    "tokens.old_logprob | tokens.logprob if kl_coef",
    "tokens.ref_logprob if kl_coef",
  ],
  writes: ["rollout.outcome_advantage", "tokens.flow_reward", "tokens.advantage"],
  scope: "group",
  functions: { flowInput, flowScore },
  warnings,
  assign,
});
