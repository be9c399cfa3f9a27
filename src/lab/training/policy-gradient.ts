import { type LossKind, type LossTerms, type LossTokens, lossTerms } from "../../methods/loss/policy-kinds.ts";
import { rowWeights } from "../../operators/aggregation.ts";
import { klGradient, klValue } from "../../operators/kl.ts";
import { InputError } from "../../rollouts/index.ts";
import type { PolicyRows, TokenCredit } from "./credit.ts";
import type { TrainingSettings } from "./settings.ts";

/** Log-probabilities of every policy token of a batch. */
export interface TokenLogprobs {
  /** Under the policy as it is now. */
  logprob: Float64Array;
  /** Under the policy that sampled. */
  old: Float64Array;
  /** Under the reference policy; `null` where nobody asks. */
  reference: Float64Array | null;
}

/** What one step of the optimiser follows: factors of ∂ log π and of ∂ H per policy token of the rollouts it looks at. */
export interface StepWeights {
  /** −∂L / ∂ log π of every token, [policy tokens of `members`]. */
  weight: Float64Array;
  /** −∂L / ∂H of every token. */
  entropyWeight: Float64Array;
  loss: number;
  clipFraction: number;
  /** Mean of log π_old − log π. */
  approxKl: number;
}

/** Losses in which a token's clip range touches that token alone. */
const tokenwise = new Set<LossKind>(["vanilla", "cispo", "dppo_tv", "dppo_kl"]);
const clipping = new Set<LossKind>([...tokenwise, "gspo", "geo_mean", "clip_cov"]);

/** Numbers of some rollouts' policy tokens, one after another. */
function gather(values: Float64Array, { offsets }: PolicyRows, members: ArrayLike<number>, total: number) {
  const out = new Float64Array(total);
  let at = 0;
  for (let k = 0; k < members.length; k++) {
    const part = values.subarray(offsets[members[k]], offsets[members[k] + 1]);
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/**
 * Gradient weights of one step: L = Σ_t u_t w_t (l_t + kl_coef · KL_t − entropy_coef · H_t), l the policy loss of the card
 * policy-losses, u its aggregation, w the weights that the method wrote. Weights are −∂L/∂ log π_t with everything but
 * log π held constant, so that Σ weight · ∂ log π is the step's direction.
 * @param members rollouts of this step.
 */
export function stepWeights(
  rows: PolicyRows,
  credit: TokenCredit,
  logprobs: TokenLogprobs,
  members: ArrayLike<number>,
  s: TrainingSettings,
): StepWeights {
  const offsets = new Int32Array(members.length + 1);
  for (let k = 0; k < members.length; k++) {
    offsets[k + 1] = offsets[k] + rows.offsets[members[k] + 1] - rows.offsets[members[k]];
  }
  const total = offsets[members.length];
  const take = (values: Float64Array) => gather(values, rows, members, total);
  const tokens: LossTokens = {
    offsets,
    logprob: take(logprobs.logprob),
    old: take(logprobs.old),
    advantage: take(credit.advantage),
    isWeight: null,
    uniform: null,
  };
  const empty = {
    weight: new Float64Array(0),
    entropyWeight: new Float64Array(0),
    loss: 0,
    clipFraction: 0,
    approxKl: 0,
  };
  if (total === 0) return empty;
  const terms = clippedTerms(tokens, columnsOf(credit, s, take), s);
  const u = averages(credit, rows, members, offsets, take, s);
  let loss = 0;
  let clipped = 0;
  let approxKl = 0;
  const weight = new Float64Array(total);
  for (let t = 0; t < total; t++) {
    weight[t] = u[t] * terms.coefficient[t];
    loss += u[t] * terms.loss[t];
    clipped += terms.clipped[t];
    approxKl += tokens.old[t] - tokens.logprob[t];
  }
  if (s.kl_in === "loss" && s.kl_coef > 0 && logprobs.reference !== null) {
    const reference = take(logprobs.reference);
    for (let t = 0; t < total; t++) {
      const d = tokens.logprob[t] - reference[t];
      loss += u[t] * s.kl_coef * klValue(s.kl_kind, d);
      weight[t] -= u[t] * s.kl_coef * klGradient(s.kl_kind, d);
    }
  }
  const entropyWeight = u.map((x) => x * s.entropy_coef);
  return { weight, entropyWeight, loss, clipFraction: clipped / total, approxKl: approxKl / total };
}

interface ClipColumns {
  low: Float64Array;
  high: Float64Array;
}

function columnsOf(credit: TokenCredit, s: TrainingSettings, take: (values: Float64Array) => Float64Array) {
  if (!s.clip_columns || !clipping.has(s.loss) || credit.clipLow === null || credit.clipHigh === null) return null;
  return { low: take(credit.clipLow), high: take(credit.clipHigh) };
}

/** Terms of the loss; clip ranges that differ from token to token are worked out range by range. */
function clippedTerms(tokens: LossTokens, clips: ClipColumns | null, s: TrainingSettings): LossTerms {
  if (clips === null) return lossTerms(s.loss, tokens, s);
  const { low, high } = clips;
  if (low.every((x) => x === low[0]) && high.every((x) => x === high[0])) {
    return lossTerms(s.loss, tokens, { ...s, clip_low: low[0], clip_high: high[0] });
  }
  if (!tokenwise.has(s.loss)) {
    throw new InputError(`the loss ${s.loss} cannot take a clip range of its own for every token`, {
      expected: `loss ${[...tokenwise].join(", ")}`,
      hint: "or set clip_columns to false",
    });
  }
  return rangeByRange(tokens, { low, high }, s);
}

function rangeByRange(tokens: LossTokens, { low, high }: ClipColumns, s: TrainingSettings): LossTerms {
  const total = low.length;
  const ranges = new Map<string, number[]>();
  for (let t = 0; t < total; t++) {
    const key = `${low[t]} ${high[t]}`;
    const members = ranges.get(key);
    if (members === undefined) ranges.set(key, [t]);
    else members.push(t);
  }
  const out: LossTerms = {
    loss: new Float64Array(total),
    coefficient: new Float64Array(total),
    clipped: new Uint8Array(total),
    clippedLow: new Uint8Array(total),
  };
  for (const members of ranges.values()) {
    const pick = (values: Float64Array) => Float64Array.from(members, (t) => values[t]);
    const part: LossTokens = {
      offsets: Int32Array.of(0, members.length),
      logprob: pick(tokens.logprob),
      old: pick(tokens.old),
      advantage: pick(tokens.advantage),
      isWeight: null,
      uniform: null,
    };
    const terms = lossTerms(s.loss, part, { ...s, clip_low: low[members[0]], clip_high: high[members[0]] });
    members.forEach((t, k) => {
      out.loss[t] = terms.loss[k];
      out.coefficient[t] = terms.coefficient[k];
      out.clipped[t] = terms.clipped[k];
      out.clippedLow[t] = terms.clippedLow[k];
    });
  }
  return out;
}

/** Rollouts whose weights together are no more than this count as not trained. */
const leastWeight = 1e-12;

/** Factor of every token's loss: its aggregation times the weight that the method gave it. */
function averages(
  credit: TokenCredit,
  rows: PolicyRows,
  members: ArrayLike<number>,
  offsets: Int32Array,
  take: (values: Float64Array) => Float64Array,
  s: TrainingSettings,
): Float64Array {
  const weight = credit.weight === null ? new Float64Array(offsets[members.length]).fill(1) : take(credit.weight);
  const counts = Float64Array.from(members, (_, k) => {
    let sum = 0;
    for (let t = offsets[k]; t < offsets[k + 1]; t++) sum += weight[t];
    return sum > leastWeight ? sum : 0;
  });
  if (s.agg === "method" && credit.average !== null) {
    const trained = counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
    return take(credit.average).map((x) => x / Math.max(trained, 1));
  }
  const named = s.agg === "method" ? null : s.agg;
  const mode = s.loss === "geo_mean" ? "seq-mean-token-mean" : (named ?? defaultAggregation(s.loss));
  const lengths = Int32Array.from(members, (i) => rows.lengths[i]);
  const u = rowWeights(mode, counts, lengths, s.loss_scale);
  for (let k = 0; k < members.length; k++) for (let t = offsets[k]; t < offsets[k + 1]; t++) weight[t] *= u[k];
  return weight;
}

/** Average where nothing is said: over tokens; for losses of whole responses over responses. */
function defaultAggregation(kind: LossKind) {
  return kind === "gspo" || kind === "sapo" ? "seq-mean-token-mean" : "token-mean";
}
