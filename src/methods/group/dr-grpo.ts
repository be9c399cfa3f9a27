import { z } from "zod";
import { rolloutsToTokens } from "../../operators/broadcast.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { outcomes } from "../../operators/outcome.ts";
import { poolByGroup } from "../../operators/pools.ts";
import type { Batch } from "../../rollouts/index.ts";
import { defineMethod, type TwoPass } from "../method.ts";
import { rewardColumn, singletonZeroOrReward } from "../parameters.ts";

const params = z.object({
  loss_scale: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe(
      "constant divisor of every response's loss, best the generation limit; null = the longest token list of the call",
    ),
  singleton: singletonZeroOrReward,
  reward_column: rewardColumn,
});
type Params = z.output<typeof params>;

/**
 * Dr. GRPO (arXiv 2503.20783 section 3): A_i = R_i − μ_g without the spread, given to every policy token, and the weight
 * 1/L of every policy token with one constant L for all responses instead of the response's own length.
 * Unscored rollouts stay out of the mean and get 0.
 */
function assign(batch: Batch, p: Params, longest = longestResponse(batch)): Batch {
  const { rewards, scored } = outcomes(batch, p.reward_column);
  const advantage = normalizePools(rewards, poolByGroup(batch, "rollout"), {
    normByStd: false,
    singleton: p.singleton === "reward" ? "raw" : "zero",
    valid: scored,
  });
  if (!batch.hasLevel("token")) return batch.with({ "rollout.advantage": advantage });
  const weight = 1 / (p.loss_scale ?? Math.max(longest, 1));
  return batch.with({
    "rollout.advantage": advantage,
    "tokens.advantage": { later: () => rolloutsToTokens(batch, advantage) },
    "tokens.weight": { later: () => rolloutsToTokens(batch, new Float64Array(batch.size).fill(weight)) },
  });
}

/** Tokens of the longest response, those of the environment included. */
function longestResponse(batch: Batch): number {
  const offsets = batch.offsets("token");
  let longest = 0;
  for (let i = 0; i < batch.size; i++) longest = Math.max(longest, offsets[i + 1] - offsets[i]);
  return longest;
}

const twoPass: TwoPass<Params, number> = {
  scope: () => "group",
  collect: (batch, _, longest) => Math.max(longest ?? 0, longestResponse(batch)),
  apply: assign,
};

export const drGrpo = defineMethod({
  id: "dr-grpo",
  title: "Dr. GRPO (GRPO done right)",
  summary:
    "GRPO without its two biased normalisers: the group mean is subtracted but nothing is divided by the group's spread, and every response's loss is divided by the same constant instead of its own length.",
  facts: {
    paper: {
      title: "Understanding R1-Zero-Like Training: A Critical Perspective",
      arxiv: "2503.20783",
      date: "2025-03",
      repo: "sail-sg/understand-r1-zero",
    },
    headline: "A 7B base model reached 43.3 % on AIME 2024, and wrong answers stopped growing longer.",
    granularity: "rollout",
    methodology: ["monte-carlo"],
    checked: "verl without the division by the spread, max abs diff 5e-9; weights equal the constant normaliser of oat",
  },
  equations: [
    { text: "A_i = R_i − μ, μ over the group", tex: "A_i = R_i - \\mu" },
    { text: "weight of a token = 1 / loss_scale", tex: "w_{i,t} = \\frac{1}{L}" },
  ],
  params,
  presets: { official: { loss_scale: 3000 } },
  reads: ["reward_column", "group?", "tokens.mask?"],
  writes: ["rollout.advantage", "tokens.advantage", "tokens.weight"],
  scope: (p) => (p.loss_scale === null ? "batch" : "group"),
  unscored: true,
  twoPass,
  assign,
});
