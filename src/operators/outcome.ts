import { type Batch, InputError, type NumericArray } from "../rollouts/index.ts";
import { policyMask, policyNumbers } from "./mask.ts";

/** Outcomes of all rollouts and which of them were scored (`null` = all). */
export interface Outcomes {
  rewards: NumericArray;
  scored: Uint8Array | null;
}

/**
 * The outcome of each rollout from `reward_column`: a rollout-level column, or `tokens.reward` summed over policy tokens.
 * Null stays legal and is marked as not scored.
 * @throws InputError when a rollout lacks the column.
 */
export function outcomes(batch: Batch, column = "rollout.reward"): Outcomes {
  if (column === "tokens.reward") return { rewards: sumOverPolicyTokens(batch, column), scored: null };
  const found = batch.column(column);
  if (found.level !== "rollout") {
    throw new InputError("reward_column must be a rollout-level column or tokens.reward", { column });
  }
  const lacking = found.present?.indexOf(0) ?? -1;
  if (lacking >= 0) throw batch.missing(column, lacking);
  return { rewards: batch.numbers(column, { missing: 0 }), scored: batch.validity(column) };
}

/**
 * Outcomes of all rollouts, for methods where each of them has to be scored.
 * @throws InputError when a rollout lacks the column or its outcome is null.
 */
export function knownOutcomes(batch: Batch, column = "rollout.reward"): NumericArray {
  const { rewards, scored } = outcomes(batch, column);
  const unknown = scored === null ? -1 : scored.indexOf(0);
  if (unknown >= 0) throw batch.wrongValue(column, unknown, "a number", "null");
  return rewards;
}

/** Sum of a token column over the policy tokens of each rollout. */
export function sumOverPolicyTokens(batch: Batch, path: string): Float64Array {
  const values = policyNumbers(batch, path);
  const mask = policyMask(batch);
  const offsets = batch.offsets("token");
  const sums = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    let sum = 0;
    for (let t = offsets[i]; t < offsets[i + 1]; t++) if (mask === null || mask[t] === 1) sum += values[t];
    sums[i] = sum;
  }
  return sums;
}
