import type { Batch } from "../rollouts/index.ts";

/** Scales of a belief in the reference answer: its mean log-probability, or the exponential of that. */
export const beliefScales = ["log_prob", "prob"] as const;
export type BeliefScale = (typeof beliefScales)[number];

/** Numbers of which some are missing (valid 0, value 0). */
export interface Measured {
  values: Float64Array;
  valid: Uint8Array;
}

/**
 * Gains of the turns [from, to), all but the last: IG_t = b_t − b_prev, b_prev the latest belief measured before t.
 * @param first belief at the prompt, `null` when it was not measured.
 */
export function gainsInto(
  logprob: ArrayLike<number>,
  measured: Uint8Array | null,
  from: number,
  to: number,
  first: number | null,
  scale: BeliefScale,
  out: Measured,
): void {
  const belief = (lp: number) => (scale === "prob" ? Math.exp(lp) : lp);
  let before = first === null ? null : belief(first);
  for (let t = from; t < to - 1; t++) {
    if (measured !== null && measured[t] === 0) continue;
    const now = belief(logprob[t]);
    if (before !== null) {
      out.values[t] = now - before;
      out.valid[t] = 1;
    }
    before = now;
  }
}

/**
 * Information gains of all turns (IGPO, arXiv 2510.14967): given as `turns.info_gain`, or worked out from the beliefs
 * `turns.gt_logprob` and `signals.gt_logprob_0`. The last turn of a rollout is its answer and has none.
 * @throws InputError when a rollout has no turns, or neither column.
 */
export function infoGains(batch: Batch, scale: BeliefScale): Measured {
  const offsets = batch.offsets("turn");
  const turns = batch.count("turn");
  const out: Measured = { values: new Float64Array(turns), valid: new Uint8Array(turns) };
  const filled = { absent: 0, missing: 0 };
  const given = batch.numbers("turns.info_gain", filled);
  const givenValid = batch.validity("turns.info_gain");
  const logprob = batch.numbers("turns.gt_logprob", filled);
  const measured = batch.validity("turns.gt_logprob");
  const first = batch.numbers("signals.gt_logprob_0", filled);
  const firstMeasured = batch.validity("signals.gt_logprob_0");
  for (let i = 0; i < batch.size; i++) {
    const from = offsets[i];
    const to = offsets[i + 1];
    if (from === to) throw batch.missing("turns.gt_logprob", i, "the rollout has no turns; the last one is the answer");
    if (batch.hasIn("turns.info_gain", i)) {
      for (let t = from; t < to - 1; t++) {
        out.values[t] = given[t];
        out.valid[t] = givenValid === null ? 1 : givenValid[t];
      }
    } else if (batch.hasIn("turns.gt_logprob", i)) {
      const start = firstMeasured === null || firstMeasured[i] === 1 ? first[i] : null;
      gainsInto(logprob, measured, from, to, start, scale, out);
    } else throw batch.missing("turns.gt_logprob", i, "or give the gains themselves as turns.info_gain");
  }
  return out;
}
