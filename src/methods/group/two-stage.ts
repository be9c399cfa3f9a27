import { z } from "zod";
import { clippedSurrogate } from "../../operators/clipped-surrogate.ts";
import { advantageColumns } from "../../operators/group-credit.ts";
import { logRatioSums } from "../../operators/log-ratio.ts";
import { policyLengths, requireTokens } from "../../operators/mask.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { knownOutcomes } from "../../operators/outcome.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { logSumExp } from "../../operators/scalars.ts";
import { type Batch, type ColumnValues, InputError } from "../../rollouts/index.ts";
import { count, functionArgs, numberList, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { positiveEps } from "../parameters.ts";

const positiveWeight = z.number().min(0).max(1);

const params = z.object({
  variant: z
    .enum(["grpo", "grpo_n", "gspo", "gspo_n"])
    .default("grpo_n")
    .describe("rule to filter (-n: learn from below-average rollouts only); gspo adds the sequence ratio and its clip"),
  positive_weight: positiveWeight
    .nullable()
    .default(null)
    .describe("factor of advantages above 0; null = 0 for the -n variants, else 1"),
  norm_by_std: z.boolean().default(true).describe("divide by the spread of the group (false = subtract the mean only)"),
  eps: positiveEps(1e-6),
  clip_low: z
    .number()
    .positive()
    .default(3e-4)
    .describe("gspo: the sequence ratio is clipped from below at 1 - clip_low"),
  clip_high: z
    .number()
    .positive()
    .default(4e-4)
    .describe("gspo: the sequence ratio is clipped from above at 1 + clip_high"),
});
type Params = z.output<typeof params>;

const filtered = (a: number, weight: number) => (a > 0 ? weight * a : a);

/** s_i: geometric mean of π/π_old over the policy tokens of each rollout, 1 where there are none. */
function sequenceRatios(batch: Batch): Float64Array {
  const sums = logRatioSums(batch, { policy: "tokens.logprob", reference: "tokens.old_logprob" });
  const lengths = policyLengths(batch);
  return sums.map((sum, i) => (lengths[i] === 0 ? 1 : Math.exp(sum / lengths[i])));
}

/**
 * GRPO-N and GSPO-N (arXiv 2510.04028): a_i = (r_i − μ_g) / (σ_g + ε), A_i = a_i where a_i < 0, else w a_i with w = 0, given to
 * every policy token. The moments are those of all rollouts of the group. gspo: the sequence ratio s_i and the surrogate
 * min(s_i A_i, clip(s_i) A_i).
 */
function assign(batch: Batch, p: Params): Batch {
  const group = normalizePools(knownOutcomes(batch), poolByGroup(batch, "rollout"), {
    eps: p.eps,
    normByStd: p.norm_by_std,
  });
  const weight = p.positive_weight ?? (p.variant.endsWith("_n") ? 0 : 1);
  const advantage = group.map((a) => filtered(a, weight));
  const columns: Record<string, ColumnValues> = {
    "rollout.group_advantage": group,
    ...advantageColumns(batch, advantage),
  };
  if (p.variant.startsWith("gspo")) {
    requireTokens(batch);
    const ratio = sequenceRatios(batch);
    columns["rollout.seq_ratio"] = ratio;
    columns["rollout.surrogate"] = ratio.map((s, i) => clippedSurrogate(s, advantage[i], p.clip_low, p.clip_high));
  }
  return batch.with(columns);
}

const probabilities = z.array(z.number().positive().max(1)).min(1);

function checkSum(probs: readonly number[]): void {
  const sum = probs.reduce((a, b) => a + b, 0);
  if (Math.abs(sum - 1) <= 1e-6) return;
  throw new InputError("argument probs not valid", { expected: "probabilities that sum to 1", got: `a sum of ${sum}` });
}

const logitUpdateArgs = z.object({ probs: probabilities, action: count, advantage: z.number(), lr: z.number() });

/** Change of the logits of a softmax policy by one sampled action a: Δz_v = η A ([v = a] − π_v). */
export function logitUpdate(args: z.input<typeof logitUpdateArgs>): number[] {
  const { probs, action, advantage, lr } = functionArgs(logitUpdateArgs, args);
  checkSum(probs);
  if (action >= probs.length)
    throw new InputError("argument action not valid", { expected: `below ${probs.length}`, got: `${action}` });
  return probs.map((p, v) => lr * advantage * ((v === action ? 1 : 0) - p));
}

function expectedUpdate(probs: readonly number[], advantages: readonly number[], lr: number): number[] {
  const mean = probs.reduce((sum, p, v) => sum + p * advantages[v], 0);
  const flat = advantages.every((a) => a === advantages[0]);
  return probs.map((p, v) => (flat ? 0 : lr * p * (advantages[v] - mean)));
}

const expectedUpdateArgs = z.object({ probs: probabilities, advantages: numberList, lr: z.number() });

/** Expected change of the logits over all actions (Theorem 1): E[Δz_v] = η π_v (A_v − Σ_u π_u A_u). */
export function expectedLogitUpdate(args: z.input<typeof expectedUpdateArgs>): number[] {
  const { probs, advantages, lr } = functionArgs(expectedUpdateArgs, args);
  sameLength({ probs, advantages });
  checkSum(probs);
  return expectedUpdate(probs, advantages, lr);
}

/** Advantages of all actions under the policy's own mean and spread, the positive ones weighted. */
function meanFieldAdvantages(rewards: readonly number[], probs: readonly number[], weight: number): number[] {
  if (rewards.every((r) => r === rewards[0])) return rewards.map(() => 0);
  const mean = probs.reduce((sum, p, v) => sum + p * rewards[v], 0);
  const spread = Math.sqrt(probs.reduce((sum, p, v) => sum + p * (rewards[v] - mean) ** 2, 0));
  return rewards.map((r) => filtered((r - mean) / (spread + 1e-6), weight));
}

const dynamicsArgs = z.object({
  rewards: numberList,
  probs: probabilities,
  lr: z.number(),
  steps: count,
  positive_weight: positiveWeight.default(1),
});

/**
 * Mean-field bandit: a softmax policy that follows its expected update for a number of steps, with group-normalised
 * advantages of an infinite group, the positive ones weighted. Works on logits, so that tiny probabilities stay exact.
 * @returns the probabilities after every step: steps × actions.
 */
export function probabilityMassDynamics(args: z.input<typeof dynamicsArgs>): number[][] {
  const { rewards, probs, lr, steps, positive_weight } = functionArgs(dynamicsArgs, args);
  sameLength({ probs, rewards });
  checkSum(probs);
  let policy = probs;
  let logits = probs.map(Math.log);
  return Array.from({ length: steps }, () => {
    const change = expectedUpdate(policy, meanFieldAdvantages(rewards, policy, positive_weight), lr);
    logits = logits.map((z, v) => z + change[v]);
    const norm = logSumExp(logits);
    policy = logits.map((z) => Math.exp(z - norm));
    return policy;
  });
}

export const twoStage = defineMethod({
  id: "two-stage",
  title: "GRPO-N and GSPO-N: learning from below-average rollouts",
  summary:
    "Keep the group-normalised advantage where it is negative and drop (or shrink) it where it is positive, so that mass is taken from bad answers without sharpening on the good ones already found.",
  facts: {
    paper: {
      title:
        "The Debate on RLVR Reasoning Capability Boundary: Shrinkage, Expansion, or Both? A Two-Stage Dynamic View",
      arxiv: "2510.04028",
      date: "2025-10",
      repo: null,
    },
    headline:
      "Qwen2.5-Math-7B with GRPO-N: 66.7 on AIME25 pass@256 against 46.7 of the base model, and its entropy stays higher.",
    granularity: "rollout",
    methodology: ["monte-carlo"],
    checked: "no official code found; the rule is certain, the constants are those of common trainers",
    reconstructed: ["ddof and eps of the normalisation", "clip range of gspo"],
  },
  equations: [
    { text: "a_i = (r_i − μ) / (σ + ε)", tex: "a_i = \\frac{r_i - \\mu}{\\sigma + \\varepsilon}" },
    { text: "A_i = a_i if a_i < 0, else w a_i", tex: "A_i = a_i\\,[a_i < 0] + w\\,a_i\\,[a_i \\ge 0]" },
    {
      text: "gspo: s_i = exp(mean_t (log π − log π_old)), min(s_i A_i, clip(s_i, 1 − l, 1 + h) A_i)",
      tex: "s_i = \\exp\\Bigl(\\tfrac{1}{|y_i|}\\sum_t \\log\\tfrac{\\pi}{\\pi_{old}}\\Bigr),\\quad \\min(s_i A_i, \\operatorname{clip}(s_i, 1-l, 1+h) A_i)",
    },
    {
      text: "E[Δz_v] = η π_v (A_v − Σ_u π_u A_u)",
      tex: "\\mathbb{E}[\\Delta z_v] = \\eta\\,\\pi_v \\Bigl(A_v - \\sum_u \\pi_u A_u\\Bigr)",
    },
  ],
  params,
  reads: ["rollout.reward", "group?", "tokens.mask?", "tokens.logprob if variant", "tokens.old_logprob if variant"],
  writes: [
    "rollout.group_advantage",
    "rollout.advantage",
    "tokens.advantage",
    "rollout.seq_ratio",
    "rollout.surrogate",
  ],
  scope: "group",
  functions: { logitUpdate, expectedLogitUpdate, probabilityMassDynamics },
  assign,
});
