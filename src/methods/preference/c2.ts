import { z } from "zod";
import { groupCredit, sumOfSomeChannels } from "../../operators/group-credit.ts";
import { preferenceLoss } from "../../operators/preference.ts";
import type { Batch } from "../../rollouts/index.ts";
import { functionArgs, numberList, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { positiveEps } from "../parameters.ts";
import { answerOf, isWellFormed, rubricLabelOf } from "./c2-verdict.ts";

const usual = { preference: 0.6, rubric: 0.3, format: 0.1 };
const weights = z
  .record(z.string(), z.number())
  .default(usual)
  .describe("factor of each reward channel; preference, rubric and format keep theirs where they are not named");
const beta = z.number().positive().default(0.1).describe("scale of c2GeneratorLoss; the credit does not use it");
const params = z.object({ weights, eps: positiveEps(1e-4), beta });

/**
 * Credit of C2's verifier training (arXiv 2604.13618): total = Σ_c w_c rewards.c, A = (total − mean) / (std + ε) inside the
 * group of verdicts about one task, sample spread; alone in a group 0. Given to every policy token.
 */
function assign(batch: Batch, p: z.output<typeof params>): Batch {
  const reward = sumOfSomeChannels(batch, { ...usual, ...p.weights });
  return batch.with({ "rollout.verifier_reward": reward, ...groupCredit(batch, reward, { ddof: 1, eps: p.eps }) });
}

/** A finite number, or one of the infinities that a missing letter gives. */
const margin = z.union([z.number(), z.literal([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])], "a number");
const letter = z.enum(["A", "B"]);
const letterLogprob = z.number().nullish();
const marginArgs = z.object({ preferred: letter, logprobs: z.object({ A: letterLogprob, B: letterLogprob }) });

/**
 * log p(preferred letter) − log p(other letter) at the judge's answer. A missing letter counts −∞, so that the margin may
 * be infinite; without either letter there is none (null).
 */
export function c2Margin(args: z.input<typeof marginArgs>): number | null {
  const { preferred, logprobs } = functionArgs(marginArgs, args);
  const own = logprobs[preferred] ?? Number.NEGATIVE_INFINITY;
  const other = logprobs[preferred === "A" ? "B" : "A"] ?? Number.NEGATIVE_INFINITY;
  return own === other && own === Number.NEGATIVE_INFINITY ? null : own - other;
}

const selectArgs = z.object({ baseMargin: margin.nullable(), margins: z.array(margin.nullable()) });

/**
 * The rubric that helps the judge most (largest margin, above 0 and above the margin without a rubric) and the one that
 * misleads it most (smallest, below both), as indices; ties go to the smallest index. Null unless there are both.
 */
export function c2SelectPair(args: z.input<typeof selectArgs>): { helpful: number; misleading: number } | null {
  const { baseMargin, margins } = functionArgs(selectArgs, args);
  if (baseMargin === null) return null;
  let helpful = -1;
  let misleading = -1;
  let most = Math.max(0, baseMargin);
  let least = Math.min(0, baseMargin);
  margins.forEach((m, k) => {
    if (m === null) return;
    if (m > most) [helpful, most] = [k, m];
    if (m < least) [misleading, least] = [k, m];
  });
  return helpful < 0 || misleading < 0 ? null : { helpful, misleading };
}

const rewardArgs = z.object({
  text: z.string(),
  target: letter,
  rubricLabel: z.enum(["helpful", "misleading", ""]).nullable().default(null),
  weights,
});

/**
 * Rewards of one verdict: preference ±1 (the parsed answer is the target; no answer counts as wrong), rubric ±1 (the parsed
 * label is right; 0 in a task without a rubric), format ±1, and their weighted sum.
 */
export function c2VerifierReward(args: z.input<typeof rewardArgs>) {
  const { text, target, rubricLabel, weights } = functionArgs(rewardArgs, args);
  const factor = { ...usual, ...weights };
  const sign = (right: boolean) => (right ? 1 : -1);
  const isRubricTask = rubricLabel !== null && rubricLabel !== "";
  const preference = sign(answerOf(text) === target);
  const rubric = isRubricTask ? sign(rubricLabelOf(text) === rubricLabel) : 0;
  const format = sign(isWellFormed(text, isRubricTask));
  const reward = factor.preference * preference + factor.rubric * rubric + factor.format * format;
  return { preference, rubric, format, reward };
}

const verdict = z.union([
  z.string(),
  z.object({
    answer: z.string().nullish(),
    label: z.string().nullish(),
    rubric: z.string().nullish(),
  }),
  z.null(),
]);
type Verdict = z.output<typeof verdict>;
const inferArgs = z.object({ augmented: verdict, fallback: verdict.default(null) });

function parsedAnswer(given: Verdict): "A" | "B" | null {
  return answerOf((typeof given === "string" ? given : given?.answer) ?? "");
}

function parsedLabel(given: Verdict): string | null {
  if (typeof given === "string") return rubricLabelOf(given);
  return (given?.label ?? given?.rubric ?? "").trim().toLowerCase();
}

/**
 * Selective inference: the answer of the verdict that saw the rubric, if it calls the rubric helpful and answers; else that
 * of the rubric-free verdict (`fallback: true`; null if it has none).
 * @param args verdicts as texts with tags, or taken apart already as `{label, answer}`.
 */
export function c2Infer(args: z.input<typeof inferArgs>): { answer: "A" | "B" | null; fallback: boolean } {
  const { augmented, fallback } = functionArgs(inferArgs, args);
  const answer = parsedAnswer(augmented);
  if (answer !== null && parsedLabel(augmented) === "helpful") return { answer, fallback: false };
  return { answer: parsedAnswer(fallback), fallback: true };
}

const lossArgs = z.object({
  chosen: numberList,
  rejected: numberList,
  refChosen: numberList,
  refRejected: numberList,
  beta,
});

/**
 * DPO loss of the rubric generator on log-probabilities of whole rubrics (chosen = helpful, rejected = misleading), and the
 * share of pairs in the right order. No pairs: 0 and 0.
 */
export function c2GeneratorLoss(args: z.input<typeof lossArgs>): { loss: number; accuracy: number } {
  const { chosen, rejected, refChosen, refRejected, beta } = functionArgs(lossArgs, args);
  sameLength({ chosen, rejected, refChosen, refRejected });
  const margins = chosen.map((x, k) => beta * (x - refChosen[k] - (rejected[k] - refRejected[k])));
  const right = margins.filter((margin) => margin > 0).length;
  return { loss: preferenceLoss(margins).loss, accuracy: right / Math.max(margins.length, 1) };
}

export const c2 = defineMethod({
  id: "c2",
  title: "C2: rubric-augmented reward modelling from binary preferences",
  summary:
    "Rubrics that move a judge towards or away from the right answer are mined from plain preferences; they train a rubric generator by DPO and, by GRPO, a verifier that follows a rubric only when it finds it helpful.",
  facts: {
    paper: {
      title: "C2: Scalable Rubric-Augmented Reward Modeling from Binary Preferences",
      arxiv: "2604.13618",
      date: "2026-04",
      repo: "asahi-research/C2",
    },
    headline:
      "Up to 6.5 points on RM-Bench over reasoning reward models from the same preferences; 6.0 points more wins after DPO.",
    granularity: "rollout",
    methodology: ["reward-model", "judge", "preference"],
    checked: "official code (selection, parsers, the three rewards), 23000 random inputs without a difference",
  },
  equations: [
    {
      text: "m = log p(preferred letter) − log p(other letter)",
      tex: "m = \\log p(y_w) - \\log p(y_l)",
    },
    {
      text: "helpful: m_k > max(0, m_0), misleading: m_k < min(0, m_0)",
      tex: "m_k > \\max(0, m_0),\\quad m_k < \\min(0, m_0)",
    },
    {
      text: "R = 0.6 preference + 0.3 rubric + 0.1 format, A = (R − μ) / (σ + ε)",
      tex: "R = 0.6\\,r_p + 0.3\\,r_r + 0.1\\,r_f,\\quad A = \\frac{R - \\mu}{\\sigma + \\varepsilon}",
    },
  ],
  params,
  reads: ["rewards.preference", "rewards.rubric?", "rewards.format?", "group?", "tokens.mask?"],
  writes: ["rollout.verifier_reward", "rollout.advantage", "tokens.advantage"],
  scope: "group",
  functions: { c2Margin, c2SelectPair, c2VerifierReward, c2Infer, c2GeneratorLoss },
  infinite: ["c2Margin"],
  assign,
});
