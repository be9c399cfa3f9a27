import { z } from "zod";
import { tokenSpans } from "../../operators/broadcast.ts";
import { bits, wholeNumbers } from "../../operators/ranges.ts";
import { clearGaps, policyRuns } from "../../operators/runs.ts";
import { type Batch, type FloatArray, InputError, type NumericArray } from "../../rollouts/index.ts";
import { count, functionArgs } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { type Intervention, interventionIn, stepsOf, targetOf } from "./int-text.ts";

const params = z.object({
  min_successes: count.default(1).describe("solved continuations that an intervention needs to be kept; 0 = no filter"),
  clone_prefix: z
    .boolean()
    .default(true)
    .describe("train on the steps before the intervention too; false = on the intervention alone"),
});

const stepColumn = "signals.intervention_step";

/** 1-based step that the intervention of each rollout replaces; below 1 = none. */
function interventionSteps(batch: Batch): NumericArray {
  const steps = wholeNumbers(batch, stepColumn, { absent: 0, missing: 0 });
  const rows = batch.rows("step");
  const tokens = batch.rows("token");
  for (let i = 0; i < batch.size; i++) {
    if (steps[i] < 2) continue;
    const lacksSteps = rows.present !== null && rows.present[i] === 0;
    const needsEnds = tokens.present === null || tokens.present[i] === 1;
    if (lacksSteps || (needsEnds && !batch.hasIn("steps.end", i)))
      throw batch.missing("steps.end", i, "the steps say where the intervention stands");
  }
  return steps;
}

/** Role of every step: before, at or after the step that is replaced. */
function roles(batch: Batch, replaced: NumericArray): string[] {
  const offsets = batch.offsets("step");
  const out: string[] = new Array(batch.count("step")).fill("none");
  for (let i = 0; i < batch.size; i++) {
    if (replaced[i] < 1) continue;
    const error = offsets[i] + replaced[i] - 1;
    for (let row = offsets[i]; row < offsets[i + 1]; row++)
      out[row] = row < error ? "prefix" : row === error ? "error" : "suffix";
  }
  return out;
}

/**
 * Supervised weights of InT (arXiv 2601.14209): of a failed rollout with an intervention at step l that does not leak the
 * answer and from which enough continuations were solved, the policy tokens before step l have weight 1, the wrong step
 * and what follows 0. The tokens of the intervention itself, which always count, are not part of the rollout. An l beyond the
 * last step makes the whole attempt prefix.
 */
function assign(batch: Batch, p: z.output<typeof params>): Batch {
  const rewards = batch.numbers("rollout.reward");
  const replaced = interventionSteps(batch);
  const solved = batch.numbers("signals.guided_successes", { absent: 0, missing: 0 });
  const leak = bits(batch, "signals.answer_leak", { absent: 0, missing: 0 });
  const keep = Uint8Array.from(rewards, (reward, i) =>
    reward === 0 && replaced[i] >= 1 && leak[i] === 0 && solved[i] >= p.min_successes ? 1 : 0,
  );
  const columns = { "rollout.keep": keep, "steps.role": roles(batch, replaced) };
  if (!batch.hasLevel("token")) return batch.with(columns);
  const weight = batch.zeros("token");
  if (p.clone_prefix) clonePrefixes(batch, keep, replaced, weight);
  return batch.with({ ...columns, "tokens.weight": weight });
}

function clonePrefixes(batch: Batch, keep: Uint8Array, replaced: NumericArray, weight: FloatArray): void {
  const tokens = batch.offsets("token");
  const steps = batch.offsets("step");
  const { ends } = tokenSpans(batch, "step");
  for (let i = 0; i < batch.size; i++) {
    if (keep[i] === 0 || replaced[i] === 1) continue;
    const beyond = replaced[i] > steps[i + 1] - steps[i];
    weight.fill(1, tokens[i], beyond ? tokens[i + 1] : ends[steps[i] + replaced[i] - 2]);
  }
  clearGaps(weight, policyRuns(batch));
}

const textArgs = z.object({ text: z.string() });

/** An attempt with its steps (parts between blank lines) numbered `**Substep i:**`, from 1. */
export function numberSteps(args: z.input<typeof textArgs>): string {
  const { text } = functionArgs(textArgs, args);
  return stepsOf(text)
    .map((step, k) => `**Substep ${k + 1}:** ${step}`)
    .join("\n\n");
}

/** The intervention in the last `<intervention>` block of a reply; null without a block, a key or a number. */
export function parseIntervention(args: z.input<typeof textArgs>): Intervention | null {
  return interventionIn(functionArgs(textArgs, args).text);
}

const targetArgs = z.object({ attempt: z.string(), content: z.string(), location: z.int().min(1) });

/** Training text: the steps before `location`, then the content, whose line breaks are doubled to step breaks. */
export function buildInterventionTarget(args: z.input<typeof targetArgs>): string {
  const { attempt, ...intervention } = functionArgs(targetArgs, args);
  return targetOf(attempt, intervention);
}

const name = z.union([z.string(), z.number()]);
const selectArgs = z.object({
  rows: z.array(
    z.object({
      problem: name,
      attempt: name,
      answer: name,
      content: z.string(),
      /** Outcomes of the continuations; 1 = solved. */
      guided_scores: z.array(z.number()),
    }),
  ),
});

/**
 * Indices of the candidates to train on, in this order: drop those whose content holds the answer (as a plain substring),
 * keep the first of each attempt, keep it if a continuation was solved.
 */
export function selectInterventions(args: z.input<typeof selectArgs>): number[] {
  const { rows } = functionArgs(selectArgs, args);
  const seen = new Set<string>();
  return rows.flatMap(({ problem, attempt, answer, content, guided_scores }, k) => {
    if (content.includes(String(answer))) return [];
    const key = JSON.stringify([problem, attempt]);
    if (seen.has(key)) return [];
    seen.add(key);
    return guided_scores.includes(1) ? [k] : [];
  });
}

const logprobs = z.array(z.number().max(1e-6, "a log-probability of at most 0"));
const lossArgs = z.object({
  prefix_logprobs: logprobs,
  intervention_logprobs: logprobs,
  reduction: z.enum(["token_mean", "sum"]).default("token_mean"),
});

/** Supervised loss of prefix and intervention: −Σ log p over their number (`token_mean`), or the plain sum; no token: 0. */
export function interventionSftLoss(args: z.input<typeof lossArgs>): number {
  const { prefix_logprobs, intervention_logprobs, reduction } = functionArgs(lossArgs, args);
  const all = [...prefix_logprobs, ...intervention_logprobs];
  if (all.length === 0) return 0;
  const sum = all.reduce((a, b) => a + b, 0);
  return 0 - (reduction === "sum" ? sum : sum / all.length);
}

const passArgs = z.object({ n: count, c: count, k: z.int().min(1) });

/** Probability that k draws out of n attempts, c of them right, hold a right one: 1 − C(n − c, k) / C(n, k). */
export function passAtK(args: z.input<typeof passArgs>): number {
  const { n, c, k } = functionArgs(passArgs, args);
  if (c > n || k > n) throw new InputError("arguments c and k must not exceed n", { got: `n ${n}, c ${c}, k ${k}` });
  if (n - c < k) return 1;
  let none = 1;
  for (let j = n - c + 1; j <= n; j++) none *= 1 - k / j;
  return 1 - none;
}

export const int = defineMethod({
  id: "int",
  title: "InT: self-proposed interventions",
  summary:
    "For a failed rollout the model itself, shown a reference solution, names the first wrong step and writes a one-step correction; training on the untouched prefix plus that correction repairs exactly the faulty step.",
  facts: {
    paper: {
      title: "InT: Self-Proposed Interventions Enable Credit Assignment in LLM Reasoning",
      arxiv: "2601.14209",
      date: "2026-01",
      repo: "intervention-training/int",
    },
    headline:
      "Qwen3-4B-Instruct on IMO-AnswerBench: 25.6 with reinforcement learning on top, 23.5 without it, 11.7 base.",
    granularity: "step",
    methodology: ["judge", "self-supervised"],
    checked:
      "official string kernels: targets exact, parser equal on 5000 blocks except blanks in whitespace-only lines",
  },
  equations: [
    {
      text: "w_t = mask_t [kept and t < end of step l − 1]",
      tex: "w_t = m_t\\,\\mathbb{1}[t < \\mathrm{end}_{l-1}]",
    },
    {
      text: "loss = −Σ log π(prefix, intervention) / number of tokens",
      tex: "\\mathcal{L} = -\\frac{1}{n}\\sum_{t \\in \\text{prefix} \\cup \\text{intervention}} \\log\\pi(y_t|y_{<t})",
    },
  ],
  params,
  reads: [
    "rollout.reward",
    "signals.intervention_step",
    "signals.guided_successes",
    "signals.answer_leak?",
    "steps.end",
    "tokens.mask?",
  ],
  writes: ["rollout.keep", "steps.role", "tokens.weight"],
  scope: "rollout",
  functions: {
    numberSteps,
    parseIntervention,
    buildInterventionTarget,
    selectInterventions,
    interventionSftLoss,
    passAtK,
  },
  assign,
});
