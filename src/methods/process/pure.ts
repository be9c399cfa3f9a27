import { z } from "zod";
import { leaveOneOut } from "../../operators/baselines.ts";
import { rowsToTokens } from "../../operators/broadcast.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { reverseMinsInto, reverseSumsInto } from "../../operators/returns.ts";
import { gatherSlots, scatterAdd, type Units, unitsOf } from "../../operators/slots.ts";
import { whitenRuns } from "../../operators/whiten.ts";
import { type Batch, type ColumnValues, type FloatArray, InputError, type NumericArray } from "../../rollouts/index.ts";
import { functionArgs, numberList } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { openrlhfCredit } from "./pure-openrlhf.ts";

const params = z.object({
  variant: z.enum(["verl", "openrlhf"]).default("verl").describe("which of the two published rules"),
  credit: z
    .enum(["softmin", "strict", "sum"])
    .default("softmin")
    .describe("how a step's value is made of the step rewards still to come"),
  temperature: z.number().positive().default(0.1).describe("of the soft minimum; towards 0 only the worst step counts"),
  mode: z.enum(["PRM", "VR", "PRMVR"]).default("PRMVR").describe("step rewards, verifiable outcome, or both"),
  vr_coef: z.number().min(0).default(1).describe("weight of the verifiable outcome"),
  gamma: z.number().gt(0).max(1).default(1).describe("discount per token"),
  baseline: z
    .enum(["token", "step", "none"])
    .default("token")
    .describe("leave-one-out baseline of the process part; step exists in variant openrlhf only"),
  vr_baseline: z
    .enum(["joint", "rloo"])
    .default("joint")
    .describe("variant verl: one baseline for both parts (official), or one of its own for the outcome (paper)"),
  max_length: z
    .number()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      "limit of the response length, by which the baseline is spread; null = most policy tokens of a response of the call",
    ),
  whiten_advantage: z.boolean().default(true).describe("centre and scale over all policy tokens of the call"),
  prm_range: z
    .enum(["signed", "probability"])
    .default("signed")
    .describe("scale of steps.prm: -1 to 1, or a probability p that is read as 2p - 1"),
  eps: z
    .number()
    .positive()
    .default(1e-8)
    .describe("added to the variance of whitening (verl), or its floor (openrlhf)"),
});
export type PureParams = z.output<typeof params>;

/** r*_k = w_k r_k with w = softmax(−r / T) over the rows [from, to). */
function softminInto(reward: ArrayLike<number>, from: number, to: number, temperature: number, out: FloatArray): void {
  let least = Number.POSITIVE_INFINITY;
  for (let k = from; k < to; k++) if (reward[k] < least) least = reward[k];
  let total = 0;
  for (let k = from; k < to; k++) total += Math.exp((least - reward[k]) / temperature);
  for (let k = from; k < to; k++) out[k] = (Math.exp((least - reward[k]) / temperature) / total) * reward[k];
}

/** Scores of all steps on the signed scale; `null` where the outcome alone counts and not every step has a score. */
function stepScores(batch: Batch, p: PureParams): NumericArray | null {
  const complete = batch.has("steps.prm", "every") && batch.validity("steps.prm") === null;
  if (p.mode === "VR" && !complete) return null;
  const given = batch.numbers("steps.prm");
  if (p.prm_range === "signed") return given;
  const out = batch.zeros("step", given);
  for (let k = 0; k < out.length; k++) out[k] = 2 * given[k] - 1;
  return out;
}

/** Transformed step rewards r*; `strict` and `sum` take the scores as they are. */
function stepRewards(batch: Batch, scores: NumericArray, p: PureParams): FloatArray {
  const out = batch.zeros("step", scores);
  if (p.credit === "softmin") {
    const offsets = batch.offsets("step");
    for (let i = 0; i < batch.size; i++) softminInto(scores, offsets[i], offsets[i + 1], p.temperature, out);
  } else out.set(scores);
  return out;
}

/** V_k of all steps: the minimum of the step rewards from k on. */
function stepMinima(batch: Batch, reward: FloatArray): FloatArray {
  const out = batch.zeros("step", reward);
  reverseMinsInto({ offsets: batch.offsets("step"), rewards: reward }, out);
  return out;
}

/** Process return P of every unit: discounted sum of step rewards on their slots, or (`strict`) V of the unit's step. */
function processReturn(batch: Batch, units: Units, reward: FloatArray, p: PureParams): FloatArray {
  if (p.credit === "strict") {
    const minima = stepMinima(batch, reward);
    return units.level === "token" ? rowsToTokens(batch, "step", minima) : minima;
  }
  const out = batch.zeros(units.level);
  scatterAdd(units, reward, out);
  reverseSumsInto({ offsets: units.offsets, rewards: out, mask: units.mask, gap: "count", gamma: p.gamma }, out);
  return out;
}

/**
 * Rule of the authors' verl branch (arXiv 2504.15275): P + R − b on policy tokens, where R = vr_coef · outcome on
 * each of them and b_i = Σ_{j ≠ i} S_j / ((K − 1) N), S_j the sum of P + R (of P alone with `vr_baseline: rloo`, where the
 * outcome is compared with the other known outcomes of the group).
 */
function verlCredit(batch: Batch, units: Units, reward: FloatArray | null, p: PureParams): FloatArray {
  const pools = poolByGroup(batch, "rollout");
  const known = batch.validity("rollout.reward");
  const given = batch.numbers("rollout.reward", { absent: 0, missing: 0 });
  const outcome = Float64Array.from(given, (r) => (p.mode === "PRM" ? 0 : p.vr_coef * r));
  const joint = p.vr_baseline === "joint";
  const advantage =
    reward === null || p.mode === "VR" ? batch.zeros(units.level) : processReturn(batch, units, reward, p);
  const { offsets, starts, ends } = units.runs;
  const sums = new Float64Array(batch.size);
  let longest = 0;
  for (let i = 0; i < batch.size; i++) {
    let length = 0;
    for (let run = offsets[i]; run < offsets[i + 1]; run++) {
      for (let t = starts[run]; t < ends[run]; t++) sums[i] += advantage[t];
      length += ends[run] - starts[run];
    }
    if (joint) sums[i] += outcome[i] * length;
    longest = Math.max(longest, length);
  }
  const process = leaveOneOut(sums, pools, { singleton: "raw" }).baseline;
  const share = p.baseline === "none" ? 0 : 1 / (p.max_length ?? Math.max(longest, 1));
  const part = joint ? outcome : leaveOneOut(outcome, pools, { singleton: "raw", valid: known }).advantage;
  for (let i = 0; i < batch.size; i++) {
    const shift = part[i] - share * process[i];
    for (let run = offsets[i]; run < offsets[i + 1]; run++) {
      for (let t = starts[run]; t < ends[run]; t++) advantage[t] += shift;
    }
  }
  if (p.whiten_advantage) whitenRuns(advantage, units.runs, { eps: p.eps });
  return advantage;
}

/**
 * Min-form credit of process rewards (arXiv 2504.15275): step rewards are re-weighted by a softmax of their negatives, so
 * that their sum from a step on is close to the worst one still to come, and enter an otherwise ordinary leave-one-out
 * return together with the verifiable outcome. Without tokens every step counts as one token.
 */
function assign(batch: Batch, p: PureParams): Batch {
  if (p.variant === "verl" && p.baseline === "step") {
    throw new InputError("baseline step exists in variant openrlhf only", {
      expected: "token or none",
      hint: "set variant to openrlhf, or choose another baseline",
    });
  }
  const scores = stepScores(batch, p);
  const reward = scores === null ? null : stepRewards(batch, scores, p);
  const units = unitsOf(batch, "step");
  const columns: Record<string, ColumnValues> = {};
  if (reward !== null) columns["steps.reward"] = reward;
  if (p.variant === "openrlhf") {
    const used = p.mode === "VR" ? null : reward;
    const minima = used !== null && p.credit === "strict" ? stepMinima(batch, used) : null;
    const advantage = openrlhfCredit(batch, units, { reward: used, minima }, p);
    if (units.level === "token") columns["tokens.advantage"] = advantage;
    return batch.with(columns);
  }
  const advantage = verlCredit(batch, units, reward, p);
  const ofSteps = batch.zeros("step", advantage);
  gatherSlots(units, advantage, ofSteps);
  columns["steps.advantage"] = ofSteps;
  if (units.level === "token") columns["tokens.advantage"] = advantage;
  return batch.with(columns);
}

const transformArgs = z.object({ reward: numberList, temperature: params.shape.temperature });

/** Step rewards of one response, re-weighted: r*_k = r_k softmax(−r / T)_k. */
export function pureTransform(args: z.input<typeof transformArgs>): number[] {
  const { reward, temperature } = functionArgs(transformArgs, args);
  const out = new Float64Array(reward.length);
  softminInto(reward, 0, reward.length, temperature, out);
  return [...out];
}

const minFormArgs = z.object({ reward: numberList });

/** Value of each step of one response: V_k = min(r_k, …, r_n). */
export function minFormValue(args: z.input<typeof minFormArgs>): number[] {
  const rewards = Float64Array.from(functionArgs(minFormArgs, args).reward);
  reverseMinsInto({ offsets: Int32Array.of(0, rewards.length), rewards }, rewards);
  return [...rewards];
}

const pair = z.tuple([z.number(), z.number()]);
const logitArgs = z.object({ logits: z.union([pair, z.array(pair)]) });

/**
 * Step reward from the logits of a two-class process reward model, in the order (wrong, right) of the published model:
 * p_right − p_wrong = tanh((z_right − z_wrong) / 2). One pair gives a number, a list of pairs a list.
 */
export function purePrmReward(args: z.input<typeof logitArgs>): number | number[] {
  const { logits } = functionArgs(logitArgs, args);
  const one = ([wrong, right]: readonly [number, number]) => Math.tanh((right - wrong) / 2);
  return isPair(logits) ? one(logits) : logits.map(one);
}

function isPair(logits: [number, number] | [number, number][]): logits is [number, number] {
  return typeof logits[0] === "number";
}

export const pure = defineMethod({
  id: "pure",
  title: "PURE: min-form credit assignment for process rewards",
  summary:
    "Value a reasoning step by the soft minimum of the process rewards still to come instead of their sum, by re-weighting them before a leave-one-out return.",
  facts: {
    paper: {
      title: "Stop Summation: Min-Form Credit Assignment Is All Process Reward Model Needs for Reasoning",
      arxiv: "2504.15275",
      date: "2025-04",
      repo: "CJReinforce/PURE",
    },
    headline:
      "Qwen2.5-Math-7B with process rewards and 10 % verifiable ones reaches 53.3 on average over five benchmarks (base 39.5); the sum form collapses.",
    granularity: "step",
    methodology: ["reward-model", "verifier", "monte-carlo"],
    checked: "official code (transform, verl branch, OpenRLHF branch), max abs diff 9e-16",
    reconstructed: [
      "max_length null: most policy tokens of a response of the call",
      "openrlhf with credit strict: the minimum replaces the backward sum, and a response's worst step its total",
    ],
  },
  equations: [
    {
      text: "r*_k = r_k exp(−r_k / T) / Σ_j exp(−r_j / T)",
      tex: "r^*_k = \\frac{e^{-r_k/T}}{\\sum_j e^{-r_j/T}}\\, r_k",
    },
    { text: "P_t = Σ_{s ≥ t} γ^{s−t} r*_s", tex: "P_t = \\sum_{s \\ge t}\\gamma^{s-t} r^*_s" },
    {
      text: "A_it = P_it + R_it − Σ_{j ≠ i} S_j / ((K − 1) N), S_j = Σ_t (P_jt + R_jt)",
      tex: "A_{it} = P_{it} + R_{it} - \\frac{\\sum_{j \\ne i} S_j}{(K-1) N}",
    },
    {
      text: "A ← (A − mean) / sqrt(var + ε)",
      tex: "A \\leftarrow \\frac{A - \\operatorname{mean}}{\\sqrt{\\operatorname{var} + \\varepsilon}}",
    },
  ],
  params,
  presets: { paper: { vr_baseline: "rloo" }, official: {}, openrlhf: { variant: "openrlhf" } },
  reads: ["steps.prm if mode", "steps.end?", "rollout.reward?", "tokens.mask?", "group?"],
  writes: ["steps.reward", "steps.advantage", "tokens.advantage"],
  scope: (p) => {
    const wholeCall = p.whiten_advantage || (p.variant === "verl" && p.baseline !== "none" && p.max_length === null);
    return wholeCall ? "batch" : "group";
  },
  unscored: true,
  functions: { pureTransform, minFormValue, purePrmReward },
  assign,
});
