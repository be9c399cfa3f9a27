import type { Batch, FloatArray, NumericArray } from "../rollouts/index.ts";
import { lastPolicyTokens, policyMask, policyNumbers } from "./mask.ts";

/** Rewards of tokens in two parts, as the kernels of returns and of GAE take them: none of it is copied. */
export interface TokenRewards {
  /** Reward per token; `null` when no rollout has any. Only policy tokens are meant to be read. */
  rewards: NumericArray | null;
  /** Per rollout what is added on its last policy token; `null` when nothing is. */
  last: ArrayLike<number> | null;
}

/**
 * Token rewards: `tokens.reward` where a rollout has it, else its outcome on its last policy token.
 * @param outcome outcomes to use (one per rollout); default `rollout.reward`.
 * @throws InputError when a rollout has neither, or its outcome is null.
 */
export function tokenRewards(batch: Batch, outcome?: ArrayLike<number>): TokenRewards {
  if (!batch.has("tokens.reward")) return { rewards: null, last: outcome ?? batch.numbers("rollout.reward") };
  const rewards = policyNumbers(batch, "tokens.reward", 0);
  if (batch.has("tokens.reward", "every")) return { rewards, last: null };
  const given = outcome ?? batch.numbers("rollout.reward", { missing: 0, absent: 0 });
  const scored = outcome === undefined ? batch.validity("rollout.reward") : null;
  const last = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    if (batch.hasIn("tokens.reward", i)) continue;
    if (scored !== null && scored[i] === 0) throw batch.missing("tokens.reward or rollout.reward", i);
    last[i] = given[i];
  }
  return { rewards, last };
}

/**
 * Token rewards as one array: tokens of the environment get 0; an outcome without a policy token to sit on is lost.
 * @param like width of the result; default that of the batch.
 */
export function placedTokenRewards(batch: Batch, parts: TokenRewards, like?: NumericArray): FloatArray {
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
