/** What a vote gave: the key with the largest total weight, and that total. */
export interface Winner<K> {
  key: K;
  total: number;
}

/**
 * Vote over equal keys: the weights of each key are added up and the largest total wins. Keys are gone through by first
 * appearance, and a later one wins only if it has more than `slack` more, so that ties go to the key seen first.
 * @param weights one per key; default: one vote each, which is the majority vote.
 * @returns `null` when there are no keys.
 */
export function weightedVote<K>(
  keys: readonly K[],
  weights: ArrayLike<number> | null = null,
  slack = 1e-12,
): Winner<K> | null {
  const totals = new Map<K, number>();
  keys.forEach((key, k) => {
    totals.set(key, (totals.get(key) ?? 0) + (weights === null ? 1 : weights[k]));
  });
  let best: Winner<K> | null = null;
  for (const [key, total] of totals) if (best === null || total > best.total + slack) best = { key, total };
  return best;
}
