import { sigmoid } from "../../operators/scalars.ts";

/** Probabilities are kept this far from 0 and 1, so that their log-odds stay finite. */
const edge = 1e-6;

function clipped(p: number): number {
  return Math.min(Math.max(p, edge), 1 - edge);
}

function logit(p: number): number {
  return Math.log(p) - Math.log1p(-p);
}

/** How much several models disagree about one pair, and how unsure they are. */
export interface Inconsistency {
  /** Mean symmetric KL of the Bernoulli distributions over pairs of models; 0 for one model. */
  consistency: number;
  /** Mean Bernoulli entropy in nats. */
  entropy: number;
  /** consistency + entropyWeight · entropy. */
  penalty: number;
}

/** Inconsistency of the probabilities that several models give to the same preference; at least one of them. */
export function inconsistency(probs: readonly number[], entropyWeight: number): Inconsistency {
  const p = probs.map(clipped);
  const odds = p.map(logit);
  const n = p.length;
  let consistency = 0;
  let entropy = 0;
  for (let k = 0; k < n; k++) {
    entropy -= (p[k] * Math.log(p[k]) + (1 - p[k]) * Math.log1p(-p[k])) / n;
    for (let l = k + 1; l < n; l++) consistency += (p[k] - p[l]) * (odds[k] - odds[l]);
  }
  // Each pair counts half of (p_k − p_l)(logit p_k − logit p_l), and there are n (n − 1) / 2 of them.
  if (n > 1) consistency /= n * (n - 1);
  return { consistency, entropy, penalty: consistency + entropyWeight * entropy };
}

/** Derivative of the penalty by each probability (taken at the clipped values). */
export function inconsistencyGradient(probs: readonly number[], entropyWeight: number): number[] {
  const p = probs.map(clipped);
  const odds = p.map(logit);
  const n = p.length;
  return p.map((x, k) => {
    const apart = p.reduce((sum, y, l) => sum + (odds[k] - odds[l]) + (x - y) / (x * (1 - x)), 0);
    return (n > 1 ? apart / (n * (n - 1)) : 0) - (entropyWeight * odds[k]) / n;
  });
}

/** Label on which all models agree: 1 first better, −1 second better, 0 no agreement beyond the margin. */
export function agreedLabel(probs: readonly number[], margin: number): -1 | 0 | 1 {
  if (probs.every((p) => p > 0.5 + margin)) return 1;
  return probs.every((p) => p < 0.5 - margin) ? -1 : 0;
}

/** Probability of a judge that the first response is better, averaged over both orders of showing them. */
export function bothOrders(forward: readonly [number, number], swapped: readonly [number, number]): number {
  return (sigmoid(forward[0] - forward[1]) + sigmoid(swapped[1] - swapped[0])) / 2;
}
