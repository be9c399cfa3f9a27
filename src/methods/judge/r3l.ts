import { z } from "zod";
import { poolMoments } from "../../operators/normalize.ts";
import type { Pools } from "../../operators/pools.ts";
import { wholeNumbers } from "../../operators/ranges.ts";
import { maskRuns, policyRuns, type Runs } from "../../operators/runs.ts";
import { logMeanExp } from "../../operators/scalars.ts";
import { type Batch, describe, type FloatArray, InputError, type NumericArray } from "../../rollouts/index.ts";
import { bit, count, functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { checkReflection, type Verdict } from "./r3l-reflection.ts";

const tau = z.number().positive().default(1).describe("temperature of logavgexp, and of the loss (divisor 1 + tau)");
const kl_coef = z
  .number()
  .min(0)
  .default(0.001)
  .describe("weight of the KL penalty in opmdLoss; the credit does not use it");

const params = z.object({
  alpha: z.number().min(1).default(3).describe("gain of positive advantages"),
  r_max: z.number().default(1).describe("reward from which a rollout is a full success"),
  max_advantage: z.number().positive().default(1).describe("advantage of a full success; in the paper it is alpha"),
  baseline_kind: z
    .enum(["mean", "logavgexp"])
    .default("mean")
    .describe("baseline of a group: mean of its rewards, or their soft maximum"),
  tau,
  pivotal_credit: z.boolean().default(true).describe("leave out the prefix that an attempt shares with its retry"),
  positive_amplification: z.boolean().default(true).describe("boost positive advantages"),
  kl_coef,
});
type Params = z.output<typeof params>;

const roles = ["base", "distill", "reflect", "retry"];

/** Pools of the baseline: the base and distilled rollouts of a group together, every other rollout alone. */
function explorePools(batch: Batch): Pools {
  const path = "signals.role";
  const cells = batch.has(path) ? batch.cells(path) : [];
  let alone = batch.groupCount;
  const of = Int32Array.from(batch.groupOf, (group, i) => {
    const role = cells[i] ?? "base";
    if (typeof role !== "string" || !roles.includes(role))
      throw batch.wrongValue(path, i, roles.join(", "), describe(cells[i]));
    return role === "base" || role === "distill" ? group : alone++;
  });
  return { of, count: alone };
}

/** Baseline of every pool: 0 for one rollout, else the mean, or τ log mean exp(R/τ). */
function baselines(rewards: NumericArray, pools: Pools, p: Params): Float64Array {
  const { count: sizes, mean, min, max } = poolMoments(rewards, pools);
  const base = mean.map((m, pool) => (sizes[pool] === 1 ? 0 : m));
  if (p.baseline_kind === "mean") return base;
  const scaled: number[][] = Array.from({ length: pools.count }, () => []);
  pools.of.forEach((pool, i) => {
    scaled[pool].push(rewards[i] / p.tau);
  });
  return base.map((b, pool) => (sizes[pool] < 2 || min[pool] === max[pool] ? b : p.tau * logMeanExp(scaled[pool])));
}

/** The token from which on a rollout is trained: behind its first `pivot` turns, or runs of policy tokens. */
function trainedFrom(pivot: number, ends: ArrayLike<number> | null, runs: Runs, chain: number, stop: number): number {
  if (ends !== null) return pivot >= ends.length ? stop : ends[pivot - 1];
  const run = runs.offsets[chain] + pivot;
  return run >= runs.offsets[chain + 1] ? stop : runs.starts[run];
}

/** Weight of every token: 1 on policy tokens behind the shared prefix. */
function pivotWeights(batch: Batch, pivots: NumericArray): FloatArray {
  const weight = batch.zeros("token");
  const runs = policyRuns(batch);
  const tokens = batch.offsets("token");
  const turns = batch.offsets("turn");
  const ends = batch.numbers("turns.end", { absent: 0 });
  for (let i = 0; i < batch.size; i++) {
    let from = tokens[i];
    if (pivots[i] > 0) {
      const own = batch.hasIn("turns.end", i)
        ? ends.subarray(turns[i], turns[i + 1]).map((end) => end + tokens[i])
        : null;
      from = trainedFrom(pivots[i], own, runs, i, tokens[i + 1]);
    }
    for (let run = runs.offsets[i]; run < runs.offsets[i + 1]; run++)
      weight.fill(1, Math.max(runs.starts[run], from), Math.max(runs.ends[run], from));
  }
  return weight;
}

/**
 * Credit of R³L (arXiv 2601.03715): A = R − b, with b the mean (or soft maximum) of the base and distilled rollouts of the
 * group, 0 for a rollout without company and for reflections and retries. A full success gets max_advantage, any other
 * A ≥ 0 is multiplied by alpha. Tokens of the first `signals.pivot` turns, shared with another attempt, have weight 0.
 */
function assign(batch: Batch, p: Params): Batch {
  const rewards = batch.numbers("rollout.reward");
  const pools = explorePools(batch);
  const pivots = wholeNumbers(batch, "signals.pivot", { absent: 0, missing: 0 });
  const negative = pivots.findIndex((pivot) => pivot < 0);
  if (negative >= 0) throw batch.wrongValue("signals.pivot", negative, "0 or more turns", `${pivots[negative]}`);
  const base = baselines(rewards, pools, p);
  const advantage = Float64Array.from(rewards, (reward, i) => {
    const a = reward - base[pools.of[i]];
    if (!p.positive_amplification || (a < 0 && reward < p.r_max)) return a;
    return reward >= p.r_max ? p.max_advantage : p.alpha * a;
  });
  if (!batch.hasLevel("token")) return batch.with({ "rollout.advantage": advantage });
  const weight = pivotWeights(batch, p.pivotal_credit ? pivots : new Int32Array(batch.size));
  const credit = batch.zeros("token");
  const tokens = batch.offsets("token");
  for (let i = 0; i < batch.size; i++) {
    for (let t = tokens[i]; t < tokens[i + 1]; t++) if (weight[t] === 1) credit[t] = advantage[i];
  }
  return batch.with({ "rollout.advantage": advantage, "tokens.advantage": credit, "tokens.weight": weight });
}

function warnings(batch: Batch, p: Params): string[] {
  if (!p.positive_amplification) return [];
  const rewards = batch.numbers("rollout.reward");
  const advantage = batch.numbers("rollout.advantage");
  const overtaken = rewards.findIndex((reward, i) => reward < p.r_max && advantage[i] > p.max_advantage);
  if (overtaken < 0 || !rewards.some((reward) => reward >= p.r_max)) return [];
  return [
    `a partial success (rollout ${JSON.stringify(batch.ids[overtaken])}) has a larger advantage than a full one; max_advantage = alpha, as in the paper, keeps the order`,
  ];
}

const maskArgs = z.object({
  mask: z.array(bit),
  pivot: z.int(),
  /** Exclusive token offsets of the turns; without them a run of mask 1 is a turn. */
  end: z.array(count).nullable().default(null),
});

/** A policy mask without its first `pivot` turns; a pivot of 0 or less changes nothing. */
export function pivotMask(args: z.input<typeof maskArgs>): number[] {
  const { mask, pivot, end } = functionArgs(maskArgs, args);
  if (pivot <= 0) return mask;
  const runs = maskRuns(Int32Array.of(0, mask.length), Uint8Array.from(mask));
  const from = trainedFrom(pivot, end, runs, 0, mask.length);
  return mask.map((m, t) => (t < from ? 0 : m));
}

const lists = z.union([numberList, numberRows], "a list of numbers, or one list per rollout");
const lossArgs = z.object({
  logprob: lists,
  /** One number per token, or one per rollout where `logprob` has a list per rollout. */
  advantages: lists,
  mask: lists,
  tau,
  ref_logprob: lists.nullable().default(null),
  kl_coef,
});

const rowsOf = (values: z.output<typeof lists>): readonly (readonly number[])[] =>
  values.length > 0 && typeof values[0] === "number" ? [values as number[]] : (values as number[][]);

/**
 * Loss of R³L: Σ(−A log π w) / (Σ w + 1e-8) / (1 + τ), plus, given a reference, kl_coef · Σ(½ (log π − log π_ref)² w) /
 * (Σ w + 1e-8); sums over all tokens of the batch, w the mask. No importance ratio and no clipping.
 */
export function opmdLoss(args: z.input<typeof lossArgs>): number {
  const { tau, kl_coef, ...given } = functionArgs(lossArgs, args);
  const logprob = rowsOf(given.logprob);
  const mask = rowsOf(given.mask);
  const reference = given.ref_logprob === null ? null : rowsOf(given.ref_logprob);
  const perRollout = logprob !== given.logprob ? false : typeof given.advantages[0] === "number";
  const advantages = perRollout
    ? logprob.map((row, i) => row.map(() => (given.advantages as number[])[i]))
    : rowsOf(given.advantages);
  sameLength({
    logprob,
    advantages: perRollout ? given.advantages : advantages,
    mask,
    ref_logprob: reference ?? logprob,
  });
  let policy = 0;
  let penalty = 0;
  let total = 0;
  logprob.forEach((row, i) => {
    sameLength({ logprob: row, advantages: advantages[i], mask: mask[i], ref_logprob: reference?.[i] ?? row });
    row.forEach((x, t) => {
      const w = mask[i][t];
      policy -= advantages[i][t] * x * w;
      if (reference !== null) penalty += 0.5 * (x - reference[i][t]) ** 2 * w;
      total += w;
    });
  });
  return policy / (total + 1e-8) / (1 + tau) + (kl_coef * penalty) / (total + 1e-8);
}

const reflectionArgs = z.object({ report: z.unknown(), total_steps: count });

/** Whether a reflection can be used: `perfect` when it reports a plain success, `pivot` the step to retry from. */
export function validateReflection(args: z.input<typeof reflectionArgs>): Verdict {
  const { report, total_steps } = functionArgs(reflectionArgs, args);
  if (report === undefined) throw new InputError("argument report not valid", { got: "nothing" });
  return checkReflection(report, total_steps);
}

export const r3l = defineMethod({
  id: "r3l",
  title: "R³L: reflect, then retry from the pivot",
  summary:
    "The policy criticises its own failed run and restarts it where it went wrong; only what comes after that step is trained, and positive advantages are boosted so that rare successes outweigh many failures.",
  facts: {
    paper: {
      title:
        "R^3L: Reflect-then-Retry Reinforcement Learning with Language-Guided Exploration, Pivotal Credit, and Positive Amplification",
      arxiv: "2601.03715",
      date: "2026-01",
      repo: "shiweijiezero/R3L",
    },
    headline: "ALFWorld 0.928 against 0.720 for GRPO, WebShop 0.663 against 0.614, GSM8K 0.721 against 0.474.",
    granularity: "turn",
    methodology: ["judge", "monte-carlo", "shaping"],
    checked: "official code (advantage, mask, loss, reflection check), max abs diff 8.6e-8",
  },
  equations: [
    {
      text: "A = R − b; A' = A_max if R ≥ R_max, else α A if A ≥ 0, else A",
      tex: "A' = A_{\\max}\\;(R \\ge R_{\\max}),\\quad \\alpha A\\;(A \\ge 0),\\quad A\\;\\text{else}",
    },
    {
      text: "loss = Σ(−A' log π w) / Σ w / (1 + τ) + c Σ(½ (log π − log π_ref)² w) / Σ w",
      tex: "\\mathcal{L} = \\frac{-\\sum A' \\log\\pi\\,w}{(1+\\tau)\\sum w} + c\\,\\frac{\\sum \\tfrac12(\\log\\pi-\\log\\pi_{\\mathrm{ref}})^2 w}{\\sum w}",
    },
  ],
  params,
  presets: { paper: { max_advantage: 3 }, official: { max_advantage: 1 } },
  reads: ["rollout.reward", "signals.role?", "signals.pivot?", "turns.end?", "tokens.mask?", "group?"],
  writes: ["rollout.advantage", "tokens.weight", "tokens.advantage"],
  scope: "group",
  functions: { pivotMask, opmdLoss, validateReflection },
  warnings,
  assign,
});
