import { type Batch, type FloatArray, levelKey, type NumericArray } from "../rollouts/index.ts";
import { lastPolicyTokens, policyMask, policyNumbers } from "./mask.ts";

/** Rewards of rows in two parts, as the kernels of returns and of GAE take them: none of it is copied. */
export interface RowRewards {
  /** Reward per row; `null` when no rollout has any. Of tokens only policy tokens are meant to be read. */
  rewards: NumericArray | null;
  /** Per rollout what is added on its last row that counts; `null` when nothing is. */
  last: ArrayLike<number> | null;
}

/**
 * Rewards of the rows of a level: `LEVEL.reward` where a rollout has it, else its outcome on its last row.
 * @param outcome outcomes to use (one per rollout); default `rollout.reward`.
 * @throws InputError when a rollout has neither, or its outcome is null.
 */
export function rowRewards(batch: Batch, level: "turn" | "step" | "token", outcome?: ArrayLike<number>): RowRewards {
  const path = `${levelKey(level)}.reward`;
  if (!batch.has(path)) return { rewards: null, last: outcome ?? batch.numbers("rollout.reward") };
  const rewards = level === "token" ? policyNumbers(batch, path, 0) : batch.numbers(path, { absent: 0 });
  if (batch.has(path, "every")) return { rewards, last: null };
  const given = outcome ?? batch.numbers("rollout.reward", { missing: 0, absent: 0 });
  const scored = outcome === undefined ? batch.validity("rollout.reward") : null;
  const last = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    if (batch.hasIn(path, i)) continue;
    if (scored !== null && scored[i] === 0) throw batch.missing(`${path} or rollout.reward`, i);
    last[i] = given[i];
  }
  return { rewards, last };
}

/** Token rewards: `tokens.reward` where a rollout has it, else its outcome on its last policy token; see `rowRewards`. */
export function tokenRewards(batch: Batch, outcome?: ArrayLike<number>): RowRewards {
  return rowRewards(batch, "token", outcome);
}

/**
 * Token rewards as one array: tokens of the environment get 0; an outcome without a policy token to sit on is lost.
 * @param like width of the result; default that of the batch.
 */
export function placedTokenRewards(batch: Batch, parts: RowRewards, like?: NumericArray): FloatArray {
  const { rewards, last } = parts;
  const out = batch.zeros("token", like ?? rewards ?? undefined);
  const mask = policyMask(batch);
  if (rewards !== null) {
    if (mask === null) out.set(rewards);
    else for (let t = 0; t < out.length; t++) if (mask[t] === 1) out[t] = rewards[t];
  }
  if (last !== null) {
    const slots = lastPolicyTokens(batch);
    for (let i = 0; i < slots.length; i++) if (slots[i] >= 0) out[slots[i]] += last[i];
  }
  return out;
}
