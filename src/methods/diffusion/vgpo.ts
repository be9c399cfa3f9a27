import { z } from "zod";
import { normalizePools } from "../../operators/normalize.ts";
import { poolByIndex } from "../../operators/pools.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { rowAdvantageColumns } from "../../operators/row-credit.ts";
import type { Batch } from "../../rollouts/index.ts";
import { functionArgs, numberList, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps, unitInterval } from "../parameters.ts";

const params = z.object({
  gamma: unitInterval(0.9, "discount over the remaining steps"),
  k: z.number().min(0).default(0.1).describe("strength of the absolute term"),
  alpha_steps: z
    .int()
    .min(0)
    .nullable()
    .default(5)
    .describe("first steps that get the absolute term; null = all of them"),
  eps: positiveEps(1e-4),
  ddof: ddof(0),
  adv_clip: z.number().positive().nullable().default(5).describe("advantages are cut to this size; null = never"),
  omega_eps: z.number().positive().default(1e-8).describe("mean value of a rollout up to which steps weigh 1"),
  timestep_weight: z.boolean().default(true).describe("weigh steps by their share of the rollout's value"),
});
type Params = z.output<typeof params>;

/** ω_k = Q_k over its mean in the rollout, never below 0; 1 where that mean is not positive. */
function stepWeights(offsets: Int32Array, values: Float64Array, leastMean: number): Float64Array {
  const weight = new Float64Array(values.length).fill(1);
  for (let i = 0; i + 1 < offsets.length; i++) {
    let sum = 0;
    for (let row = offsets[i]; row < offsets[i + 1]; row++) sum += values[row];
    const mean = sum / (offsets[i + 1] - offsets[i]);
    if (!(mean > leastMean)) continue;
    for (let row = offsets[i]; row < offsets[i + 1]; row++) weight[row] = Math.max(0, values[row] / mean);
  }
  return weight;
}

/**
 * VGPO (arXiv 2512.12387 eqs. 9 to 13): Q_k = Σ_{j ≥ k} γ^(j−k) R_j from the instant rewards of one-step projections,
 * A_rel = (Q_k − μ_k) / (s_k + ε) over the group's rollouts that have step k, A_abs = k Q_k in the first steps,
 * A_k = clip(ω_k (A_rel + A_abs)), ω_k = Q_k / mean_j Q_j. The absolute term stays when all samples are worth the same.
 */
function assign(batch: Batch, p: Params): Batch {
  const rewards = batch.numbers("steps.reward");
  const offsets = batch.offsets("step");
  const value = new Float64Array(rewards.length);
  reverseSumsInto({ offsets, rewards, gamma: p.gamma }, value);
  const weight = stepWeights(offsets, value, p.omega_eps);
  const relative = normalizePools(value, poolByIndex(batch, "step"), { ddof: p.ddof, eps: p.eps });
  const absolute = new Float64Array(value.length);
  const advantage = new Float64Array(value.length);
  const limit = p.adv_clip ?? Number.POSITIVE_INFINITY;
  const steps = p.alpha_steps ?? Number.POSITIVE_INFINITY;
  for (let i = 0; i < batch.size; i++) {
    for (let row = offsets[i]; row < offsets[i + 1]; row++) {
      if (row - offsets[i] < steps) absolute[row] = p.k * value[row];
      const credit = (p.timestep_weight ? weight[row] : 1) * (relative[row] + absolute[row]);
      advantage[row] = Math.min(Math.max(credit, -limit), limit);
    }
  }
  const placed = batch.hasLevel("token") && batch.has("steps.end");
  return batch.with({
    "steps.value": value,
    "steps.weight": weight,
    "steps.advantage_relative": relative,
    "steps.advantage_absolute": absolute,
    ...(placed ? rowAdvantageColumns(batch, "step", advantage) : { "steps.advantage": advantage }),
  });
}

const projectionArgs = z.object({ x: numberList, v: numberList, sigma: z.number().min(0) });

/** Clean sample that a straight flow would reach from x: x − σ v (one Euler step over all remaining time). */
export function oneStepProjection(args: z.input<typeof projectionArgs>): number[] {
  const { x, v, sigma } = functionArgs(projectionArgs, args);
  sameLength({ x, v });
  return x.map((value, k) => value - sigma * v[k]);
}

export const vgpo = defineMethod({
  id: "vgpo",
  title: "VGPO: values anchored in time and group for flow matching",
  summary:
    "Score the one-step projection of every denoising state, turn those instant rewards into discounted values per step, and mix a relative with an absolute group advantage so that the signal survives when all samples get the same reward.",
  facts: {
    paper: {
      title: "Anchoring Values in Temporal and Group Dimensions for Flow Matching Model Alignment",
      arxiv: "2512.12387",
      date: "2025-12",
      repo: null,
    },
    headline: "SD3.5-M with KL: GenEval 0.95 to 0.96, OCR 0.92 to 0.94, PickScore 23.31 to 23.41 over Flow-GRPO.",
    granularity: "step",
    methodology: ["monte-carlo", "flow"],
    checked: "no official code is public",
    reconstructed: [
      "spread, eps and clip (from Flow-GRPO), gamma and k",
      "weight 1 where the mean value is not positive; negative weights are 0",
      "relative and absolute term are added, then weighted",
    ],
  },
  equations: [
    { text: "Q_k = Σ_{j ≥ k} γ^(j−k) R_j", tex: "Q_k = \\sum_{j \\ge k} \\gamma^{j-k} R_j" },
    { text: "ω_k = Q_k / mean_j Q_j", tex: "\\omega_k = \\frac{Q_k}{\\operatorname{mean}_j Q_j}" },
    {
      text: "A_k = clip(ω_k ((Q_k − μ_k) / (s_k + ε) + k Q_k))",
      tex: "A_k = \\operatorname{clip}\\Big(\\omega_k \\Big(\\frac{Q_k - \\mu_k}{s_k + \\varepsilon} + k\\,Q_k\\Big)\\Big)",
    },
  ],
  params,
  reads: ["steps.reward", "group?", "steps.end?", "tokens.mask?"],
  writes: [
    "steps.value",
    "steps.weight",
    "steps.advantage_relative",
    "steps.advantage_absolute",
    "steps.advantage",
    "tokens.advantage",
  ],
  scope: "group",
  functions: { oneStepProjection },
  assign,
});
