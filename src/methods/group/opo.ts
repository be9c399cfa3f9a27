import { z } from "zod";
import { weightedBaseline } from "../../operators/baselines.ts";
import { rolloutsToTokens } from "../../operators/broadcast.ts";
import { policyLengths, requireTokens } from "../../operators/mask.ts";
import { outcomes } from "../../operators/outcome.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { functionArgs, numberList, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { rewardColumn, singletonZeroOrReward } from "../parameters.ts";

const params = z.object({ singleton: singletonZeroOrReward, reward_column: rewardColumn });

/**
 * OPO (arXiv 2505.23585 section 3): b = Σ l_i R_i / Σ l_i over the group with l_i the policy tokens of the response, the
 * constant baseline of least variance when |∇ log π(y)|² grows as |y|; A_i = R_i − b, given to every policy token.
 * Unscored rollouts are not members and get advantage and baseline 0.
 */
function assign(batch: Batch, p: z.output<typeof params>): Batch {
  requireTokens(batch);
  const { rewards, scored } = outcomes(batch, p.reward_column);
  const { baseline, advantage } = weightedBaseline(rewards, policyLengths(batch), poolByGroup(batch, "rollout"), {
    singleton: p.singleton === "reward" ? "raw" : "zero",
    valid: scored,
  });
  return batch.with({
    "rollout.baseline": baseline,
    "rollout.advantage": advantage,
    "tokens.advantage": { later: () => rolloutsToTokens(batch, advantage) },
  });
}

const optimalBaselineArgs = z.object({ rewards: numberList, weights: z.array(z.number().nonnegative()) });

/**
 * b* = Σ w_i R_i / Σ w_i of one group, the plain mean where all weights are 0. Weights may be lengths, measured squared
 * gradient norms, or anything else that is not negative.
 */
export function optimalBaseline(args: z.input<typeof optimalBaselineArgs>): number {
  const { rewards, weights } = functionArgs(optimalBaselineArgs, args);
  sameLength({ rewards, weights });
  if (rewards.length === 0) throw new InputError("a baseline needs at least one reward", { got: "an empty list" });
  return weightedBaseline(rewards, weights, { of: new Int32Array(rewards.length), count: 1 }).baseline[0];
}

export const opo = defineMethod({
  id: "opo",
  title: "On-Policy RL with Optimal reward baseline",
  summary:
    "Subtract the length-weighted mean reward of the group: the baseline of least gradient variance when the squared gradient norm of a response is proportional to its length.",
  facts: {
    paper: {
      title: "On-Policy RL with Optimal Reward Baseline",
      arxiv: "2505.23585",
      date: "2025-05",
      repo: null,
    },
    headline:
      "DeepSeek-R1-Distill-Qwen-7B on AIME 2024: pass@1 68.50 against 67.96 for GRPO, with larger gaps at pass@16.",
    granularity: "rollout",
    methodology: ["monte-carlo"],
    checked: "verl, max abs diff 4e-9",
  },
  equations: [
    { text: "b = Σ l_i R_i / Σ l_i, l_i = policy tokens", tex: "b = \\frac{\\sum_i l_i R_i}{\\sum_i l_i}" },
    { text: "A_i = R_i − b", tex: "A_i = R_i - b" },
  ],
  params,
  reads: ["reward_column", "tokens", "group?", "tokens.mask?"],
  writes: ["rollout.baseline", "rollout.advantage", "tokens.advantage"],
  scope: "group",
  unscored: true,
  functions: { optimalBaseline },
  assign,
});
