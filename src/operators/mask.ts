import { type Batch, InputError, type NumericArray } from "../rollouts/index.ts";
import { policyRuns } from "./runs.ts";

/**
 * The policy mask of all tokens: 1 where the policy wrote the token, 0 where the environment did; `null` when the policy
 * wrote them all. Rollouts without `tokens.mask` count as all 1.
 * @throws InputError when the column holds anything but 0 and 1.
 */
export function policyMask(batch: Batch): Uint8Array | null {
  return batch.memo("policy mask", () => {
    if (!batch.has("tokens.mask")) return null;
    const given = batch.numbers("tokens.mask", { absent: 1 });
    const mask = given instanceof Uint8Array ? given : zeroOrOne(batch, given);
    const seen = bitsSeen(mask);
    if (seen.or > 1) zeroOrOne(batch, mask);
    return seen.and === 1 ? null : mask;
  }, ["tokens.mask"]);
}

function zeroOrOne(batch: Batch, values: NumericArray): Uint8Array {
  const wrong = values.findIndex((m) => m !== 0 && m !== 1);
  if (wrong >= 0) throw batch.wrongValue("tokens.mask", wrong, "0 or 1", `${values[wrong]}`);
  return Uint8Array.from(values);
}

/** Bitwise OR and AND of all bytes, four at a time. */
function bitsSeen(bytes: Uint8Array): { or: number; and: number } {
  let or = 0;
  let and = -1;
  let from = 0;
  if (bytes.byteOffset % 4 === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    for (let k = 0; k < words.length; k++) {
      or |= words[k];
      and &= words[k];
    }
    from = words.length * 4;
  }
  or |= (or >>> 16) | (or >>> 8) | (or >>> 24);
  and &= (and >>> 16) & (and >>> 8) & (and >>> 24);
  for (let t = from; t < bytes.length; t++) {
    or |= bytes[t];
    and &= bytes[t];
  }
  return { or: or & 255, and: and & 255 };
}

/** Number of policy tokens (mask 1) of each rollout; all 0 where there are no tokens. */
export function policyLengths(batch: Batch): Int32Array {
  return batch.memo("policy lengths", () => {
    const { offsets, starts, ends } = policyRuns(batch);
    const lengths = new Int32Array(batch.size);
    for (let i = 0; i < batch.size; i++) {
      for (let run = offsets[i]; run < offsets[i + 1]; run++) lengths[i] += ends[run] - starts[run];
    }
    return lengths;
  }, ["tokens.mask"]);
}

/** The last policy token of each rollout as a token row of the batch, -1 where there is none. */
export function lastPolicyTokens(batch: Batch): Int32Array {
  return batch.memo("last policy tokens", () => {
    const { offsets, ends } = policyRuns(batch);
    const last = new Int32Array(batch.size);
    for (let i = 0; i < batch.size; i++) last[i] = offsets[i + 1] > offsets[i] ? ends[offsets[i + 1] - 1] - 1 : -1;
    return last;
  }, ["tokens.mask"]);
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

/**
 * For methods that put credit on tokens and mean nothing without them.
 * @throws InputError naming the first rollout that has no `tokens`. An empty response has them.
 */
export function requireTokens(batch: Batch): void {
  const { present } = batch.rows("token");
  const lacking = present?.indexOf(0) ?? -1;
  if (lacking < 0) return;
  throw new InputError("the rollout has no tokens", { rollout: batch.ids[lacking], expected: "a `tokens` level" });
}
