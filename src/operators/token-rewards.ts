import { type Batch, type FloatArray, levelKey, type NumericArray } from "../rollouts/index.ts";
import { logRatios } from "./log-ratio.ts";
import { lastPolicyTokens, policyMask, policyNumbers } from "./mask.ts";

export type RewardLevel = "turn" | "step" | "token";

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
export function rowRewards(batch: Batch, level: RewardLevel, outcome?: ArrayLike<number>): RowRewards {
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
 * Rewards of rows as one array: tokens of the environment get 0; an outcome without a row to sit on is lost.
 * @param like width of the result; default that of the batch.
 */
export function placedRewards(batch: Batch, level: RewardLevel, parts: RowRewards, like?: NumericArray): FloatArray {
  const { rewards, last } = parts;
  const out = batch.zeros(level, like ?? rewards ?? undefined);
  const mask = level === "token" ? policyMask(batch) : null;
  if (rewards !== null) {
    if (mask === null) out.set(rewards);
    else for (let t = 0; t < out.length; t++) if (mask[t] === 1) out[t] = rewards[t];
  }
  if (last === null) return out;
  const slots = level === "token" ? lastPolicyTokens(batch) : null;
  const offsets = batch.offsets(level);
  for (let i = 0; i < batch.size; i++) {
    const slot = slots === null ? offsets[i + 1] - 1 : slots[i];
    if (slot >= offsets[i]) out[slot] += last[i];
  }
  return out;
}

/** Token rewards as one array; see `placedRewards`. */
export function placedTokenRewards(batch: Batch, parts: RowRewards, like?: NumericArray): FloatArray {
  return placedRewards(batch, "token", parts, like);
}

/**
 * Token rewards with the k1 estimate of the KL inside: r_t − coef (log π(y_t) − log π_ref(y_t)) on policy tokens, π the
 * policy that produced the batch. `parts` comes back as it is where coef is 0.
 * @throws InputError when coef is not 0 and a rollout lacks a log-probability column.
 */
export function lessKl(batch: Batch, parts: RowRewards, coef: number): RowRewards {
  if (coef === 0) return parts;
  const kl = logRatios(batch, { policy: "sampler", coef });
  const rewards = placedTokenRewards(batch, parts, kl);
  for (let t = 0; t < kl.length; t++) rewards[t] -= kl[t];
  return { rewards, last: null };
}
