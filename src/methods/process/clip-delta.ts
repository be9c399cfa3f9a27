import { z } from "zod";
import { gaeInto } from "../../operators/gae.ts";
import { policyMask, policyNumbers } from "../../operators/mask.ts";
import { poolMoments } from "../../operators/normalize.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { policyRuns } from "../../operators/runs.ts";
import { scatterAdd, unitsOf } from "../../operators/slots.ts";
import type { Batch, FloatArray } from "../../rollouts/index.ts";
import { functionArgs, numberList } from "../arguments.ts";
import { defineMethod } from "../method.ts";

const modes = ["none", "clip", "delta", "clip_delta"] as const;
type Mode = (typeof modes)[number];

const params = z.object({
  mode: z.enum(modes).default("clip_delta").describe("how step scores are refined; clip comes before delta"),
  eta: z.number().default(0.5).describe("threshold of the clip; choose it so that most steps get 0"),
  alpha: z.number().min(0).default(0.02).describe("weight of the process reward"),
  gamma: z.number().gt(0).max(1).default(1).describe("discount per token"),
  lam: z.number().gt(0).max(1).default(1).describe("trade of bias against variance in estimator gae"),
  estimator: z.enum(["return", "gae"]).default("return").describe("plain return, or GAE over tokens.value"),
  baseline: z
    .enum(["none", "group_mean"])
    .default("none")
    .describe("group_mean subtracts the mean, over the group, of the advantage at the first policy token"),
  length_norm: z.boolean().default(false).describe("divide the process reward by the number of steps"),
  step_penalty: z.number().default(0).describe("subtracted from the reward of every step"),
});
type Params = z.output<typeof params>;

/**
 * Refines the scores in [from, to): clip x_k = min(p_k − η, 0); delta d_k = x_k − x_{k+1}, the last but one step keeps its
 * own x and the last gets 0, so that Σ_{j ≥ k} d_j = x_k for every step but the last.
 */
function refineInto(
  scores: ArrayLike<number>,
  from: number,
  to: number,
  mode: Mode,
  eta: number,
  out: FloatArray,
): void {
  const clip = mode === "clip" || mode === "clip_delta";
  for (let k = from; k < to; k++) out[k] = clip ? Math.min(scores[k] - eta, 0) : scores[k];
  if (mode !== "delta" && mode !== "clip_delta") return;
  for (let k = from; k < to - 2; k++) out[k] -= out[k + 1];
  if (to > from) out[to - 1] = 0;
}

/**
 * Credit of refined process rewards plus success (arXiv 2410.15115). Step k of K gets f_k = α x_k, and the last one the
 * success c besides; f_k sits on the slot of its step, and tokens get the discounted return of f (or GAE on it).
 */
function assign(batch: Batch, p: Params): Batch {
  const scores = batch.numbers("steps.prm");
  const success = batch.numbers("rollout.reward", { absent: 0, missing: 0 });
  const offsets = batch.offsets("step");
  const reward = batch.zeros("step", scores);
  for (let i = 0; i < batch.size; i++) {
    const from = offsets[i];
    const to = offsets[i + 1];
    refineInto(scores, from, to, p.mode, p.eta, reward);
    const weight = p.length_norm ? p.alpha / (to - from) : p.alpha;
    for (let k = from; k < to; k++) reward[k] = weight * reward[k] - p.step_penalty;
    if (to > from) reward[to - 1] += success[i];
  }
  const toGo = batch.zeros("step", scores);
  reverseSumsInto({ offsets, rewards: reward, gamma: 1 }, toGo);
  const steps = { "steps.reward": reward, "steps.return": toGo };
  if (!batch.hasLevel("token")) {
    if (p.estimator === "gae") throw batch.missing("tokens.value", 0, "estimator gae needs tokens with values");
    return batch.with(steps);
  }
  const rewards = batch.zeros("token");
  scatterAdd(unitsOf(batch, "step"), reward, rewards);
  const advantage = p.estimator === "gae" ? gaeOfTokens(batch, rewards, p) : returnsOfTokens(batch, rewards, p.gamma);
  if (p.baseline === "group_mean") subtractGroupMean(batch, advantage);
  return batch.with({ ...steps, "tokens.reward": rewards, "tokens.advantage": advantage });
}

function returnsOfTokens(batch: Batch, rewards: FloatArray, gamma: number): FloatArray {
  const out = batch.zeros("token");
  reverseSumsInto({ offsets: batch.offsets("token"), rewards, mask: policyMask(batch), gap: "count", gamma }, out);
  return out;
}

function gaeOfTokens(batch: Batch, rewards: FloatArray, { gamma, lam }: Params): FloatArray {
  const values = policyNumbers(batch, "tokens.value");
  const out = batch.zeros("token");
  const returns = batch.zeros("token");
  gaeInto({ runs: policyRuns(batch), values, rewards, gamma, lam }, out, returns);
  return out;
}

/** Subtracts, on policy tokens, the group mean of the advantage at the first policy token. */
function subtractGroupMean(batch: Batch, advantage: FloatArray): void {
  const { offsets, starts, ends } = policyRuns(batch);
  const first = new Float64Array(batch.size);
  const counts = new Uint8Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i] === offsets[i + 1]) continue;
    first[i] = advantage[starts[offsets[i]]];
    counts[i] = 1;
  }
  const { mean } = poolMoments(first, poolByGroup(batch, "rollout"), counts);
  for (let i = 0; i < batch.size; i++) {
    const baseline = mean[batch.groupOf[i]];
    for (let run = offsets[i]; run < offsets[i + 1]; run++) {
      for (let t = starts[run]; t < ends[run]; t++) advantage[t] -= baseline;
    }
  }
}

const { mode, eta, alpha } = params.shape;
const clipDeltaArgs = z.object({ prm: numberList, mode, eta });
const returnArgs = z.object({ ...clipDeltaArgs.shape, alpha, success: z.number().nullable().default(0) });

/** Refined scores of one response, one per step; arguments as the parameters of the method. */
export function clipDelta(args: z.input<typeof clipDeltaArgs>): number[] {
  const { prm, mode, eta } = functionArgs(clipDeltaArgs, args);
  const out = new Float64Array(prm.length);
  refineInto(prm, 0, prm.length, mode, eta, out);
  return [...out];
}

/** Undiscounted return of each step of one response: G_k = Σ_{j ≥ k} α refined_j + c, with c its success (null counts as 0). */
export function clipDeltaReturn(args: z.input<typeof returnArgs>): number[] {
  const { prm, mode, eta, alpha, success } = functionArgs(returnArgs, args);
  const out = Float64Array.from(clipDelta({ prm, mode, eta }), (x) => alpha * x);
  reverseSumsInto({ offsets: Int32Array.of(0, out.length), rewards: out, last: [success ?? 0], gamma: 1 }, out);
  return [...out];
}

export const clipDeltaMethod = defineMethod({
  id: "clip-delta",
  title: "Clip and Delta: bounded process rewards",
  summary:
    "Clip every step score from above and pay differences of neighbouring steps, so that repeating good-looking steps earns nothing; the success reward comes on top at the end.",
  facts: {
    paper: {
      title: "On Designing Effective RL Reward at Training Time for LLM Reasoning",
      arxiv: "2410.15115",
      date: "2024-10",
      repo: null,
    },
    headline:
      "Qwen2-1.5B on MATH (greedy): success reward 30.58, with raw process rewards 11.16, with Clip and Delta 31.44.",
    granularity: "step",
    methodology: ["reward-model", "shaping"],
    checked: "no official code exists",
    reconstructed: ["eta", "alpha", "gamma", "lam", "length_norm", "step_penalty"],
  },
  equations: [
    { text: "Clip: x_k = min(p_k − η, 0)", tex: "x_k = \\min(p_k - \\eta, 0)" },
    {
      text: "Delta: d_k = x_k − x_{k+1} for k < K−1, d_{K−1} = x_{K−1}, d_K = 0",
      tex: "d_k = x_k - x_{k+1}\\;(k < K-1),\\quad d_{K-1} = x_{K-1},\\quad d_K = 0",
    },
    { text: "f_k = α d_k + c [k = K]", tex: "f_k = \\alpha d_k + c\\,[k = K]" },
    { text: "G_k = Σ_{j ≥ k} f_j = α x_k + c for k < K", tex: "G_k = \\sum_{j \\ge k} f_j = \\alpha x_k + c" },
  ],
  params,
  reads: ["steps.prm", "steps.end?", "rollout.reward?", "tokens.mask?", "tokens.value if estimator", "group?"],
  writes: ["steps.reward", "steps.return", "tokens.reward", "tokens.advantage"],
  scope: (p) => (p.baseline === "group_mean" ? "group" : "rollout"),
  unscored: true,
  functions: { clipDelta, clipDeltaReturn },
  assign,
});
