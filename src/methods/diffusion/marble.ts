import { z } from "zod";
import { normalizePools } from "../../operators/normalize.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { type Batch, type ColumnValues, InputError } from "../../rollouts/index.ts";
import { functionArgs, numberList, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";
import { minNormWeights } from "./min-norm.ts";

const weightsByName = z.record(z.string(), z.number().min(0));
const advClip = z.number().positive().default(5);

const params = z.object({
  alphas: weightsByName.nullable().default(null).describe("weight of each channel; null = all alike"),
  channels: z.array(z.string()).nullable().default(null).describe("channels in order; null = all there are, sorted"),
  eps: positiveEps(1e-4),
  ddof: ddof(0),
  adv_clip: advClip.describe("size of an advantage at which the optimality is 0 or 1"),
});
type Params = z.output<typeof params>;

function channelsOf(batch: Batch, p: Params): string[] {
  const there = batch.paths.filter((path) => path.startsWith("rewards.")).map((path) => path.slice("rewards.".length));
  const channels = p.channels ?? there.sort();
  const unknown = Object.keys(p.alphas ?? {}).find((name) => !channels.includes(name));
  if (unknown !== undefined && batch.size > 0) {
    const expected = `one of ${channels.join(", ")}`;
    throw new InputError(`alphas names an unknown channel ${unknown}`, { column: `rewards.${unknown}`, expected });
  }
  return channels;
}

/** r = clip(A, −c, c) / (2c) + ½: 0 = as bad, 1 = as good as it gets. */
const optimality = (advantage: number, clip: number) => Math.min(Math.max(advantage / (2 * clip) + 0.5, 0), 1);

/**
 * MARBLE (arXiv 2605.06507): one group-relative advantage per reward channel, A_k = (R_k − μ) / (σ + ε) over the group's
 * rollouts to which the channel applies (not null), combined as A = Σ_k α_k A_k with the weights that the min-norm problem
 * over the channels' gradients gives (`balanceRewardGradients`, averaged over updates by `emaAlphas`).
 */
function assign(batch: Batch, p: Params): Batch {
  const channels = channelsOf(batch, p);
  if (batch.size > 0 && !channels.some((name) => batch.has(`rewards.${name}`))) throw batch.missing("rewards.*", 0);
  const total = new Float64Array(batch.size);
  const columns: Record<string, ColumnValues> = {};
  for (const name of channels) {
    const rewards = batch.numbers(`rewards.${name}`, { absent: 0, missing: 0 });
    const valid = batch.validity(`rewards.${name}`);
    const spec = { ddof: p.ddof, eps: p.eps, valid } as const;
    const advantage = normalizePools(rewards, poolByGroup(batch, "rollout"), spec);
    const alpha = p.alphas === null ? 1 / channels.length : (p.alphas[name] ?? 0);
    for (let i = 0; i < total.length; i++) total[i] += alpha * advantage[i];
    columns[`rollout.advantage_${name}`] = { values: advantage, valid };
  }
  return batch.with({
    ...columns,
    "rollout.advantage": total,
    "rollout.optimality": total.map((a) => optimality(a, p.adv_clip)),
  });
}

const balanceArgs = z.object({
  grads: z.array(z.array(z.number().nullable())),
  normalize: z.boolean().default(true),
  eps: z.number().positive().default(1e-12),
  weights: z.array(z.number().min(0)).optional(),
  alpha_floor: z.number().default(0),
});

/**
 * Common direction of K gradients: the shortest vector d in the convex hull of the (unit) gradients, times their mean norm.
 * Gradients with a null entry (not finite) or a norm up to `eps` are left out. With one left it is taken as it is; with
 * none the result is 0. No reward's first-order change along d is negative.
 */
export function balanceRewardGradients(args: z.input<typeof balanceArgs>) {
  const { grads, normalize, eps, weights, alpha_floor } = functionArgs(balanceArgs, args);
  sameLength(Object.fromEntries(grads.map((g, k) => [`grads[${k}]`, g])));
  if (weights !== undefined) sameLength({ grads, weights });
  const size = grads[0]?.length ?? 0;
  const finite = grads.map((g) => g.every((x) => x !== null));
  const rows = grads.map((g, k) => g.map((x) => (finite[k] && x !== null ? x : 0)));
  const raw_norms = rows.map((g) => Math.hypot(...g));
  const valid = raw_norms.flatMap((norm, k) => (finite[k] && norm > eps ? [k] : []));
  const alphas = new Array<number>(grads.length).fill(0);
  const nothing = new Array<number>(size).fill(0);
  if (valid.length === 0)
    return { combined: nothing, alphas, raw_norms, rescale_factor: 0, fallback_reason: "all_zero" };
  if (valid.length === 1) {
    const [only] = valid;
    alphas[only] = 1;
    const rescale_factor = raw_norms[only];
    return { combined: [...rows[only]], alphas, raw_norms, rescale_factor, fallback_reason: "single_valid" };
  }
  const units = valid.map((k) => {
    const factor = (weights?.[k] ?? 1) / (normalize ? Math.max(raw_norms[k], eps) : 1);
    return rows[k].map((x) => x * factor);
  });
  const n = units.length;
  const gram = Float64Array.from({ length: n * n }, (_, at) => {
    const [u, v] = [units[Math.floor(at / n)], units[at % n]];
    return u.reduce((sum, x, c) => sum + x * v[c], 0);
  });
  const solved = minNormWeights(gram, n, Math.max(alpha_floor, 0));
  const rescale_factor = normalize ? valid.reduce((sum, k) => sum + raw_norms[k], 0) / n : 1;
  const combined = nothing.map((_, c) => rescale_factor * units.reduce((sum, u, k) => sum + solved[k] * u[c], 0));
  valid.forEach((k, at) => {
    alphas[k] = solved[at];
  });
  return { combined, alphas, raw_norms, rescale_factor, fallback_reason: "none" };
}

const emaArgs = z.object({
  previous: weightsByName.nullable().default(null),
  next: weightsByName,
  rho: z.number().min(0).max(1).default(0.7),
});

/** Smoothed weights: ρ previous + (1 − ρ) next; without previous ones the next as they are. A name not there counts 0. */
export function emaAlphas(args: z.input<typeof emaArgs>): Record<string, number> {
  const { previous, next, rho } = functionArgs(emaArgs, args);
  if (previous === null || Object.keys(previous).length === 0) return { ...next };
  const names = [...new Set([...Object.keys(previous), ...Object.keys(next)])];
  return Object.fromEntries(names.map((name) => [name, rho * (previous[name] ?? 0) + (1 - rho) * (next[name] ?? 0)]));
}

const scheduleArgs = z.object({
  steps: z.int().min(0),
  every_n: z.int().min(1).default(10),
  warmup: z.int().min(0).default(1),
});

/** Which updates solve afresh: the first, those of the warm-up, and every n-th after the last solve. */
export function balanceSchedule(args: z.input<typeof scheduleArgs>): boolean[] {
  const { steps, every_n, warmup } = functionArgs(scheduleArgs, args);
  let last = -1;
  return Array.from({ length: steps }, (_, step) => {
    const full = last < 0 || step < warmup || step - last >= every_n;
    if (full) last = step;
    return full;
  });
}

const amortizedArgs = z.object({
  alphas: numberList,
  raw_norms: z.array(z.number().min(0)),
  rescale_factor: z.number().min(0),
  valid_fraction: z.array(z.number().min(0).max(1)),
  mode: z.enum(["alpha", "gradient"]).default("alpha"),
});

/**
 * Weights of the advantages on updates that reuse a solve: the smoothed α (`alpha`, released), or α × rescale / (norm ×
 * share of rollouts to which the channel applies) (`gradient`), which gives the combined gradient while the loss is affine.
 */
export function amortizedWeights(args: z.input<typeof amortizedArgs>): number[] {
  const { alphas, raw_norms, rescale_factor, valid_fraction, mode } = functionArgs(amortizedArgs, args);
  sameLength({ alphas, raw_norms, valid_fraction });
  if (mode === "alpha") return [...alphas];
  return alphas.map((alpha, k) => {
    const divisor = raw_norms[k] * valid_fraction[k];
    return divisor === 0 ? 0 : (alpha * rescale_factor) / divisor;
  });
}

const nftArgs = z.object({
  x0: numberList.min(1, "at least one coordinate"),
  xt: numberList,
  t: z.number().min(0).max(1),
  v: numberList,
  v_old: numberList,
  v_ref: numberList,
  advantage: z.number(),
  beta: z.number().positive().default(0.1),
  adv_clip_max: advClip,
  kl_coef: z.number().min(0).default(1e-4),
});

/**
 * Negative-aware fine-tuning loss of one sample: the squared errors of the clean samples that v⁺ = βv + (1−β)v_old and
 * v⁻ = (1+β)v_old − βv predict, each over its own mean absolute error, weighed by optimality r and 1 − r; plus the squared
 * distance to the reference velocity. Affine in the advantage inside the clip.
 */
export function nftLoss(args: z.input<typeof nftArgs>) {
  const { x0, xt, t, v, v_old, v_ref, advantage, beta, adv_clip_max, kl_coef } = functionArgs(nftArgs, args);
  sameLength({ x0, xt, v, v_old, v_ref });
  const n = x0.length;
  const r = optimality(advantage, adv_clip_max);
  const side = (sign: 1 | -1) => {
    const off = x0.map((x, c) => xt[c] - t * (v_old[c] + sign * beta * (v[c] - v_old[c])) - x);
    const scale = Math.max(off.reduce((sum, d) => sum + Math.abs(d), 0) / n, 1e-5);
    return off.reduce((sum, d) => sum + d * d, 0) / n / scale;
  };
  const positive_loss = side(1);
  const negative_loss = side(-1);
  const policy_loss = (adv_clip_max * (r * positive_loss + (1 - r) * negative_loss)) / beta;
  const kl_loss = v.reduce((sum, x, c) => sum + (x - v_ref[c]) ** 2, 0) / n;
  return { optimality: r, positive_loss, negative_loss, policy_loss, kl_loss, loss: policy_loss + kl_coef * kl_loss };
}

export const marble = defineMethod({
  id: "marble",
  title: "MARBLE: balanced gradients of several rewards",
  summary:
    "Keep one advantage and one policy gradient per reward, combine the unit gradients by the weights of their shortest convex combination, and reuse smoothed weights on the advantages between solves.",
  facts: {
    paper: {
      title: "MARBLE: Multi-Aspect Reward Balance for Diffusion RL",
      arxiv: "2605.06507",
      date: "2026-05",
      repo: "aim-uofa/MARBLE",
    },
    headline:
      "SD3.5-M improves on five rewards in one run; the worst-aligned reward's gradient, against the update in 80 % of batches under a weighted sum, is with it.",
    granularity: "rollout",
    methodology: ["monte-carlo", "mechanism"],
    checked: "balancing 3e-4 (the tolerance of the official solver), loss 4e-8, both re-typed",
    reconstructed: ["channels that are null for single rollouts of a group", "`gradient` weights between solves"],
  },
  equations: [
    { text: "A_k = (R_k − μ) / (σ + ε)", tex: "A_k = \\frac{R_k - \\mu}{\\sigma + \\varepsilon}" },
    {
      text: "α = argmin ½ ‖Σ_k α_k g_k / ‖g_k‖‖², Σ α = 1, α ≥ 0",
      tex: "\\alpha = \\arg\\min_{\\alpha \\in \\Delta} \\tfrac12 \\Big\\|\\sum_k \\alpha_k \\frac{g_k}{\\|g_k\\|}\\Big\\|^2",
    },
    { text: "A = Σ_k α_k A_k", tex: "A = \\sum_k \\alpha_k A_k" },
  ],
  params,
  reads: ["rewards.*", "group?"],
  writes: ["rollout.advantage_*", "rollout.advantage", "rollout.optimality"],
  scope: (p) => (p.alphas === null && p.channels === null ? "batch" : "group"),
  functions: { balanceRewardGradients, emaAlphas, balanceSchedule, amortizedWeights, nftLoss },
  assign,
});
