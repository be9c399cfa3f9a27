import { z } from "zod";
import { groupCredit } from "../../operators/group-credit.ts";
import { bits } from "../../operators/ranges.ts";
import { sigmoid } from "../../operators/scalars.ts";
import { equalEnds } from "../../operators/segmentation.ts";
import { type Batch, InputError, type NumericArray } from "../../rollouts/index.ts";
import { bit, count, functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { positiveEps } from "../parameters.ts";

const steepness = z.number().min(0).default(1).describe("steepness with which later steps weigh more; 0 = all alike");

const params = z.object({
  weight_k: steepness,
  integration: z
    .enum(["hierarchical", "sum"])
    .default("hierarchical")
    .describe("the process reward decides only where no rollout of the group succeeded, or is added to the outcome"),
  process_coef: z.number().default(1).describe("weight of the process reward in integration sum"),
  format_penalty: z.number().default(-1).describe("reward of a badly formatted rollout"),
  eps: positiveEps(1e-6),
});
type Params = z.output<typeof params>;
type Source = "format" | "outcome" | "process" | "sum";

/** w_i = σ(k (i − (m + 1)/2)) / Σ_j, i = 1 … m, into rows [from, to). */
function weightsInto(from: number, to: number, k: number, out: Float64Array): void {
  const middle = (to - from + 1) / 2;
  let total = 0;
  for (let row = from; row < to; row++) {
    out[row] = sigmoid(k * (row - from + 1 - middle));
    total += out[row];
  }
  for (let row = from; row < to; row++) out[row] /= total;
}

/** What decides the reward of each rollout. */
function sourcesOf(batch: Batch, outcome: NumericArray, integration: Params["integration"]): Source[] {
  const wellFormed = bits(batch, "signals.format_ok", { absent: 1 });
  const solved = new Uint8Array(batch.groupCount);
  for (let i = 0; i < batch.size; i++) if (wellFormed[i] === 1 && outcome[i] > 0) solved[batch.groupOf[i]] = 1;
  return Array.from(batch.groupOf, (group, i) => {
    if (wellFormed[i] === 0) return "format";
    if (integration === "sum") return "sum";
    return solved[group] === 1 ? "outcome" : "process";
  });
}

/** Path faithfulness rewards of all steps; a rollout whose reward does not use them may lack them or hold null. */
function faithfulness(batch: Batch, sources: readonly Source[]): NumericArray {
  const path = "steps.pfr";
  const values = batch.numbers(path, { absent: 0, missing: 0 });
  const valid = batch.validity(path);
  const offsets = batch.offsets("step");
  const isUsed = (source: Source) => source === "process" || source === "sum";
  if (!batch.has(path) && sources.some(isUsed)) throw batch.missing(path, sources.findIndex(isUsed));
  for (let i = 0; i < batch.size; i++) {
    if (!isUsed(sources[i]) || offsets[i + 1] === offsets[i]) continue;
    if (!batch.hasIn(path, i)) throw batch.missing(path, i);
    const gap = valid === null ? -1 : valid.subarray(offsets[i], offsets[i + 1]).indexOf(0);
    if (gap >= 0) throw batch.wrongValue(path, offsets[i] + gap, "a number", "null");
  }
  return values;
}

/**
 * Credit of P2S (arXiv 2601.20649): the process reward of a rollout is Σ_i w_i r_i, r_i = how much step i raises the
 * probability of finishing a reference chain (the log-probability of the answer for the last step) and w a rising sigmoid.
 * A badly formatted rollout gets the penalty; where some rollout of the group succeeded, outcomes decide, else process
 * rewards. The result is normalised in the group and given to every policy token.
 */
function assign(batch: Batch, p: Params): Batch {
  const outcome = batch.numbers("rollout.reward");
  const sources = sourcesOf(batch, outcome, p.integration);
  const faithful = faithfulness(batch, sources);
  const offsets = batch.offsets("step");
  const weight = new Float64Array(batch.count("step"));
  const process = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    weightsInto(offsets[i], offsets[i + 1], p.weight_k, weight);
    for (let row = offsets[i]; row < offsets[i + 1]; row++) process[i] += weight[row] * faithful[row];
  }
  const reward = process.map((r, i) => {
    if (sources[i] === "format") return p.format_penalty;
    if (sources[i] === "sum") return outcome[i] + p.process_coef * r;
    return sources[i] === "outcome" ? outcome[i] : r;
  });
  return batch.with({
    "steps.weight": weight,
    "rollout.process_reward": process,
    "rollout.reward_source": sources,
    "rollout.reward": reward,
    ...groupCredit(batch, reward, { ddof: 1, eps: p.eps }),
  });
}

function warnings(batch: Batch, p: Params): string[] {
  const sources = batch.strings("rollout.reward_source");
  const reward = batch.numbers("rollout.reward");
  const below = sources.findIndex((source, i) => {
    return source === "process" && reward[i] < p.format_penalty && hasFormatFailure(batch, sources, i);
  });
  if (below < 0) return [];
  return [
    `the process reward of rollout ${JSON.stringify(batch.ids[below])} is below format_penalty, so its group favours bad format`,
  ];
}

function hasFormatFailure(batch: Batch, sources: readonly (string | null)[], i: number): boolean {
  return sources.some((source, j) => source === "format" && batch.groupOf[j] === batch.groupOf[i]);
}

const equalArgs = z.object({ n: count, max_steps: z.int().min(1).default(10) });

/** Exclusive ends of at most `max_steps` steps of equal length ⌈n / max_steps⌉ over n tokens. */
export function equalSteps(args: z.input<typeof equalArgs>): number[] {
  const { n, max_steps } = functionArgs(equalArgs, args);
  return equalEnds(n, max_steps);
}

const goldArgs = z.object({ answer_logprob: numberList, format_ok: z.array(bit).optional() });

/** Index of the well-formed chain under which the answer is most likely, the first on ties; −1 when none is well-formed. */
export function selectGoldCot(args: z.input<typeof goldArgs>): number {
  const { answer_logprob, format_ok } = functionArgs(goldArgs, args);
  sameLength({ answer_logprob, format_ok: format_ok ?? answer_logprob });
  let best = -1;
  answer_logprob.forEach((logprob, k) => {
    if (format_ok?.[k] !== 0 && (best < 0 || logprob > answer_logprob[best])) best = k;
  });
  return best;
}

const weightArgs = z.object({ m: count, k: steepness });

/** Weights of m steps, rising with steepness k, summing to 1. */
export function stepWeights(args: z.input<typeof weightArgs>): number[] {
  const { m, k } = functionArgs(weightArgs, args);
  const out = new Float64Array(m);
  weightsInto(0, m, k, out);
  return [...out];
}

const rewardArgs = z.object({
  /** Row i, column t: log-probability of the reference chain from its segment t on, after the first i + 1 steps. */
  suffix_logprob: numberRows,
  /** The same with those steps masked. */
  masked_logprob: numberRows,
  /** Log-probability of the reference answer after all steps. */
  answer_logprob: z.number(),
});

/**
 * Rewards of the m steps of a rollout: r_i = max_t (suffix − masked) for the first m − 1, the answer's log-probability for
 * the last. `best_suffix` is the t of each maximum, the smallest on ties.
 */
export function pathFaithfulnessReward(args: z.input<typeof rewardArgs>): { reward: number[]; best_suffix: number[] } {
  const { suffix_logprob, masked_logprob, answer_logprob } = functionArgs(rewardArgs, args);
  sameLength({ suffix_logprob, masked_logprob });
  const reward: number[] = [];
  const best_suffix: number[] = [];
  suffix_logprob.forEach((row, i) => {
    sameLength({
      "suffix_logprob.0": suffix_logprob[0],
      [`suffix_logprob.${i}`]: row,
      [`masked_logprob.${i}`]: masked_logprob[i],
    });
    if (row.length === 0)
      throw new InputError("argument suffix_logprob has no columns", { expected: "at least one suffix" });
    const gains = row.map((x, t) => x - masked_logprob[i][t]);
    const best = gains.reduce((most, gain, t) => (gain > gains[most] ? t : most), 0);
    reward.push(gains[best]);
    best_suffix.push(best);
  });
  return { reward: [...reward, answer_logprob], best_suffix };
}

export const p2s = defineMethod({
  id: "p2s",
  title: "P2S: probabilistic process supervision",
  summary:
    "Each reasoning step is paid by how much it raises the policy's own probability of finishing a self-made reference chain; that dense reward takes over exactly when no rollout of the group succeeded.",
  facts: {
    paper: {
      title: "P2S: Probabilistic Process Supervision for General-Domain Reasoning Question Answering",
      arxiv: "2601.20649",
      date: "2026-01",
      repo: null,
    },
    headline:
      "Qwen2.5-1.5B-Instruct: 70.7 on DROP (2.3 above the best baseline) and 24.3 on medical questions (1.3 above).",
    granularity: "rollout",
    methodology: ["information", "self-supervised", "monte-carlo"],
    checked: "no official code exists",
    reconstructed: [
      "sums of log-probabilities over suffix tokens",
      "centring of the step weights",
      "segment length",
      "eps",
    ],
  },
  equations: [
    {
      text: "r_i = max_t [log π(s_t | q, p_i) − log π(s_t | q, mask(p_i))], r_m = log π(y* | q, z)",
      tex: "r_i = \\max_t \\log\\frac{\\pi(s_t|q,p_i)}{\\pi(s_t|q,\\mathrm{mask}(p_i))},\\quad r_m = \\log\\pi(y^*|q,z)",
    },
    {
      text: "w_i = σ(k (i − (m + 1)/2)) / Σ_j σ(k (j − (m + 1)/2))",
      tex: "w_i = \\frac{\\sigma(k(i - \\frac{m+1}{2}))}{\\sum_j \\sigma(k(j - \\frac{m+1}{2}))}",
    },
    { text: "process reward = Σ_i w_i r_i", tex: "R^{\\mathrm{proc}} = \\sum_i w_i r_i" },
  ],
  params,
  reads: ["rollout.reward", "steps.pfr", "steps.end?", "signals.format_ok?", "tokens.mask?", "group?"],
  writes: [
    "steps.weight",
    "rollout.process_reward",
    "rollout.reward_source",
    "rollout.reward",
    "rollout.advantage",
    "tokens.advantage",
  ],
  scope: "group",
  functions: { equalSteps, selectGoldCot, stepWeights, pathFaithfulnessReward },
  warnings,
  assign,
});
