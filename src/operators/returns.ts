import type { FloatArray, NumericArray } from "../rollouts/index.ts";

/**
 * What a row with mask 0 does to a running sum: nothing (`skip`), it costs one discount like any other row (`count`),
 * or it forgets everything (`reset`). Such a row is never read and never pays.
 */
export type MaskGap = "skip" | "count" | "reset";

export interface ReturnsInput {
  /** Chains of rows: chain c holds rows [offsets[c], offsets[c + 1]). */
  offsets: Int32Array;
  /** Reward of each row; `null` or absent when only `last` pays. */
  rewards?: NumericArray | null;
  /** Reward added on the last row of each chain that counts. */
  last?: ArrayLike<number> | null;
  /** Sum beyond the end of each chain (before its start, for forward sums); default 0. */
  bootstrap?: ArrayLike<number> | null;
  /** Rows that count (1). Default: all. */
  mask?: Uint8Array | null;
  /** Default `skip`. */
  gap?: MaskGap;
  /** Discount per row, 0 to 1. */
  gamma: number;
}

/**
 * Returns to go along any chain of rows: G_t = x_t + γ G_{t'}, t' the next row that counts.
 * Writes into `out` (one per row); rows with mask 0 are left as they are.
 */
export function reverseSumsInto(input: ReturnsInput, out: FloatArray): void {
  const { offsets, gamma } = input;
  const { rewards = null, last = null, bootstrap = null, mask = null, gap = "skip" } = input;
  const acrossGap = gap === "skip" ? 1 : gap === "count" ? gamma : 0;
  for (let chain = 0; chain + 1 < offsets.length; chain++) {
    let carry = bootstrap === null ? 0 : bootstrap[chain];
    let final = last === null ? 0 : last[chain];
    for (let t = offsets[chain + 1] - 1; t >= offsets[chain]; t--) {
      if (mask !== null && mask[t] === 0) {
        carry *= acrossGap;
        continue;
      }
      carry = (rewards === null ? final : rewards[t] + final) + gamma * carry;
      final = 0;
      out[t] = carry;
    }
  }
}

/**
 * Discounted sums of what came before: F_t = x_t + γ F_{t'}, t' the last row before t that counts.
 * Writes into `out` (one per row); rows with mask 0 are left as they are. `last` pays on the last row that counts.
 */
export function forwardSumsInto(input: ReturnsInput, out: FloatArray): void {
  const { offsets, gamma } = input;
  const { rewards = null, last = null, bootstrap = null, mask = null, gap = "skip" } = input;
  const acrossGap = gap === "skip" ? 1 : gap === "count" ? gamma : 0;
  for (let chain = 0; chain + 1 < offsets.length; chain++) {
    let carry = bootstrap === null ? 0 : bootstrap[chain];
    let end = -1;
    for (let t = offsets[chain]; t < offsets[chain + 1]; t++) {
      if (mask !== null && mask[t] === 0) {
        carry *= acrossGap;
        continue;
      }
      carry = (rewards === null ? 0 : rewards[t]) + gamma * carry;
      out[t] = carry;
      end = t;
    }
    if (last !== null && end >= 0) out[end] += last[chain];
  }
}

/**
 * Min-form return: V_t = min(x_t, x_{t+1}, …) over the rows of the chain from t on that count
 * (Stop Summation, arXiv 2504.15275). Writes into `out`; rows with mask 0 are left as they are.
 */
export function reverseMinsInto(
  input: { offsets: Int32Array; rewards: NumericArray; mask?: Uint8Array | null },
  out: FloatArray,
): void {
  const { offsets, rewards, mask = null } = input;
  for (let chain = 0; chain + 1 < offsets.length; chain++) {
    let least = Number.POSITIVE_INFINITY;
    for (let t = offsets[chain + 1] - 1; t >= offsets[chain]; t--) {
      if (mask !== null && mask[t] === 0) continue;
      if (rewards[t] < least) least = rewards[t];
      out[t] = least;
    }
  }
}
