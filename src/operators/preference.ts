import { sigmoid, softplus } from "./scalars.ts";

/** Loss of a set of preferences and its derivative by each margin. */
export interface PreferenceLoss {
  loss: number;
  gradient: Float64Array;
}

/**
 * Negative log-likelihood of preferences under the Bradley-Terry model: Σ_k w_k softplus(−z_k) / (Σ_k w_k + eps), z_k the
 * score of the preferred one minus that of the other; with z = β × difference of log-ratios it is the loss of DPO.
 * Derivative by z_k: −w_k σ(−z_k) / (Σ w + eps). Both are 0 when the weights sum to 0.
 * @param weights one per margin, 0 or more; default 1 each.
 * @param eps added to the sum of the weights.
 */
export function preferenceLoss(
  margins: ArrayLike<number>,
  weights: ArrayLike<number> | null = null,
  eps = 0,
): PreferenceLoss {
  const gradient = new Float64Array(margins.length);
  let loss = 0;
  let total = 0;
  for (let k = 0; k < gradient.length; k++) {
    const weight = weights === null ? 1 : weights[k];
    if (weight === 0) continue;
    total += weight;
    loss += weight * softplus(-margins[k]);
    gradient[k] = 0 - weight * sigmoid(-margins[k]);
  }
  if (total === 0) return { loss: 0, gradient };
  for (let k = 0; k < gradient.length; k++) if (gradient[k] !== 0) gradient[k] /= total + eps;
  return { loss: loss / (total + eps), gradient };
}
