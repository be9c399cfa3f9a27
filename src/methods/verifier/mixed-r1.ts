import { z } from "zod";
import { groupCredit, sumOfChannels } from "../../operators/group-credit.ts";
import { type Batch, describe } from "../../rollouts/index.ts";
import { functionArgs, numberRows, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";
import { averageBestMatch, intersectionOverUnion, isNearNumber, isThinkAnswer, matches } from "./answer-rewards.ts";

const tolerance = z.number().min(0).default(0.05).describe("relative error of chartReward; the credit does not use it");
const threshold = z
  .number()
  .min(0)
  .max(1)
  .nullable()
  .default(null)
  .describe("IoU from which iouReward pays 1, null = the IoU itself; the credit does not use it");
const direction = z
  .enum(["both", "precision", "recall"])
  .default("both")
  .describe("which matches bmas averages; the credit does not use it");

const params = z.object({
  format_weight: z.number().min(0).default(1).describe("weight of the format reward"),
  tolerance,
  threshold,
  direction,
  eps: positiveEps(1e-4),
  ddof: ddof(1),
});

/** Names of the four task rewards. */
const taskTypes = ["matching", "chart", "iou", "open"] as const;

/** @throws InputError for a task type that no reward belongs to. */
function checkTaskTypes(batch: Batch): void {
  const path = "signals.task_type";
  if (!batch.has(path)) return;
  batch.cells(path).forEach((type, i) => {
    if (type === null || type === undefined || (taskTypes as readonly unknown[]).includes(type)) return;
    throw batch.wrongValue(path, i, `one of ${taskTypes.join(", ")}`, describe(type));
  });
}

/**
 * Credit of Mixed-R1 (arXiv 2505.24164): R = task reward + w · format, A = (R − μ) / (σ + ε) inside the group, given to every
 * policy token; alone in a group 0. The task reward was chosen by the type of the sample; null counts 0.
 */
function assign(batch: Batch, p: z.output<typeof params>): Batch {
  batch.column("rewards.task");
  checkTaskTypes(batch);
  const reward = sumOfChannels(batch, { task: 1, format: p.format_weight });
  return batch.with({ "rollout.reward": reward, ...groupCredit(batch, reward, { ddof: p.ddof, eps: p.eps }) });
}

const texts = { prediction: z.string(), reference: z.string() };
const matchingArgs = z.object(texts);
const one = (holds: boolean) => (holds ? 1 : 0);

/**
 * 1 for a right yes/no or multiple-choice answer. Of both texts the last `<answer>` counts; case, white space and full
 * stops at the end do not. A reference that is one letter is matched by the option letter with which the answer begins.
 */
export function matchingReward(args: z.input<typeof matchingArgs>): number {
  const { prediction, reference } = functionArgs(matchingArgs, args);
  return one(matches(prediction, reference));
}

const chartArgs = z.object({ ...texts, tolerance: tolerance.optional(), tol: z.number().min(0).optional() });

/**
 * 1 for a number within a relative `tolerance` (also written `tol`) of the reference; `12%` is 0.12. A reference of 0 must
 * be met exactly, one that is no number as text.
 */
export function chartReward(args: z.input<typeof chartArgs>): number {
  const given = functionArgs(chartArgs, args);
  return one(isNearNumber(given.prediction, given.reference, given.tol ?? given.tolerance ?? 0.05));
}

const iouArgs = z.object({ prediction: z.unknown().optional(), reference: z.unknown().optional(), threshold });

/** Intersection over union of two boxes [x1, y1, x2, y2], or 1 from `threshold` on; anything that is no box gives 0. */
export function iouReward(args: z.input<typeof iouArgs>): number {
  const { prediction, reference, threshold } = functionArgs(iouArgs, args);
  const overlap = intersectionOverUnion(prediction, reference);
  return threshold === null ? overlap : one(overlap >= threshold);
}

const bmasArgs = z.object({ prediction: numberRows, reference: numberRows, direction });

/**
 * Bidirectional maximum average similarity of response and reference tokens by their embeddings (n × d and m × d), −1 to 1.
 * @throws InputError when widths differ.
 */
export function bmas(args: z.input<typeof bmasArgs>): number {
  const { prediction, reference, direction } = functionArgs(bmasArgs, args);
  const rows = [
    ...prediction.map((row, i) => [`prediction.${i}`, row] as const),
    ...reference.map((row, j) => [`reference.${j}`, row] as const),
  ];
  if (rows.length > 0) for (const [name, row] of rows) sameLength({ [rows[0][0]]: rows[0][1], [name]: row });
  return averageBestMatch(prediction, reference, direction);
}

const formatArgs = z.object({ text: z.string() });

/** 1 if the whole text is `<think>…</think><answer>…</answer>`, white space allowed around and between. */
export function thinkAnswerFormat(args: z.input<typeof formatArgs>): number {
  return one(isThinkAnswer(functionArgs(formatArgs, args).text));
}

export const mixedR1 = defineMethod({
  id: "mixed-r1",
  title: "Mixed-R1: one GRPO over many reward types",
  summary:
    "Every sample carries a task type that selects one of four rule rewards (matching, chart, overlap of boxes, open-ended similarity of embeddings); a format reward is added and GRPO does the rest.",
  facts: {
    paper: {
      title: "Mixed-R1: Unified Reward Perspective For Reasoning Capability in Multimodal Large Language Models",
      arxiv: "2505.24164",
      date: "2025-05",
      repo: "xushilin1/mixed-r1",
    },
    headline: "With 45 thousand samples consistent gains for Qwen2.5-VL and InternVL; the mix beats any single reward.",
    granularity: "reward-function",
    methodology: ["verifier", "monte-carlo"],
    checked: "no official code could be read",
    reconstructed: [
      "normalisation of answers",
      "5 % tolerance of numbers",
      "continuous overlap",
      "the mean of both directions",
      "weight of the format reward",
      "sample spread and eps",
    ],
  },
  equations: [
    {
      text: "R = task reward + w format, A = (R − μ) / (σ + ε)",
      tex: "R_i = r^{task}_i + w\\,r^{format}_i,\\quad A_i = \\frac{R_i - \\mu}{\\sigma + \\varepsilon}",
    },
    {
      text: "BMAS = ½ (mean_i max_j cos(P_i, R_j) + mean_j max_i cos(P_i, R_j))",
      tex: "\\mathrm{BMAS} = \\tfrac{1}{2}\\bigl(\\operatorname{mean}_i \\max_j \\cos(P_i, R_j) + \\operatorname{mean}_j \\max_i \\cos(P_i, R_j)\\bigr)",
    },
  ],
  params,
  reads: ["rewards.task", "rewards.format?", "signals.task_type?", "group?", "tokens.mask?"],
  writes: ["rollout.reward", "rollout.advantage", "tokens.advantage"],
  scope: "group",
  functions: { matchingReward, chartReward, iouReward, bmas, thinkAnswerFormat },
  assign,
});
