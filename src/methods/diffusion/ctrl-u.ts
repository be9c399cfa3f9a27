import { z } from "zod";
import type { Batch } from "../../rollouts/index.ts";
import { bit, functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";

const lam = z.number().min(0).default(1).describe("weight of the uncertainty penalty (1 on ADE20K, 0.1 elsewhere)");
const scaleInWeight = z.boolean().default(false).describe("weight exp(−λU) instead of exp(−U) (segmentation script)");

const params = z.object({
  lam,
  scale_in_weight: scaleInWeight,
  t_min: z.number().min(0).max(999).default(0).describe("first timestep of the reward window"),
  t_max: z.number().min(0).max(999).default(400).describe("last timestep of the reward window"),
  target: z.number().default(1).describe("best possible reading of the reward model"),
  primary: z.string().default("primary").describe("reward channel with the reading that is trained on"),
  auxiliary: z.string().default("auxiliary").describe("reward channel with the second reading"),
});
type Params = z.output<typeof params>;

/**
 * Ctrl-U in credit form (arXiv 2410.11236): two readings of one reward model disagree by U = |a − b|; a sample weighs
 * exp(−U), its loss is exp(−U) (target − primary) + λU and its reward minus that. Outside the timestep window weight and
 * loss are 0. Where the second reading is missing U is unknown (null) and counts as 0.
 */
function assign(batch: Batch, p: Params): Batch {
  const readings = [
    `rewards.${p.primary}`,
    `rewards.${p.auxiliary}`,
    "signals.uncertainty",
    "signals.consistency_loss",
  ];
  if (batch.size > 0 && !batch.has(readings[0])) throw batch.missing(readings[0], 0);
  const [primary, auxiliary, given, loss] = readings.map((path) => batch.numbers(path, { absent: 0, missing: 0 }));
  const [hasPrimary, hasAuxiliary, isGiven, hasLoss] = readings.map((path) => batch.validity(path));
  const timestep = batch.numbers("signals.timestep", { absent: p.t_min, missing: p.t_min });
  const uncertainty = new Float64Array(batch.size);
  const known = new Uint8Array(batch.size);
  const weight = new Float64Array(batch.size);
  const rectified = new Float64Array(batch.size);
  const there = (valid: Uint8Array | null, i: number) => valid === null || valid[i] === 1;
  for (let i = 0; i < batch.size; i++) {
    if (!batch.hasIn(readings[0], i)) throw batch.missing(readings[0], i);
    if (there(isGiven, i)) {
      if (given[i] < 0) throw batch.wrongValue(readings[2], i, "0 or more", `${given[i]}`);
      uncertainty[i] = given[i];
      known[i] = 1;
    } else if (there(hasPrimary, i) && there(hasAuxiliary, i)) {
      uncertainty[i] = Math.abs(primary[i] - auxiliary[i]);
      known[i] = 1;
    }
    if (!there(hasPrimary, i) || timestep[i] < p.t_min || timestep[i] > p.t_max) continue;
    const consistency = there(hasLoss, i) ? loss[i] : p.target - primary[i];
    weight[i] = Math.exp(-(p.scale_in_weight ? p.lam : 1) * uncertainty[i]);
    rectified[i] = weight[i] * consistency + p.lam * uncertainty[i];
  }
  return batch.with({
    "rollout.uncertainty": { values: uncertainty, valid: known.includes(0) ? known : null },
    "rollout.weight": weight,
    "rollout.rectified_loss": rectified,
    "rollout.reward": rectified.map((x) => 0 - x),
  });
}

const reading = z.union([numberList, numberRows], "a list of numbers, or of logits per position");
const uncertaintyArgs = z.object({
  primary: reading,
  auxiliary: reading,
  kind: z.enum(["kl", "l1", "abs"]).default("abs"),
});

/** KL(softmax(q) ‖ softmax(p)) from logits, by log-softmax with the largest logit subtracted. */
function klOfLogits(q: readonly number[], p: readonly number[]): number {
  const logNormalizer = (x: readonly number[]) => {
    const most = Math.max(...x);
    return most + Math.log(x.reduce((sum, value) => sum + Math.exp(value - most), 0));
  };
  const zq = logNormalizer(q);
  const zp = logNormalizer(p);
  const kl = q.reduce((sum, value, c) => sum + Math.exp(value - zq) * (value - zq - (p[c] - zp)), 0);
  return Math.max(0, kl);
}

/**
 * Disagreement of two readings per position: KL of the auxiliary from the primary class distribution (`kl`, from logits),
 * or |primary − auxiliary| (`abs`, also called `l1`).
 */
export function ctrluUncertainty(args: z.input<typeof uncertaintyArgs>): number[] {
  const { primary, auxiliary, kind } = functionArgs(uncertaintyArgs, args);
  sameLength({ primary, auxiliary });
  return primary.map((value, position) => {
    const other = auxiliary[position];
    const rows = { primary: [value].flat(), auxiliary: [other].flat() };
    sameLength(rows);
    if (kind === "kl") return klOfLogits(rows.auxiliary, rows.primary);
    return rows.primary.reduce((sum, x, c) => sum + Math.abs(x - rows.auxiliary[c]), 0);
  });
}

const rectifiedArgs = z.object({
  loss: numberList,
  uncertainty: z.array(z.number().min(0)),
  lam,
  scale_in_weight: scaleInWeight,
  mask: z.array(bit).optional(),
});

/**
 * Rectified loss over positions: weights exp(−U), `weighted_loss` the (masked) mean of weight times loss, `penalty` λ times
 * the mean of U over all positions, `loss` their sum.
 */
export function ctrluRectifiedLoss(args: z.input<typeof rectifiedArgs>) {
  const { loss, uncertainty, lam, scale_in_weight, mask } = functionArgs(rectifiedArgs, args);
  sameLength({ loss, uncertainty, ...(mask === undefined ? {} : { mask }) });
  const weights = uncertainty.map((u) => Math.exp(-(scale_in_weight ? lam : 1) * u));
  const n = loss.length;
  const counted = (k: number) => (mask === undefined ? 1 : mask[k]);
  const total = loss.reduce((sum, x, k) => sum + counted(k) * weights[k] * x, 0);
  const divisor = mask === undefined ? Math.max(n, 1) : mask.reduce<number>((sum, m) => sum + m, 0) + 1e-10;
  const weighted_loss = total / divisor;
  const penalty = n === 0 ? 0 : (lam * uncertainty.reduce((sum, u) => sum + u, 0)) / n;
  return { weights, weighted_loss, penalty, loss: weighted_loss + penalty };
}

const totalArgs = z.object({
  pretrain: z.number(),
  weighted: numberList,
  penalty: numberList,
  timestep: numberList,
  t_min: params.shape.t_min,
  t_max: params.shape.t_max,
  step: z.number().min(0),
  ramp: z.number().min(0).default(5000),
  grad_scale: z.number().min(0),
});

/**
 * Training loss: diffusion loss + s · reward loss + penalty over the images inside the timestep window,
 * s = grad_scale min(1, step / ramp); ramp 0 means no ramp. The penalty is not scaled. Nobody inside: both are 0.
 */
export function ctrluTotalLoss(args: z.input<typeof totalArgs>) {
  const { pretrain, weighted, penalty, timestep, t_min, t_max, step, ramp, grad_scale } = functionArgs(totalArgs, args);
  sameLength({ weighted, penalty, timestep });
  const inside = timestep.map((t) => t >= t_min && t <= t_max);
  const count = inside.filter(Boolean).length;
  const meanInside = (values: readonly number[]) =>
    values.reduce((sum, x, k) => (inside[k] ? sum + x : sum), 0) / (count + 1e-10);
  const reward_loss = meanInside(weighted);
  const kept = meanInside(penalty);
  const scale = grad_scale * (ramp === 0 ? 1 : Math.min(1, step / ramp));
  return { reward_loss, penalty: kept, scale, loss: pretrain + scale * reward_loss + kept };
}

export const ctrlU = defineMethod({
  id: "ctrl-u",
  title: "Ctrl-U: uncertainty-aware reward modelling",
  summary:
    "Read two generations of one condition with the reward model, take their disagreement U as uncertainty, and train on exp(-U) times the reward loss plus lambda U.",
  facts: {
    paper: {
      title: "Ctrl-U: Robust Conditional Image Generation via Uncertainty-aware Reward Modeling",
      arxiv: "2410.11236",
      date: "2024-10",
      repo: "grenoble-zhang/Ctrl-U",
    },
    headline: "Better control than ControlNet++ on segmentation, edges and depth, with better FID in most settings.",
    granularity: "reward-function",
    methodology: ["reward-model"],
    checked: "segmentation kernel run, max abs diff 4e-16; edge and depth code read",
  },
  equations: [
    { text: "w = exp(−U), U = |a − b|", tex: "w = e^{-U},\\quad U = |a - b|" },
    { text: "L_u = w L + λ U", tex: "L_u = w\\,L + \\lambda U" },
  ],
  params,
  reads: ["rewards.*", "signals.uncertainty?", "signals.consistency_loss?", "signals.timestep?"],
  writes: ["rollout.uncertainty", "rollout.weight", "rollout.rectified_loss", "rollout.reward"],
  scope: "rollout",
  warnings: (_, p) =>
    p.lam === 0 ? ["lam is 0: a model trained through the uncertainty may raise it to shrink its loss"] : [],
  functions: { ctrluUncertainty, ctrluRectifiedLoss, ctrluTotalLoss },
  assign,
});
