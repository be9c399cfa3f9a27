import type { SoftmaxTable } from "../softmax-table.ts";

/**
 * One choice of an episode: the row of the policy it was made by, and the action. A row below 0: nothing was chosen.
 */
export interface Decision {
  row: number;
  action: number;
}

/**
 * Adds weight · Σ A · ∂ log π over all decisions of some episodes to the gradient of a policy.
 * @param advantage one number per decision, episode after episode.
 */
export function accumulateDecisions(
  policy: SoftmaxTable,
  episodes: readonly (readonly Decision[])[],
  advantage: ArrayLike<number>,
  weight: number,
): void {
  let k = 0;
  for (const decisions of episodes) {
    for (const { row, action } of decisions) {
      if (row >= 0) policy.accumulate(row, action, weight * advantage[k]);
      k++;
    }
  }
}

/** Mean of the last `count` numbers of a series (of all of them when there are fewer). */
export function tailMean(series: readonly number[], count: number): number {
  const tail = series.slice(-count);
  return tail.reduce((sum, x) => sum + x, 0) / tail.length;
}
