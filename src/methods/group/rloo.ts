import { z } from "zod";
import { leaveOneOut as leaveOneOutPools } from "../../operators/baselines.ts";
import { rolloutsToTokens } from "../../operators/broadcast.ts";
import { logRatioSums } from "../../operators/log-ratio.ts";
import { outcomes } from "../../operators/outcome.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { maskRuns, type Runs } from "../../operators/runs.ts";
import { mergeMoments, type RunMoments, runMoments } from "../../operators/whiten.ts";
import type { Batch } from "../../rollouts/index.ts";
import { functionArgs, numberList } from "../arguments.ts";
import { defineMethod, type TwoPass } from "../method.ts";
import { klCoef, positiveEps, rewardClip, rewardColumn, singletonZeroOrReward } from "../parameters.ts";

const params = z.object({
  singleton: singletonZeroOrReward,
  kl_coef: klCoef(0, "weight of the sequence's KL estimate inside the reward; TRL uses 0.05"),
  reward_clip: rewardClip,
  normalize_batch: z
    .boolean()
    .default(false)
    .describe("centre and scale the advantages over all scored rollouts of the call"),
  eps: positiveEps(1e-4),
  reward_column: rewardColumn,
});
type Params = z.output<typeof params>;

/** Rewards as they enter the comparison: cut to their range, then minus the KL of the whole response. */
function shapedRewards(batch: Batch, rewards: ArrayLike<number>, p: Params): ArrayLike<number> {
  if (p.reward_clip === null && p.kl_coef === 0) return rewards;
  const [low, high] = p.reward_clip ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const shaped = Float64Array.from(rewards, (r) => Math.min(Math.max(r, low), high));
  if (p.kl_coef === 0) return shaped;
  const kl = logRatioSums(batch, { policy: "sampler", coef: p.kl_coef });
  for (let i = 0; i < shaped.length; i++) shaped[i] -= kl[i];
  return shaped;
}

function compare(batch: Batch, p: Params) {
  const { rewards, scored } = outcomes(batch, p.reward_column);
  const spec = { singleton: p.singleton === "reward" ? "raw" : "zero", valid: scored } as const;
  const compared = leaveOneOutPools(shapedRewards(batch, rewards, p), poolByGroup(batch, "rollout"), spec);
  return { ...compared, members: maskRuns(Int32Array.of(0, batch.size), scored) };
}

/**
 * REINFORCE leave-one-out (arXiv 2402.14740 section 3.2; Kool et al. 2019): b_i = mean of the other rewards of the group,
 * A_i = R_i − b_i, with R_i = clip(reward) − kl_coef Σ_t (log π − log π_ref) in that order. Given to every policy token.
 * Unscored rollouts stay out of the sums and get advantage and baseline 0.
 */
function assign(batch: Batch, p: Params, given?: RunMoments): Batch {
  const { baseline, advantage, members } = compare(batch, p);
  if (p.normalize_batch) standardise(advantage, members, p.eps, given ?? runMoments(advantage, members));
  const columns = { "rollout.baseline": baseline, "rollout.advantage": advantage };
  if (!batch.hasLevel("token")) return batch.with(columns);
  return batch.with({ ...columns, "tokens.advantage": { later: () => rolloutsToTokens(batch, advantage) } });
}

/** (A − mean) / (sample spread + ε) over the members, in place; 0 where all are equal. */
function standardise(advantage: Float64Array, { starts, ends }: Runs, eps: number, moments: RunMoments): void {
  const { count, mean, squares, flat } = moments;
  const divisor = flat ? Number.POSITIVE_INFINITY : Math.sqrt(squares / (count - 1)) + eps;
  for (let run = 0; run < starts.length; run++) {
    for (let i = starts[run]; i < ends[run]; i++) advantage[i] = (advantage[i] - mean) / divisor;
  }
}

const twoPass: TwoPass<Params, RunMoments> = {
  scope: () => "group",
  collect: (batch, p, state) => {
    const { advantage, members } = compare(batch, p);
    return mergeMoments(state, runMoments(advantage, members));
  },
  apply: assign,
};

const leaveOneOutArgs = z.object({ rewards: numberList, singleton: singletonZeroOrReward });

/** Advantages of one group: each reward minus the mean of the others. */
export function leaveOneOut(args: z.input<typeof leaveOneOutArgs>): number[] {
  const { rewards, singleton } = functionArgs(leaveOneOutArgs, args);
  const pools = { of: new Int32Array(rewards.length), count: 1 };
  return [...leaveOneOutPools(rewards, pools, { singleton: singleton === "reward" ? "raw" : "zero" }).advantage];
}

export const rloo = defineMethod({
  id: "rloo",
  title: "REINFORCE leave-one-out",
  summary:
    "Compare every response with the mean reward of the other responses to the same prompt: a baseline that does not depend on the response itself, so the gradient stays unbiased.",
  facts: {
    paper: {
      title: "Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback in LLMs",
      arxiv: "2402.14740",
      date: "2024-02",
      repo: "huggingface/trl",
    },
    headline: "Higher win rates than PPO, RAFT and DPO on TL;DR and HH with a fraction of the memory.",
    granularity: "rollout",
    methodology: ["monte-carlo"],
    checked: "verl, max abs diff 4e-9",
  },
  equations: [
    {
      text: "R_i = clip(r_i) − β Σ_t (log π(y_t) − log π_ref(y_t))",
      tex: "R_i = \\operatorname{clip}(r_i) - \\beta \\sum_t \\log\\frac{\\pi(y_t)}{\\pi_{ref}(y_t)}",
    },
    {
      text: "A_i = R_i − (Σ_j R_j − R_i) / (n − 1)",
      tex: "A_i = R_i - \\frac{1}{n-1}\\sum_{j \\ne i} R_j",
    },
  ],
  params,
  presets: { trl: { kl_coef: 0.05 } },
  reads: [
    "reward_column",
    "group?",
    "tokens.mask?",
    "tokens.old_logprob | tokens.logprob if kl_coef",
    "tokens.ref_logprob if kl_coef",
  ],
  writes: ["rollout.baseline", "rollout.advantage", "tokens.advantage"],
  scope: (p) => (p.normalize_batch ? "batch" : "group"),
  unscored: true,
  twoPass,
  functions: { leaveOneOut },
  assign,
});
