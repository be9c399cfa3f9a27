import { z } from "zod";
import { type Aggregation, aggregations, rowWeights } from "../../operators/aggregation.ts";
import { describe, InputError } from "../../rollouts/index.ts";
import { bit, functionArgs } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { type LossKind, type LossTokens, lossKinds, lossTerms } from "./policy-kinds.ts";

/** One list per row; only tokens with mask 1 are read, so null may stand on the others. */
const rows = z.array(z.array(z.number().nullable()));
const maskRows = z.array(z.array(bit));
const mode = z.enum(aggregations);
const lossScale = z.number().positive().nullable().default(null);

const lossArgs = z.object({
  loss: z.enum(lossKinds),
  logprob: rows,
  old_logprob: rows.optional(),
  advantage: rows,
  mask: maskRows.optional(),
  is_weight: rows.optional(),
  uniform: rows.optional(),
  agg: mode.nullable().default(null),
  loss_scale: lossScale,
  clip_low: z.number().min(0).default(0.2),
  clip_high: z.number().min(0).default(0.2),
  clip_c: z.number().gt(1).nullable().default(3),
  tau_pos: z.number().positive().default(1),
  tau_neg: z.number().positive().default(1.05),
  clip_cov_ratio: z.number().min(0).max(1).default(0.0002),
  clip_cov_lb: z.number().default(1),
  clip_cov_ub: z.number().default(5),
  kl_cov_ratio: z.number().min(0).max(1).default(0.0002),
  kl_cov_coef: z.number().min(0).default(1),
  truncation: z.number().positive().nullable().default(20),
  dro_beta: z.number().min(0).default(0.1),
});

type Rows = readonly (readonly (number | null)[])[];

/** Tokens with mask 1 of a list of rows: the shape that losses are worked out on. */
interface PolicyTokens {
  /** Row i has policy tokens [offsets[i], offsets[i + 1]). */
  readonly offsets: Int32Array;
  readonly lengths: Int32Array;
  readonly mask: readonly (readonly number[])[];
}

function policyTokens(shape: Rows, mask: readonly (readonly number[])[] | undefined): PolicyTokens {
  const ones = mask ?? shape.map((row) => row.map(() => 1));
  sameShape("mask", ones, shape);
  const offsets = new Int32Array(shape.length + 1);
  ones.forEach((row, i) => {
    offsets[i + 1] = offsets[i] + row.reduce((sum, m) => sum + m, 0);
  });
  return { offsets, lengths: Int32Array.from(shape, (row) => row.length), mask: ones };
}

function sameShape(name: string, list: Rows, shape: Rows): void {
  const row = list.length === shape.length ? list.findIndex((one, i) => one.length !== shape[i].length) : -1;
  if (list.length === shape.length && row < 0) return;
  throw new InputError(`argument ${row < 0 ? name : `${name}.${row}`} has the wrong length`, {
    expected: `${row < 0 ? shape.length : shape[row].length}`,
    got: `${row < 0 ? list.length : list[row].length}`,
  });
}

/** Values of the policy tokens, one row after another. */
function gathered(name: string, list: Rows, shape: Rows, { offsets, mask }: PolicyTokens): Float64Array {
  sameShape(name, list, shape);
  const out = new Float64Array(offsets[shape.length]);
  let at = 0;
  list.forEach((row, i) => {
    row.forEach((x, t) => {
      if (mask[i][t] === 0) return;
      if (x === null)
        throw new InputError(`argument ${name}.${i}.${t} not valid`, { expected: "a number", got: describe(x) });
      out[at++] = x;
    });
  });
  return out;
}

/** Back to rows: `of(k, i)` for policy token k of row i, 0 on masked tokens. */
function spread({ mask }: PolicyTokens, of: (k: number, i: number) => number): number[][] {
  let k = 0;
  return mask.map((row, i) => row.map((m) => (m === 0 ? 0 : of(k++, i))));
}

function weightsOfRows({ offsets, lengths }: PolicyTokens, mode: Aggregation, scale: number | null): Float64Array {
  const counts = lengths.map((_, i) => offsets[i + 1] - offsets[i]);
  return rowWeights(mode, counts, lengths, scale);
}

/** Σ_i u_i Σ_t x_it over policy tokens. */
function weightedSum(values: Float64Array, { offsets }: PolicyTokens, u: Float64Array): number {
  let total = 0;
  for (let i = 0; i < u.length; i++) {
    let sum = 0;
    for (let t = offsets[i]; t < offsets[i + 1]; t++) sum += values[t];
    total += u[i] * sum;
  }
  return total;
}

/** How token losses are averaged where the caller does not say. */
function defaultAggregation(kind: LossKind): Aggregation {
  return kind === "gspo" || kind === "sapo" ? "seq-mean-token-mean" : "token-mean";
}

/** What a policy loss gives; `weight` has the shape of the mask. */
export interface PolicyLoss {
  loss: number;
  /** Factor of ∇ log π of every token in the gradient of −loss. */
  weight: number[][];
  /** Share of policy tokens cut by the rule of the loss, and by the dual clip. */
  clip_fraction: number;
  clip_fraction_low: number;
  /** Mean of log π_old − log π. */
  approx_kl: number;
}

/**
 * Loss of a policy objective and the weight that every token's ∇ log π gets in it: with l_t the token loss, c_t = −∂l_t/∂log π
 * and u_t the aggregation, loss = Σ u_t l_t and weight_t = u_t c_t. `old_logprob` absent means on-policy, `mask` all 1.
 * Kinds: PPO clip with dual clip (`vanilla`), `gspo`, `cispo`, `gpg`, `dro`, `sapo`, `geo_mean` (GMPO), `clip_cov`, `kl_cov`,
 * `dppo_tv`, `dppo_kl`. `agg` defaults to token-mean, for gspo and sapo to seq-mean-token-mean; geo_mean has its own.
 * @throws InputError for rows of different length, numbers that are not finite, and overflowing results.
 */
export function policyLoss(args: z.input<typeof lossArgs>): PolicyLoss {
  const { loss: kind, logprob, old_logprob, advantage, mask, is_weight, uniform, ...p } = functionArgs(lossArgs, args);
  const shape = policyTokens(logprob, mask);
  const current = gathered("logprob", logprob, logprob, shape);
  const tokens: LossTokens = {
    offsets: shape.offsets,
    logprob: current,
    old: old_logprob === undefined ? current : gathered("old_logprob", old_logprob, logprob, shape),
    advantage: gathered("advantage", advantage, logprob, shape),
    isWeight: is_weight === undefined ? null : gathered("is_weight", is_weight, logprob, shape),
    uniform: uniform === undefined ? null : gathered("uniform", uniform, logprob, shape),
  };
  const negative = tokens.isWeight?.find((w) => w < 0);
  if (negative !== undefined)
    throw new InputError("argument is_weight not valid", { expected: "numbers from 0 up", got: `${negative}` });
  if (current.length === 0) {
    return { loss: 0, weight: spread(shape, () => 0), clip_fraction: 0, clip_fraction_low: 0, approx_kl: 0 };
  }
  const terms = lossTerms(kind, tokens, p);
  const mode = kind === "geo_mean" ? "seq-mean-token-mean" : (p.agg ?? defaultAggregation(kind));
  const u = weightsOfRows(shape, mode, p.loss_scale);
  const share = (flags: Uint8Array) => flags.reduce((sum, flag) => sum + flag, 0) / flags.length;
  const result = {
    loss: weightedSum(terms.loss, shape, u),
    weight: spread(shape, (k, i) => u[i] * terms.coefficient[k]),
    clip_fraction: share(terms.clipped),
    clip_fraction_low: share(terms.clippedLow),
    approx_kl: tokens.old.reduce((sum, old, t) => sum + old - current[t], 0) / current.length,
  };
  const finite = Number.isFinite(result.loss) && result.weight.every((row) => row.every(Number.isFinite));
  if (finite) return result;
  throw new InputError("the loss is not a finite number", { hint: "log-probabilities above 0, or numbers too large" });
}

const weightsArgs = z.object({ mask: maskRows, mode, loss_scale: lossScale });

/** Weight u of every token's loss under an aggregation; 0 where the mask is 0. */
export function lossWeights(args: z.input<typeof weightsArgs>): number[][] {
  const { mask, mode, loss_scale } = functionArgs(weightsArgs, args);
  const shape = policyTokens(mask, mask);
  const u = weightsOfRows(shape, mode, loss_scale);
  return spread(shape, (_, i) => u[i]);
}

const aggregateArgs = z.object({ token_loss: rows, mask: maskRows.optional(), mode, loss_scale: lossScale });

/** Token losses as one number: Σ u l; 0 when there is nothing to average. */
export function aggregateLoss(args: z.input<typeof aggregateArgs>): number {
  const { token_loss, mask, mode, loss_scale } = functionArgs(aggregateArgs, args);
  const shape = policyTokens(token_loss, mask);
  const values = gathered("token_loss", token_loss, token_loss, shape);
  return weightedSum(values, shape, weightsOfRows(shape, mode, loss_scale));
}

export const policyLosses = defineMethod({
  id: "policy-losses",
  title: "The policy losses of today's trainers, with the weight of every token",
  summary:
    "One function for eleven published policy objectives: their loss, and the weight that each token's gradient receives, so that the credit they let through can be compared.",
  facts: {
    paper: {
      title: "Proximal Policy Optimization Algorithms",
      arxiv: "1707.06347",
      date: "2017-07",
      repo: "volcengine/verl",
    },
    headline:
      "KL-Cov took Qwen2.5-32B from 45.8 to 52.2 over seven sets; CISPO needs about half the steps of DAPO; GSPO, GMPO and SAPO report steadier training than token clipping.",
    granularity: "token",
    methodology: ["loss"],
    checked: "verl (August 2026), loss and gradient of all kinds and aggregations, max abs diff 2e-8",
  },
  equations: [
    {
      text: "loss = Σ_t u_t l_t, weight_t = −u_t ∂l_t/∂log π_t",
      tex: "w_t = -u_t\\,\\partial l_t / \\partial \\log\\pi_t",
    },
    {
      text: "vanilla: l = max(−A r, −A clip(r, 1 − l, 1 + h))",
      tex: "l = \\max\\bigl(-A r, -A\\operatorname{clip}(r, 1-\\epsilon_l, 1+\\epsilon_h)\\bigr)",
    },
    { text: "gspo: r = exp(mean_t d_t)", tex: "r = \\exp\\bigl(\\tfrac{1}{|y|}\\sum_t d_t\\bigr)" },
    { text: "cispo: l = −sg(clip(r)) A log π", tex: "l = -\\operatorname{sg}(\\operatorname{clip}(r))\\,A\\log\\pi" },
    { text: "sapo: l = −(4/τ) A σ(τ(r − 1))", tex: "l = -\\tfrac{4}{\\tau} A\\,\\sigma(\\tau(r-1))" },
    { text: "dro: l = −(A log π − β d²/2)", tex: "l = -(A\\log\\pi - \\tfrac{\\beta}{2} d^2)" },
  ],
  params: z.object({}),
  reads: [],
  writes: [],
  scope: "batch",
  functions: { policyLoss, lossWeights, aggregateLoss },
});
