import { z } from "zod";
import { groupCredit } from "../../operators/group-credit.ts";
import { preferenceLoss } from "../../operators/preference.ts";
import { sigmoid, softplus } from "../../operators/scalars.ts";
import type { Batch } from "../../rollouts/index.ts";
import { bit, functionArgs, numberList, probability, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { positiveEps } from "../parameters.ts";

const params = z.object({
  binarize: z.boolean().default(false).describe("score 1 above one half and 0 up to it, instead of the probability"),
  normalize_std: z
    .boolean()
    .default(true)
    .describe("divide by the spread of the group (false = subtract the mean only)"),
  eps: positiveEps(1e-6),
});

/**
 * Policy credit of Cooper (arXiv 2508.05613; official code): score = σ(logit of the reward model), A = (score − mean) /
 * (std + ε) inside the group, sample spread. A rollout alone in its group counts with mean 0 and spread 1.
 */
function assign(batch: Batch, p: z.output<typeof params>): Batch {
  const score = Float64Array.from(batch.numbers("signals.rm_logit"), sigmoid);
  if (p.binarize) for (let i = 0; i < score.length; i++) score[i] = score[i] > 0.5 ? 1 : 0;
  const spec = { ddof: 1, eps: p.eps, normByStd: p.normalize_std, singleton: "raw" } as const;
  return batch.with({ "rollout.model_reward": score, ...groupCredit(batch, score, spec) });
}

/** Longest text that is left whole, and what is kept of longer ones. */
const longest = 1500;
const kept = { first: 500, last: 1000 };

const shortenArgs = z.object({ text: z.string() });

/** A text as the reward model reads it: of more than 1500 characters (code points) the first 500 and the last 1000. */
export function cooperShorten(args: z.input<typeof shortenArgs>): string {
  const { text } = functionArgs(shortenArgs, args);
  const points = Array.from(text);
  if (points.length <= longest) return text;
  return points.slice(0, kept.first).join("") + points.slice(-kept.last).join("");
}

const positivesArgs = z.object({
  groups: z.array(z.union([z.string(), z.number()], "a group name")),
  ruleScores: z.array(z.number().nullable()),
});

interface Positive {
  group: string | number;
  index: number;
  has_positive: boolean;
}

/**
 * Positive of each group, groups by first appearance: the first rollout whose rule score is exactly 1; without one the
 * group's first rollout, with `has_positive` false.
 */
export function cooperPositives(args: z.input<typeof positivesArgs>): Positive[] {
  const { groups, ruleScores } = functionArgs(positivesArgs, args);
  sameLength({ groups, ruleScores });
  const found = new Map<string | number, Positive>();
  groups.forEach((group, index) => {
    const right = ruleScores[index] === 1;
    const known = found.get(group);
    if (known === undefined) found.set(group, { group, index, has_positive: right });
    else if (right && !known.has_positive) found.set(group, { group, index, has_positive: true });
  });
  return [...found.values()];
}

const flags = z.array(z.union([bit, z.boolean()], "0 or 1"));
const pairLossArgs = z.object({ positive: numberList, negative: numberList, valid: flags.optional() });

/** Added to the number of valid pairs. */
const pairEps = 1e-6;

/**
 * Loss of the reward model on logits of pairs: Σ valid · softplus(−(s⁺ − s⁻)) / (Σ valid + 1e-6), with its gradients.
 * `valid` left out: all pairs count. No valid pair: 0.
 */
export function cooperPairLoss(args: z.input<typeof pairLossArgs>) {
  const { positive, negative, valid } = functionArgs(pairLossArgs, args);
  sameLength({ positive, negative, ...(valid === undefined ? {} : { valid }) });
  const margins = positive.map((s, k) => s - negative[k]);
  const { loss, gradient } = preferenceLoss(margins, valid?.map(Number), pairEps);
  return { loss, grad_positive: [...gradient], grad_negative: Array.from(gradient, (g) => 0 - g) };
}

const verifierArgs = z.object({ logits: numberList, labels: z.array(probability) });

/** Mean binary cross-entropy of logits against labels from 0 to 1; nothing to learn from: 0. */
export function cooperVerifierLoss(args: z.input<typeof verifierArgs>): number {
  const { logits, labels } = functionArgs(verifierArgs, args);
  sameLength({ logits, labels });
  const total = logits.reduce((sum, x, k) => sum + labels[k] * softplus(-x) + (1 - labels[k]) * softplus(x), 0);
  return logits.length === 0 ? 0 : total / logits.length;
}

const verdicts = z.array(bit.nullable());
const labelsArgs = z.object({ rule: verdicts, judge: verdicts });

/** Label of each example on which the rule verifier and the judge both answered and agree; null for the others. */
export function cooperHybridLabels(args: z.input<typeof labelsArgs>): (0 | 1 | null)[] {
  const { rule, judge } = functionArgs(labelsArgs, args);
  sameLength({ rule, judge });
  return rule.map((label, k) => (label === judge[k] ? label : null));
}

export const cooper = defineMethod({
  id: "cooper",
  title: "Cooper: policy and reward model trained together",
  summary:
    "GRPO on a reference-based reward model, which is itself trained in every step on a response that a precise rule accepts against a corrupted rewrite of it, so that it is not hacked.",
  facts: {
    paper: {
      title: "Cooper: Co-Optimizing Policy and Reward Models in Reinforcement Learning for Large Language Models",
      arxiv: "2508.05613",
      date: "2025-08",
      repo: "ZJU-REAL/cooper",
    },
    headline:
      "Mean of five math sets with Qwen2.5-1.5B: 58.0, against 57.5 with the rule as reward and 38.9 with a fixed reward model.",
    granularity: "rollout",
    methodology: ["reward-model", "verifier", "monte-carlo"],
    checked: "official code (advantage, pair loss and gradients, cross-entropy, positives), max abs diff 9e-16",
  },
  equations: [
    {
      text: "p = σ(logit), A = (p − μ) / (σ + ε)",
      tex: "p = \\sigma(s),\\quad A = \\frac{p - \\mu}{\\mathrm{std} + \\varepsilon}",
    },
    {
      text: "reward model: loss = −mean log σ(s⁺ − s⁻) over valid pairs",
      tex: "\\mathcal{L} = -\\operatorname{mean}\\log\\sigma(s^+ - s^-)",
    },
  ],
  params,
  reads: ["signals.rm_logit", "group?", "tokens.mask?"],
  writes: ["rollout.model_reward", "rollout.advantage", "tokens.advantage"],
  scope: "group",
  functions: { cooperShorten, cooperPositives, cooperPairLoss, cooperVerifierLoss, cooperHybridLabels },
  assign,
});
