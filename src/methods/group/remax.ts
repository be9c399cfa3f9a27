import { z } from "zod";
import { logRatios } from "../../operators/log-ratio.ts";
import { policyMask, requireTokens } from "../../operators/mask.ts";
import { knownOutcomes } from "../../operators/outcome.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { policyRuns } from "../../operators/runs.ts";
import { lessKl, tokenRewards } from "../../operators/token-rewards.ts";
import type { Batch, FloatArray } from "../../rollouts/index.ts";
import { defineMethod } from "../method.ts";
import { klCoef } from "../parameters.ts";

const params = z.object({
  variant: z
    .enum(["reward_to_go", "original"])
    .default("reward_to_go")
    .describe("reward_to_go: the KL is part of the return; original: the authors' code, KL of each token on its own"),
  gamma: z.number().gt(0).max(1).default(1).describe("discount per policy token"),
  kl_coef: klCoef(0, "weight of the KL estimate of each token"),
  reward_clip: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("largest absolute difference to the greedy reward; only in `original`, where the authors use 5"),
});
type Params = z.output<typeof params>;

/**
 * ReMax (arXiv 2310.10505 algorithm 1): the reward of the greedy response to the same prompt is the baseline b.
 * `reward_to_go`: A_t = G_t − b with G_t = x_t + γ G_{t'} over policy tokens, x_t the token's reward minus its KL.
 * `original`: D = clip(R − b), A_t = γ^k D − kl_coef (log π_t − log π_ref,t), k policy tokens from t to the end.
 */
function assign(batch: Batch, p: Params): Batch {
  const reward = knownOutcomes(batch);
  const greedy = batch.numbers("signals.greedy_reward");
  const bound = p.variant === "original" && p.reward_clip !== null ? p.reward_clip : Number.POSITIVE_INFINITY;
  const advantage = Float64Array.from(reward, (r, i) => Math.min(Math.max(r - greedy[i], -bound), bound));
  if (p.kl_coef > 0) requireTokens(batch);
  if (!batch.hasLevel("token")) return batch.with({ "rollout.advantage": advantage });
  const tokens = p.variant === "original" ? original(batch, p, advantage) : rewardToGo(batch, p, greedy);
  return batch.with({ "rollout.advantage": advantage, "tokens.advantage": tokens });
}

function rewardToGo(batch: Batch, p: Params, greedy: ArrayLike<number>): FloatArray {
  const parts = lessKl(batch, tokenRewards(batch), p.kl_coef);
  const out = batch.zeros("token");
  reverseSumsInto({ offsets: batch.offsets("token"), ...parts, mask: policyMask(batch), gamma: p.gamma }, out);
  const { offsets, starts, ends } = policyRuns(batch);
  for (let i = 0; i < batch.size; i++) {
    for (let run = offsets[i]; run < offsets[i + 1]; run++) {
      for (let t = starts[run]; t < ends[run]; t++) out[t] -= greedy[i];
    }
  }
  return out;
}

function original(batch: Batch, p: Params, difference: Float64Array): FloatArray {
  const out = batch.zeros("token");
  const last = difference.map((d) => p.gamma * d);
  reverseSumsInto({ offsets: batch.offsets("token"), last, mask: policyMask(batch), gamma: p.gamma }, out);
  if (p.kl_coef === 0) return out;
  const kl = logRatios(batch, { policy: "sampler", coef: p.kl_coef });
  for (let t = 0; t < kl.length; t++) out[t] -= kl[t];
  return out;
}

function warnings(batch: Batch): string[] {
  const greedy = batch.numbers("signals.greedy_reward");
  const { count, offsets, members } = batch.groups();
  let apart = 0;
  for (let g = 0; g < count; g++) {
    const first = greedy[members[offsets[g]]];
    if (members.subarray(offsets[g], offsets[g + 1]).some((i) => greedy[i] !== first)) apart++;
  }
  if (apart === 0) return [];
  return [`${apart} of ${count} groups hold rollouts with different signals.greedy_reward; it belongs to the prompt`];
}

export const remax = defineMethod({
  id: "remax",
  title: "ReMax",
  summary:
    "REINFORCE with the reward of the greedy response to the same prompt as baseline: no critic and one extra generation per prompt.",
  facts: {
    paper: {
      title:
        "ReMax: A Simple, Effective, and Efficient Reinforcement Learning Method for Aligning Large Language Models",
      arxiv: "2310.10505",
      date: "2023-10",
      repo: "liziniu/ReMax",
    },
    headline:
      "About 46 % less GPU memory and 1.6 times the speed of PPO for a 7B model; Mistral-7B reached 94.78 % on AlpacaEval.",
    granularity: "rollout",
    methodology: ["monte-carlo"],
    checked: "verl, max abs diff 4e-16; the authors' return routine, 4e-9",
  },
  equations: [
    { text: "A = R − b, b = reward of the greedy response", tex: "A = R - b" },
    {
      text: "reward_to_go: A_t = Σ_{k ≥ t} γ^(k−t) (r_k − β log π/π_ref) − b",
      tex: "A_t = \\sum_{k \\ge t} \\gamma^{k-t}\\left(r_k - \\beta\\log\\frac{\\pi}{\\pi_{ref}}\\right) - b",
    },
    {
      text: "original: A_t = γ^(k_t) clip(R − b) − β log π/π_ref, k_t = policy tokens from t to the end",
      tex: "A_t = \\gamma^{k_t}\\operatorname{clip}(R - b) - \\beta\\log\\frac{\\pi}{\\pi_{ref}}",
    },
  ],
  params,
  presets: { official: { variant: "original", reward_clip: 5 } },
  reads: [
    "rollout.reward",
    "signals.greedy_reward",
    "tokens.reward?",
    "tokens.mask?",
    "tokens.old_logprob | tokens.logprob if kl_coef",
    "tokens.ref_logprob if kl_coef",
  ],
  writes: ["rollout.advantage", "tokens.advantage"],
  scope: "rollout",
  warnings,
  assign,
});
