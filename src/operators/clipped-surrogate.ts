/**
 * Clipped surrogate of PPO (arXiv 1707.06347 eq. 7), to be maximised: min(ρA, clip(ρ, 1 − low, 1 + high) A).
 * A large ratio can only make it −Infinity where A < 0, as the definition says; with A ≥ 0 it is finite.
 * @param ratio ρ = π / π_old of a token, turn or rollout, 0 or more.
 */
export function clippedSurrogate(ratio: number, advantage: number, low: number, high = low): number {
  return advantage >= 0 ? Math.min(ratio, 1 + high) * advantage : Math.max(ratio, 1 - low) * advantage;
}
