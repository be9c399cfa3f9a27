import type { Groups } from "../../rollouts/index.ts";

/** What a rollout needs to be ranked: the exponent of its perplexity, the length of its reasoning, and whether it counts. */
export interface Ranked {
  /** log ppl = −(L/n) / max(1, 1 + log10(length)): the order of the perplexities without their overflow. */
  logPerplexity: Float64Array;
  lengths: ArrayLike<number>;
  valid: ArrayLike<number>;
}

/** Divisor by which NOVER makes the perplexity after a long reasoning comparable: 1 + log10(length), at least 1. */
export function lengthDivisor(length: number): number {
  return length === 0 ? 1 : Math.max(1, 1 + Math.log10(length));
}

/**
 * Rewards that a rollout earns against the rest of its group, over the V valid ones: `reason` = (V − k) / V for rank k
 * (0 = least perplexity; equal: earlier first), `efficiency` = share of the others that are both longer and more perplexed.
 * 0 for rollouts that are not valid. O(V²) per group.
 */
export function rankRewards({ logPerplexity, lengths, valid }: Ranked, groups: Groups) {
  const reason = new Float64Array(logPerplexity.length);
  const efficiency = new Float64Array(logPerplexity.length);
  for (let g = 0; g < groups.count; g++) {
    const members = groups.members.subarray(groups.offsets[g], groups.offsets[g + 1]).filter((i) => valid[i] === 1);
    const order = members.slice().sort((i, j) => logPerplexity[i] - logPerplexity[j] || i - j);
    order.forEach((i, rank) => {
      reason[i] = (order.length - rank) / order.length;
      if (order.length < 2) return;
      let beaten = 0;
      for (const j of order) if (lengths[i] < lengths[j] && logPerplexity[i] < logPerplexity[j]) beaten++;
      efficiency[i] = beaten / (order.length - 1);
    });
  }
  return { reason, efficiency };
}
