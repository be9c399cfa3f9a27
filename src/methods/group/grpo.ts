import { z } from "zod";
import { rolloutsToTokens } from "../../operators/broadcast.ts";
import { policyLengths } from "../../operators/mask.ts";
import { normalizePools, poolMoments } from "../../operators/normalize.ts";
import { outcomes } from "../../operators/outcome.ts";
import { poolByGroup, poolOfCall } from "../../operators/pools.ts";
import type { Batch } from "../../rollouts/index.ts";
import { functionArgs, numberList } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps, rewardColumn, singletonZeroOrReward } from "../parameters.ts";

const params = z.object({
  norm_by_std: z.boolean().default(true).describe("divide by the spread (false = the advantage of Dr. GRPO)"),
  std_scope: z
    .enum(["group", "batch"])
    .default("group")
    .describe("whose spread divides: of the group, or of all rewards of the call"),
  ddof: ddof(1),
  eps: positiveEps(1e-6),
  singleton: singletonZeroOrReward,
  reward_column: rewardColumn,
});
type Params = z.output<typeof params>;

/**
 * Outcome-supervised GRPO (arXiv 2402.03300 section 4.1.2): A_i = (R_i − μ_g) / (σ_g + ε), given to every policy token.
 * The weight 1/|o_i| is the paper's mean over the response. Unscored rollouts stay out of the pool and get 0.
 */
function assign(batch: Batch, p: Params): Batch {
  const { rewards, scored } = outcomes(batch, p.reward_column);
  const singleton = p.singleton === "reward" ? "raw" : "zero";
  const centred = p.norm_by_std && p.std_scope === "batch";
  const spec = { ddof: p.ddof, eps: p.eps, normByStd: p.norm_by_std && !centred, singleton, valid: scored } as const;
  const groups = poolByGroup(batch, "rollout");
  const advantage = normalizePools(rewards, groups, spec);
  if (centred) {
    const { count } = poolMoments(rewards, groups, scored);
    const all = poolMoments(rewards, poolOfCall(batch, "rollout"), scored);
    const spread = all.count[0] < 2 ? 1 : Math.sqrt(all.squares[0] / (all.count[0] - p.ddof));
    // A group of one that keeps its reward has mean 0 and spread 1, whatever the others have.
    for (let i = 0; i < advantage.length; i++) advantage[i] /= (count[groups.of[i]] === 1 ? 1 : spread) + p.eps;
  }
  if (!batch.hasLevel("token")) return batch.with({ "rollout.advantage": advantage });
  return batch.with({
    "rollout.advantage": advantage,
    "tokens.advantage": { later: () => rolloutsToTokens(batch, advantage) },
    "tokens.weight": { later: () => rolloutsToTokens(batch, inverseLengths(batch)) },
  });
}

function inverseLengths(batch: Batch): Float64Array {
  return Float64Array.from(policyLengths(batch), (n) => (n === 0 ? 0 : 1 / n));
}

const groupAdvantageArgs = z.object({
  rewards: numberList,
  ...params.pick({ norm_by_std: true, ddof: true, eps: true, singleton: true }).shape,
});

/** Advantages of one group of rewards; arguments as the parameters of the method. */
export function groupAdvantage(args: z.input<typeof groupAdvantageArgs>): number[] {
  const { rewards, norm_by_std, ddof, eps, singleton } = functionArgs(groupAdvantageArgs, args);
  const pools = { of: new Int32Array(rewards.length), count: 1 };
  return [
    ...normalizePools(rewards, pools, {
      ddof,
      eps,
      normByStd: norm_by_std,
      singleton: singleton === "reward" ? "raw" : "zero",
    }),
  ];
}

export const grpo = defineMethod({
  id: "grpo",
  title: "Group Relative Policy Optimization (outcome supervision)",
  summary:
    "Score a group of responses to one prompt, subtract the group mean, divide by the group's standard deviation, and give the number to every token.",
  facts: {
    paper: {
      title: "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models",
      arxiv: "2402.03300",
      date: "2024-02",
      repo: null,
    },
    headline: "DeepSeekMath-Instruct 7B rose from 46.8 to 51.7 on MATH and from 82.9 to 88.2 on GSM8K.",
    granularity: "rollout",
    methodology: ["monte-carlo"],
    checked: "verl (August 2026), max abs diff 5e-9",
  },
  equations: [
    {
      text: "A_i = (R_i − μ) / (σ + ε), μ and σ over the group",
      tex: "A_i = \\frac{R_i - \\mu}{\\sigma + \\varepsilon}",
    },
    { text: "weight of a token = 1 / |o_i|", tex: "w_{i,t} = \\frac{1}{|o_i|}" },
  ],
  params,
  reads: ["reward_column", "group?", "tokens.mask?"],
  writes: ["rollout.advantage", "tokens.advantage", "tokens.weight"],
  scope: (p) => (p.norm_by_std && p.std_scope === "batch" ? "batch" : "group"),
  unscored: true,
  functions: { groupAdvantage },
  assign,
});
