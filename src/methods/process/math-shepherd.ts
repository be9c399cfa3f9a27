import { z } from "zod";
import { tokenSpans } from "../../operators/broadcast.ts";
import { binaryCrossEntropy } from "../../operators/cross-entropy.ts";
import { rowNumbers } from "../../operators/ranges.ts";
import { slots } from "../../operators/slots.ts";
import { weightedVote as vote } from "../../operators/votes.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { functionArgs, numberList, probability, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { correctThreshold } from "../parameters.ts";

const params = z.object({
  kind: z
    .enum(["hard", "soft"])
    .default("hard")
    .describe("label that becomes the step reward: any completion right, or the share that is right"),
  final_label: z
    .enum(["outcome", "none"])
    .default("outcome")
    .describe("outcome: the last step is labelled by the solution itself; none: by its completions like every step"),
  correct_threshold: correctThreshold,
  reward_from: z
    .enum(["label", "prm"])
    .default("label")
    .describe("label pays the label itself, prm the score of a reward model trained on such labels"),
});
type Params = z.output<typeof params>;

/** Labels of all steps; `valid` is 0 where nothing was measured. */
interface Labels {
  hard: Float64Array;
  soft: Float64Array;
  valid: Uint8Array;
}

/** Labels from counts of completions: hard = [correct > 0], soft = correct / total. */
function labelsOf(batch: Batch, p: Params): Labels {
  // A trained reward model is used without completions.
  const options = p.reward_from === "label" ? { missing: 0 } : { absent: 0, missing: 0 };
  const total = rowNumbers(batch, "steps.mc_total", options);
  const correct = rowNumbers(batch, "steps.mc_correct", options);
  const counted = batch.has("steps.mc_correct") ? batch.validity("steps.mc_correct") : null;
  const hard = new Float64Array(batch.count("step"));
  const soft = new Float64Array(hard.length);
  const valid = new Uint8Array(hard.length);
  const measured = batch.validity("steps.mc_total");
  for (let row = 0; row < hard.length; row++) {
    if (measured !== null && measured[row] === 0) continue;
    if (total[row] < 0) throw batch.wrongValue("steps.mc_total", row, "a count of completions", `${total[row]}`);
    if (correct[row] < 0 || correct[row] > total[row])
      throw batch.wrongValue("steps.mc_correct", row, `a count from 0 to mc_total ${total[row]}`, `${correct[row]}`);
    if (total[row] === 0) continue;
    if (counted !== null && counted[row] === 0) throw batch.wrongValue("steps.mc_correct", row, "a count", "null");
    hard[row] = correct[row] > 0 ? 1 : 0;
    soft[row] = correct[row] / total[row];
    valid[row] = 1;
  }
  if (p.final_label === "outcome") labelLastSteps(batch, p.correct_threshold, { hard, soft, valid });
  return { hard, soft, valid };
}

function labelLastSteps(batch: Batch, threshold: number, { hard, soft, valid }: Labels): void {
  const rewards = batch.numbers("rollout.reward");
  const offsets = batch.offsets("step");
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i + 1] === offsets[i]) continue;
    const last = offsets[i + 1] - 1;
    hard[last] = rewards[i] >= threshold ? 1 : 0;
    soft[last] = hard[last];
    valid[last] = 1;
  }
}

/**
 * Step labels of Math-Shepherd (arXiv 2312.08935): of N completions started after step k, hard_k = 1 if any is right, soft_k
 * the share that is right; a step without completions has no label, and the last step (nothing follows it) is labelled by
 * the outcome. The chosen label, or the score of a trained reward model, is the reward on the last policy token of each step; that of a step
 * without one stands on no token.
 */
function assign(batch: Batch, p: Params): Batch {
  const { hard, soft, valid } = labelsOf(batch, p);
  const reward = batch.zeros("step");
  if (p.reward_from === "prm") reward.set(rowNumbers(batch, "steps.prm"));
  else reward.set(p.kind === "hard" ? hard : soft);
  const columns = {
    "steps.label_hard": { values: hard, valid },
    "steps.label_soft": { values: soft, valid },
    "steps.reward": { values: reward, valid: p.reward_from === "prm" ? null : valid },
  };
  if (!batch.hasLevel("token")) return batch.with(columns);
  const { starts } = tokenSpans(batch, "step");
  const tokens = batch.zeros("token");
  slots(batch, "step").forEach((slot, row) => {
    if (slot >= starts[row]) tokens[slot] = reward[row];
  });
  return batch.with({ ...columns, "tokens.reward": tokens });
}

const aggregateArgs = z.object({
  scores: z.array(z.number().nullable()),
  form: z.enum(["min", "product", "last", "mean"]).default("min"),
});

/**
 * Score of a solution from the scores of its steps; null steps are left out, and nothing scored gives null.
 * `min` is the paper's form: a solution is as good as its worst step.
 */
export function prmAggregate(args: z.input<typeof aggregateArgs>): number | null {
  const { scores, form } = functionArgs(aggregateArgs, args);
  const known = scores.filter((s) => s !== null);
  if (known.length === 0) return null;
  if (form === "min") return known.reduce((a, b) => Math.min(a, b));
  if (form === "product") return known.reduce((a, b) => a * b);
  if (form === "last") return known[known.length - 1];
  return known.reduce((a, b) => a + b) / known.length;
}

const voteArgs = z.object({ answers: z.array(z.union([z.string(), z.number()])), scores: numberList });

/**
 * Weighted majority vote: scores of equal final answers are added up, the largest sum wins; sums within 1e-12 go to the
 * answer seen first. Without answers both fields are empty: `{answer: null, weight: 0}`.
 */
export function weightedVote(args: z.input<typeof voteArgs>): { answer: string | number | null; weight: number } {
  const { answers, scores } = functionArgs(voteArgs, args);
  sameLength({ answers, scores });
  const winner = vote(answers, scores);
  return { answer: winner?.key ?? null, weight: winner?.total ?? 0 };
}

const lossArgs = z.object({
  scores: z.array(probability.nullable()),
  label: z.array(probability.nullable()),
  /** Probabilities are cut to [eps, 1 − eps]. */
  eps: z.number().gt(0).lt(0.5).default(1e-12),
});

/**
 * Training loss of the reward model: mean over labelled steps of −(y ln p + (1 − y) ln(1 − p)); 0 when no step is labelled.
 * @throws InputError also when a labelled step has no score.
 */
export function prmLoss(args: z.input<typeof lossArgs>): number {
  const { scores, label, eps } = functionArgs(lossArgs, args);
  sameLength({ scores, label });
  let sum = 0;
  let labelled = 0;
  label.forEach((y, k) => {
    if (y === null) return;
    const p = scores[k];
    if (p === null) throw new InputError(`argument scores.${k} not valid`, { expected: "a score", got: "null" });
    sum += binaryCrossEntropy(p, y, eps);
    labelled++;
  });
  return labelled === 0 ? 0 : sum / labelled;
}

export const mathShepherd = defineMethod({
  id: "math-shepherd",
  title: "Math-Shepherd: step labels from Monte Carlo completions",
  summary:
    "A step is good if continuing from it can reach the right answer: label it by sampled completions, train a process reward model on the labels, and pay its score at the end of each step.",
  facts: {
    paper: {
      title: "Math-Shepherd: Verify and Reinforce LLMs Step-by-step without Human Annotations",
      arxiv: "2312.08935",
      date: "2023-12",
      repo: null,
    },
    headline:
      "Mistral-7B with step-by-step PPO rose from 77.9 to 84.1 on GSM8K and from 28.6 to 33.0 on MATH; with verification on top 89.1 and 43.5.",
    granularity: "step",
    methodology: ["monte-carlo", "reward-model"],
    checked: "no official code exists; written from the published definitions",
    reconstructed: ["label of the last step by the outcome (the usual convention)"],
  },
  equations: [
    {
      text: "hard_k = 1 if some completion after step k is right, else 0",
      tex: "y^{\\mathrm{hard}}_k = \\mathbb{1}[\\exists j: a_{k,j} = a^*]",
    },
    {
      text: "soft_k = right completions / completions after step k",
      tex: "y^{\\mathrm{soft}}_k = \\frac{1}{N}\\sum_{j=1}^{N} \\mathbb{1}[a_{k,j} = a^*]",
    },
    {
      text: "loss = mean of −(y_k ln p_k + (1 − y_k) ln(1 − p_k))",
      tex: "\\mathcal{L} = -\\frac{1}{K}\\sum_k y_k\\ln p_k + (1-y_k)\\ln(1-p_k)",
    },
  ],
  params,
  reads: [
    "steps.mc_correct",
    "steps.mc_total",
    "rollout.reward",
    "steps.prm if reward_from",
    "steps.end?",
    "tokens.mask?",
  ],
  writes: ["steps.label_hard", "steps.label_soft", "steps.reward", "tokens.reward"],
  scope: "rollout",
  functions: { prmAggregate, weightedVote, prmLoss },
  assign,
});
