import { sigmoid } from "../../operators/scalars.ts";

/** Policy losses by the names of verl. */
export const lossKinds = [
  "vanilla",
  "gspo",
  "cispo",
  "gpg",
  "dro",
  "sapo",
  "geo_mean",
  "clip_cov",
  "kl_cov",
  "dppo_tv",
  "dppo_kl",
] as const;
export type LossKind = (typeof lossKinds)[number];

/** Settings of the losses; each kind reads its own. */
export interface LossSettings {
  readonly clip_low: number;
  readonly clip_high: number;
  readonly clip_c: number | null;
  readonly tau_pos: number;
  readonly tau_neg: number;
  readonly clip_cov_ratio: number;
  readonly clip_cov_lb: number;
  readonly clip_cov_ub: number;
  readonly kl_cov_ratio: number;
  readonly kl_cov_coef: number;
  readonly truncation: number | null;
  readonly dro_beta: number;
}

/** Policy tokens of all rows, one after another: row i has tokens [offsets[i], offsets[i + 1]). Masked tokens are left out. */
export interface LossTokens {
  readonly offsets: Int32Array;
  readonly logprob: Float64Array;
  readonly old: Float64Array;
  readonly advantage: Float64Array;
  /** Correction from sampling to training, a constant factor; `null` = 1. */
  readonly isWeight: Float64Array | null;
  /** Order in which `clip_cov` takes its candidates, smallest first; `null` = as they stand. */
  readonly uniform: Float64Array | null;
}

/** Loss l of every token, its coefficient c = −∂l/∂log π, and what was cut. */
export interface LossTerms {
  readonly loss: Float64Array;
  readonly coefficient: Float64Array;
  readonly clipped: Uint8Array;
  /** Cut by the dual clip. */
  readonly clippedLow: Uint8Array;
}

/** Largest |log ratio| that enters a ratio of tokens. */
const mostLogRatio = 20;
/** Largest mean log ratio that enters the ratio of a sequence. */
const mostSequenceLogRatio = 10;

function bound(x: number, low: number, high: number): number {
  return Math.min(Math.max(x, low), high);
}

/** r = exp(clip(d, ±20)) of every token, and whether its gradient lives (the clip is not active). */
function tokenRatios({ logprob, old }: LossTokens): { ratio: Float64Array; live: Uint8Array } {
  const ratio = logprob.map((l, t) => Math.exp(bound(l - old[t], -mostLogRatio, mostLogRatio)));
  return { ratio, live: Uint8Array.from(logprob, (l, t) => (Math.abs(l - old[t]) <= mostLogRatio ? 1 : 0)) };
}

/** s = exp(min(mean d, 10)) of every row, on each of its tokens. */
function sequenceRatios({ offsets, logprob, old }: LossTokens): { ratio: Float64Array; live: Uint8Array } {
  const ratio = new Float64Array(logprob.length);
  const live = new Uint8Array(logprob.length);
  for (let i = 0; i + 1 < offsets.length; i++) {
    let sum = 0;
    for (let t = offsets[i]; t < offsets[i + 1]; t++) sum += logprob[t] - old[t];
    const mean = sum / (offsets[i + 1] - offsets[i]);
    ratio.fill(Math.exp(Math.min(mean, mostSequenceLogRatio)), offsets[i], offsets[i + 1]);
    live.fill(mean <= mostSequenceLogRatio ? 1 : 0, offsets[i], offsets[i + 1]);
  }
  return { ratio, live };
}

function empty(count: number): LossTerms {
  return {
    loss: new Float64Array(count),
    coefficient: new Float64Array(count),
    clipped: new Uint8Array(count),
    clippedLow: new Uint8Array(count),
  };
}

/** l = max(−A r, −A clip(r)); above −A c where A < 0, the dual clip cuts it there. */
function ratioClip(
  tokens: LossTokens,
  { ratio, live }: { ratio: Float64Array; live: Uint8Array },
  { clip_low, clip_high }: LossSettings,
  dual: number | null,
): LossTerms {
  const out = empty(ratio.length);
  for (let t = 0; t < ratio.length; t++) {
    const a = tokens.advantage[t];
    const plain = -a * ratio[t];
    const near = -a * bound(ratio[t], 1 - clip_low, 1 + clip_high);
    if (near > plain) out.clipped[t] = 1;
    else if (live[t] === 1) out.coefficient[t] = a * ratio[t];
    out.loss[t] = Math.max(plain, near);
    if (dual === null || a >= 0 || out.loss[t] <= -a * dual) continue;
    out.loss[t] = -a * dual;
    out.coefficient[t] = 0;
    out.clippedLow[t] = 1;
  }
  return out;
}

/** l = −w A log π with a constant w: the plain policy gradient, weighted. */
function weightedGradient(tokens: LossTokens, weight: Float64Array | null, clipped: Uint8Array | null): LossTerms {
  const { advantage, logprob } = tokens;
  const coefficient = weight === null ? advantage.slice() : weight.map((w, t) => w * advantage[t]);
  return {
    loss: coefficient.map((c, t) => -c * logprob[t]),
    coefficient,
    clipped: clipped ?? new Uint8Array(logprob.length),
    clippedLow: new Uint8Array(logprob.length),
  };
}

function cispo(tokens: LossTokens, { clip_low, clip_high }: LossSettings): LossTerms {
  const { ratio } = tokenRatios(tokens);
  const near = ratio.map((r) => bound(r, 1 - clip_low, 1 + clip_high));
  return weightedGradient(
    tokens,
    near,
    Uint8Array.from(near, (w, t) => (w === ratio[t] ? 0 : 1)),
  );
}

function dro({ advantage, logprob, old }: LossTokens, { dro_beta: beta }: LossSettings): LossTerms {
  const out = empty(logprob.length);
  for (let t = 0; t < logprob.length; t++) {
    const d = logprob[t] - old[t];
    out.loss[t] = -(advantage[t] * logprob[t] - 0.5 * beta * d * d);
    out.coefficient[t] = advantage[t] - beta * d;
  }
  return out;
}

function sapo(tokens: LossTokens, { tau_pos, tau_neg }: LossSettings): LossTerms {
  const out = empty(tokens.logprob.length);
  const { ratio, live } = tokenRatios(tokens);
  for (let t = 0; t < ratio.length; t++) {
    const a = tokens.advantage[t];
    const tau = a > 0 ? tau_pos : tau_neg;
    const gate = sigmoid(tau * (ratio[t] - 1));
    out.loss[t] = (-a * 4 * gate) / tau;
    out.coefficient[t] = live[t] === 0 ? 0 : a * 4 * gate * sigmoid(-tau * (ratio[t] - 1)) * ratio[t];
  }
  return out;
}

/** Row loss −mean(A) exp(mean d'), on each token of the row: their mean is the row loss again. */
function geoMean(tokens: LossTokens, { clip_low, clip_high }: LossSettings): LossTerms {
  const { offsets, advantage, logprob, old, isWeight } = tokens;
  const out = empty(logprob.length);
  for (let i = 0; i + 1 < offsets.length; i++) {
    const n = offsets[i + 1] - offsets[i];
    let a = 0;
    let mean = 0;
    let logWeight = 0;
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      const d = logprob[t] - old[t];
      const cut = bound(d, -mostLogRatio, mostLogRatio);
      let near = cut;
      if (advantage[t] > 0) near = Math.min(cut, clip_high);
      if (advantage[t] < 0) near = Math.max(cut, -clip_low);
      out.clipped[t] = near === cut ? 0 : 1;
      out.coefficient[t] = near === d ? 1 : 0;
      a += advantage[t];
      mean += near;
      if (isWeight !== null) logWeight += Math.log(isWeight[t] + 1e-10);
    }
    const value = (a / n) * Math.exp(mean / n) * Math.exp(logWeight / n);
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      out.loss[t] = -value;
      out.coefficient[t] *= value;
    }
  }
  return out;
}

/** (A − mean A)(log π − mean log π) of every token, means over all of them. */
function covariances({ advantage, logprob }: LossTokens): Float64Array {
  const n = advantage.length;
  const meanA = advantage.reduce((sum, a) => sum + a, 0) / n;
  const meanL = logprob.reduce((sum, l) => sum + l, 0) / n;
  return advantage.map((a, t) => (a - meanA) * (logprob[t] - meanL));
}

/** At least one, else the share of all tokens, rounded down. */
const chosenCount = (ratio: number, tokens: number) => Math.max(1, Math.floor(ratio * tokens));

function clipCov(tokens: LossTokens, p: LossSettings): LossTerms {
  const terms = ratioClip(tokens, tokenRatios(tokens), p, null);
  const cov = covariances(tokens);
  const candidates = Uint32Array.from(cov.keys()).filter(
    (t) => terms.clipped[t] === 0 && cov[t] > p.clip_cov_lb && cov[t] < p.clip_cov_ub,
  );
  const { uniform } = tokens;
  if (uniform !== null) candidates.sort((a, b) => uniform[a] - uniform[b] || a - b);
  terms.clipped.fill(0);
  for (const t of candidates.subarray(0, chosenCount(p.clip_cov_ratio, cov.length))) {
    terms.loss[t] = 0;
    terms.coefficient[t] = 0;
    terms.clipped[t] = 1;
  }
  return terms;
}

function klCov(tokens: LossTokens, p: LossSettings): LossTerms {
  const { ratio, live } = tokenRatios(tokens);
  const out = empty(ratio.length);
  for (let t = 0; t < ratio.length; t++) {
    out.loss[t] = -tokens.advantage[t] * ratio[t];
    if (live[t] === 1) out.coefficient[t] = -out.loss[t];
  }
  const cov = covariances(tokens);
  const order = Uint32Array.from(cov.keys()).sort((a, b) => cov[b] - cov[a] || a - b);
  for (const t of order.subarray(0, chosenCount(p.kl_cov_ratio, cov.length))) {
    const d = tokens.logprob[t] - tokens.old[t];
    out.loss[t] += p.kl_cov_coef * Math.abs(d);
    out.coefficient[t] -= p.kl_cov_coef * Math.sign(d);
    out.clipped[t] = 1;
  }
  return out;
}

/** Whether the divergence of a token from its old probability is within bounds in the direction that A pushes. */
function withinTrust(kind: "dppo_tv" | "dppo_kl", a: number, logprob: number, old: number, p: LossSettings): boolean {
  const now = Math.exp(logprob);
  const before = Math.exp(old);
  if (kind === "dppo_tv") return a > 0 ? now - before <= p.clip_high : now - before >= -p.clip_low;
  const kl = before * (old - logprob) + (1 - before) * Math.log((1 - before + 1e-8) / (1 - now + 1e-8));
  return a > 0 ? kl <= p.clip_high || now <= before : kl <= p.clip_low || now >= before;
}

function dppo(kind: "dppo_tv" | "dppo_kl", tokens: LossTokens, p: LossSettings): LossTerms {
  const { advantage, logprob, old } = tokens;
  const invalid = Uint8Array.from(logprob, (l, t) => (withinTrust(kind, advantage[t], l, old[t], p) ? 0 : 1));
  const most = p.truncation ?? Number.POSITIVE_INFINITY;
  const weight = tokenRatios(tokens).ratio.map((r, t) => (invalid[t] === 1 ? 0 : Math.min(r, most)));
  return weightedGradient(tokens, weight, invalid);
}

/** Loss and coefficient of every policy token before aggregation; `is_weight` is applied. */
export function lossTerms(kind: LossKind, tokens: LossTokens, p: LossSettings): LossTerms {
  if (kind === "geo_mean") return geoMean(tokens, p);
  const terms = plainTerms(kind, tokens, p);
  const { isWeight } = tokens;
  if (isWeight === null) return terms;
  return {
    ...terms,
    loss: terms.loss.map((l, t) => l * isWeight[t]),
    coefficient: terms.coefficient.map((c, t) => c * isWeight[t]),
  };
}

function plainTerms(kind: Exclude<LossKind, "geo_mean">, tokens: LossTokens, p: LossSettings): LossTerms {
  switch (kind) {
    case "vanilla":
      return ratioClip(tokens, tokenRatios(tokens), p, p.clip_c);
    case "gspo":
      return ratioClip(tokens, sequenceRatios(tokens), p, null);
    case "cispo":
      return cispo(tokens, p);
    case "gpg":
      return weightedGradient(tokens, null, null);
    case "dro":
      return dro(tokens, p);
    case "sapo":
      return sapo(tokens, p);
    case "clip_cov":
      return clipCov(tokens, p);
    case "kl_cov":
      return klCov(tokens, p);
    default:
      return dppo(kind, tokens, p);
  }
}
