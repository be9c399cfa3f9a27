import type { Batch, NumericArray } from "../rollouts/index.ts";

/**
 * The policy mask of all tokens: 1 where the policy wrote the token, 0 where the environment did; `null` when the policy
 * wrote them all. Rollouts without `tokens.mask` count as all 1.
 * @throws InputError when the column holds anything but 0 and 1.
 */
export function policyMask(batch: Batch): Uint8Array | null {
  return batch.memo("policy mask", () => {
    if (!batch.has("tokens.mask")) return null;
    const given = batch.numbers("tokens.mask", { absent: 1 });
    let zeros = 0;
    for (let t = 0; t < given.length; t++) {
      const m = given[t];
      if (m !== 0 && m !== 1) throw batch.wrongValue("tokens.mask", t, "0 or 1", `${m}`);
      zeros += 1 - m;
    }
    if (zeros === 0) return null;
    return given instanceof Uint8Array ? given : Uint8Array.from(given);
  });
}

/** Number of policy tokens (mask 1) of each rollout; all 0 where there are no tokens. */
export function policyLengths(batch: Batch): Int32Array {
  return batch.memo("policy lengths", () => {
    const offsets = batch.offsets("token");
    const mask = policyMask(batch);
    const lengths = new Int32Array(batch.size);
    for (let i = 0; i < batch.size; i++) {
      if (mask === null) lengths[i] = offsets[i + 1] - offsets[i];
      else for (let t = offsets[i]; t < offsets[i + 1]; t++) lengths[i] += mask[t];
    }
    return lengths;
  });
}

/** The last policy token of each rollout as a token row of the batch, -1 where there is none. */
export function lastPolicyTokens(batch: Batch): Int32Array {
  return batch.memo("last policy tokens", () => {
    const offsets = batch.offsets("token");
    const mask = policyMask(batch);
    const last = new Int32Array(batch.size);
    for (let i = 0; i < batch.size; i++) {
      let t = offsets[i + 1] - 1;
      if (mask !== null) while (t >= offsets[i] && mask[t] === 0) t--;
      last[i] = t >= offsets[i] ? t : -1;
    }
    return last;
  });
}

/**
 * Numbers of a token column of which only policy tokens are read: null is legal on tokens of the environment, where a
 * log-probability, value or reward means nothing (0 stands there), and an error on policy tokens.
 * @param absent value for rollouts that lack the column; default: that is an error.
 */
export function policyNumbers(batch: Batch, path: string, absent?: number): NumericArray {
  const mask = policyMask(batch);
  const column = batch.find(path);
  if (mask === null || column?.kind !== "number" || column.valid === null) return batch.numbers(path, { absent });
  const { valid } = column;
  const offsets = batch.offsets("token");
  for (let i = 0; i < batch.size; i++) {
    if (!batch.hasIn(path, i)) continue;
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      if (mask[t] === 1 && valid[t] === 0) throw batch.wrongValue(path, t, "a number", "null");
    }
  }
  return batch.numbers(path, { absent, missing: 0 });
}
