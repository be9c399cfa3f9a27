import { z } from "zod";
import { rolloutsToTokens } from "../../operators/broadcast.ts";
import { policyMask, requireTokens } from "../../operators/mask.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { knownOutcomes } from "../../operators/outcome.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { policyRuns } from "../../operators/runs.ts";
import { lessKl, type RowRewards, tokenRewards } from "../../operators/token-rewards.ts";
import { mergeMoments, type RunMoments, runMoments, whitenRuns } from "../../operators/whiten.ts";
import type { Batch } from "../../rollouts/index.ts";
import { defineMethod, type TwoPass } from "../method.ts";
import { ddof, klCoef, rewardColumn, singletonZeroOrReward, unitInterval } from "../parameters.ts";

const params = z.object({
  baseline: z
    .enum(["none", "group_mean"])
    .default("none")
    .describe("group_mean: the outcome minus the mean of its group takes the place of the rewards"),
  gamma: unitInterval(1, "discount per policy token"),
  kl_coef: klCoef(0, "weight of the KL estimate of each token inside its reward; 0.001 to 0.01 in use"),
  mask_gap: z
    .enum(["skip", "count", "reset"])
    .default("skip")
    .describe("what an observation does to the running return: nothing, one discount per token, or it forgets it"),
  whiten_std: z.boolean().default(true).describe("divide by the spread of all policy tokens (false = only centre)"),
  whiten_ddof: ddof(0),
  whiten_eps: z.number().positive().default(1e-8).describe("added to the variance, inside the root"),
  singleton: singletonZeroOrReward,
  reward_column: rewardColumn,
});
type Params = z.output<typeof params>;

/** Rewards of tokens: as they were recorded, or the outcome of each rollout compared with its group. */
function rewardParts(batch: Batch, p: Params): RowRewards {
  if (p.baseline === "none") {
    return tokenRewards(
      batch,
      p.reward_column === "rollout.reward" ? undefined : knownOutcomes(batch, p.reward_column),
    );
  }
  const singleton = p.singleton === "reward" ? "raw" : "zero";
  const outcome = knownOutcomes(batch, p.reward_column);
  return {
    rewards: null,
    last: normalizePools(outcome, poolByGroup(batch, "rollout"), { normByStd: false, singleton }),
  };
}

/** Returns to go of all policy tokens, the KL of every token inside its reward; 0 on tokens of the environment. */
function returnsToGo(batch: Batch, p: Params) {
  requireTokens(batch);
  const parts = lessKl(batch, rewardParts(batch, p), p.kl_coef);
  const { gamma, mask_gap: gap } = p;
  // Undiscounted, an outcome is the return of every token before it.
  if (parts.rewards === null && parts.last !== null && gamma === 1 && gap !== "reset")
    return rolloutsToTokens(batch, parts.last);
  const out = batch.zeros("token");
  reverseSumsInto({ offsets: batch.offsets("token"), ...parts, mask: policyMask(batch), gap, gamma }, out);
  return out;
}

/**
 * REINFORCE++ (arXiv 2501.03262 section 3): G_t = x_t + γ G_{t'} over policy tokens with
 * x_t = r_t − kl_coef (log π_t − log π_ref,t), whitened once over all policy tokens of the call instead of inside each
 * group. The baseline variant compares the outcome with its group first.
 */
function assign(batch: Batch, p: Params, given?: RunMoments): Batch {
  const returns = returnsToGo(batch, p);
  const advantage = batch.floats("token", returns);
  advantage.set(returns);
  const runs = policyRuns(batch);
  const spec = { ddof: p.whiten_ddof, eps: p.whiten_eps, scale: p.whiten_std };
  whitenRuns(advantage, runs, spec, given ?? runMoments(advantage, runs));
  return batch.with({ "tokens.return": returns, "tokens.advantage": advantage });
}

const twoPass: TwoPass<Params, RunMoments> = {
  scope: (p) => (p.baseline === "group_mean" ? "group" : "rollout"),
  collect: (batch, p, state) => mergeMoments(state, runMoments(returnsToGo(batch, p), policyRuns(batch))),
  apply: assign,
};

function warnings(batch: Batch): string[] {
  if (batch.size < 2 || batch.groupCount > 1) return [];
  return ["all rollouts belong to one prompt: one normalisation over them is the one that GRPO makes inside a group"];
}

export const reinforcePp = defineMethod({
  id: "reinforce-pp",
  title: "REINFORCE++ and REINFORCE++ with baseline",
  summary:
    "Return to go with a per-token KL inside the reward, normalised once over all tokens of the batch instead of inside each prompt's group; the baseline variant first subtracts the group mean.",
  facts: {
    paper: {
      title: "REINFORCE++: Stabilizing Critic-Free Policy Optimization with Global Advantage Normalization",
      arxiv: "2501.03262",
      date: "2025-01",
      repo: "OpenRLHF/OpenRLHF",
    },
    headline:
      "Comparable to PPO without a critic in general RLHF; with the baseline ahead of GRPO and PPO on long agentic tool use.",
    granularity: "token",
    methodology: ["monte-carlo"],
    checked: "verl (August 2026): returns exact, advantages 3e-9 with ddof 1; OpenRLHF: 1.3e-7, `count` returns 5e-10",
  },
  equations: [
    {
      text: "x_t = r_t − β (log π(y_t) − log π_ref(y_t))",
      tex: "x_t = r_t - \\beta \\log\\frac{\\pi(y_t)}{\\pi_{ref}(y_t)}",
    },
    { text: "G_t = x_t + γ G_t', t' = next policy token", tex: "G_t = x_t + \\gamma G_{t'}" },
    {
      text: "A = (G − mean) / sqrt(var + ε) over all policy tokens of the call",
      tex: "A = \\frac{G - \\operatorname{mean}}{\\sqrt{\\operatorname{var} + \\varepsilon}}",
    },
  ],
  params,
  presets: { verl: { whiten_ddof: 1 } },
  reads: [
    "tokens",
    "tokens.reward | reward_column",
    "tokens.mask?",
    "group?",
    "tokens.old_logprob | tokens.logprob if kl_coef",
    "tokens.ref_logprob if kl_coef",
  ],
  writes: ["tokens.return", "tokens.advantage"],
  scope: "batch",
  twoPass,
  warnings,
  assign,
});
