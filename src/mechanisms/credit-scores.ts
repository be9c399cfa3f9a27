import { pearson, spearman } from "../operators/ranking.ts";

/** How close estimated credit is to the true one. */
export interface CreditScores {
  pearson: number;
  spearman: number;
  /** Share of pivotal steps whose sign is right; null without pivotal steps. */
  signAccuracy: number | null;
  /** Share of the k largest estimates that are pivotal, k the number of pivotal steps, mean over trajectories. */
  topRecall: number | null;
  /** Share of the absolute estimate that lies on pivotal steps, mean over trajectories. */
  pivotalMass: number | null;
  mse: number;
}

/** Below this product of sums of squares a side counts as constant. */
const constantProduct = 1e-24;

function squares(values: readonly number[]): number {
  const mean = values.reduce((sum, x) => sum + x / values.length, 0);
  return values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
}

/** Pearson, 0 when either side is constant. */
function correlation(x: readonly number[], y: readonly number[]): number {
  return squares(x) * squares(y) <= constantProduct ? 0 : (pearson(x, y) ?? 0);
}

const mean = (values: readonly number[]) =>
  values.length === 0 ? null : values.reduce((sum, x) => sum + x, 0) / values.length;

/** Top recall and pivotal mass of one trajectory; null when it has no pivotal step. */
function focus(estimate: readonly number[], pivotal: readonly boolean[]): { recall: number; mass: number } | null {
  const k = pivotal.filter(Boolean).length;
  if (k === 0) return null;
  const size = estimate.map(Math.abs);
  const order = size.map((_, t) => t).sort((a, b) => size[b] - size[a] || a - b);
  const recall = order.slice(0, k).filter((t) => pivotal[t]).length / k;
  const largest = size[order[0]];
  if (largest === 0) return { recall, mass: 0 };
  // In units of the largest one, so that no sum overflows.
  const total = size.reduce((sum, x) => sum + x / largest, 0);
  const caught = size.reduce((sum, x, t) => sum + (pivotal[t] ? x / largest : 0), 0);
  return { recall, mass: caught / total };
}

/**
 * Scores of estimated credit against the true credit of the same steps. Correlations and the mean squared error are over
 * all steps pooled (0 without steps); a step is pivotal when |truth| > eps. O(n log n).
 * @param estimate one list per trajectory, as long as that of `truth`.
 */
export function scoreCredit(
  estimate: readonly (readonly number[])[],
  truth: readonly (readonly number[])[],
  eps = 1e-6,
): CreditScores {
  const x = estimate.flat();
  const y = truth.flat();
  const signs = x.flatMap((value, k) => (Math.abs(y[k]) > eps ? [Number(Math.sign(value) === Math.sign(y[k]))] : []));
  const focused = estimate
    .map((list, i) =>
      focus(
        list,
        truth[i].map((value) => Math.abs(value) > eps),
      ),
    )
    .filter((one) => one !== null);
  const mse = x.reduce((sum, value, k) => sum + (value - y[k]) ** 2 / x.length, 0);
  return {
    pearson: correlation(x, y),
    spearman: spearman(x, y) ?? 0,
    signAccuracy: mean(signs),
    topRecall: mean(focused.map(({ recall }) => recall)),
    pivotalMass: mean(focused.map(({ mass }) => mass)),
    mse: Math.min(mse, Number.MAX_VALUE),
  };
}
