import type { FloatArray, NumericArray } from "../rollouts/index.ts";

export interface GaeInput {
  /** Chains of rows: chain c holds rows [offsets[c], offsets[c + 1]). */
  offsets: Int32Array;
  /** V of the state before the row. */
  values: NumericArray;
  /** Reward of each row, `null` when only `last` pays. */
  rewards?: NumericArray | null;
  /** Reward added on the last row of each chain that counts. */
  last?: ArrayLike<number> | null;
  /** V after the last row of each chain; default 0. */
  bootstrap?: ArrayLike<number> | null;
  /** Rows with mask 0 are skipped entirely: neither read nor charged a factor. */
  mask?: Uint8Array | null;
  /** Rows with done 1 end an episode: nothing flows back over them. */
  done?: Uint8Array | null;
  gamma: number;
  lam: number;
}

/**
 * Generalized advantage estimation over any chain of rows (tokens, turns, segments), arXiv 1506.02438 eq. 16:
 * δ_t = r_t + γ V_{t'} − V_t,  A_t = δ_t + γλ A_{t'},  return_t = A_t + V_t, with t' the next row that counts.
 * Writes into `advantage` and `returns` (one per row); rows that do not count are left as they are.
 */
export function gaeInto(input: GaeInput, advantage: FloatArray, returns: FloatArray): void {
  const { offsets, values, gamma, lam } = input;
  const { rewards = null, last = null, bootstrap = null, mask = null, done = null } = input;
  const decay = gamma * lam;
  for (let chain = 0; chain + 1 < offsets.length; chain++) {
    let next = bootstrap === null ? 0 : bootstrap[chain];
    let final = last === null ? 0 : last[chain];
    let carry = 0;
    for (let t = offsets[chain + 1] - 1; t >= offsets[chain]; t--) {
      if (mask !== null && mask[t] === 0) continue;
      if (done !== null && done[t] === 1) {
        next = 0;
        carry = 0;
      }
      const value = values[t];
      const reward = rewards === null ? final : rewards[t] + final;
      carry = reward + gamma * next - value + decay * carry;
      advantage[t] = carry;
      returns[t] = carry + value;
      next = value;
      final = 0;
    }
  }
}
