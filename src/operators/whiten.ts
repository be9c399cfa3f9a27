import type { FloatArray } from "../rollouts/index.ts";

export interface WhitenSpec {
  /** 0 = population, 1 = sample variance. Default 1. */
  ddof?: 0 | 1;
  /** Added to the variance, inside the root. Default 1e-8. */
  eps?: number;
  /** Divide by the spread (default) or only subtract the mean. */
  scale?: boolean;
}

/** Mean and sum of squared distances over the rows with mask 1. */
export interface MaskedMoments {
  count: number;
  mean: number;
  squares: number;
  min: number;
  max: number;
}

/** Count, mean, squares (two-pass, float64) and extremes of the values with mask 1 (`null` = all). */
export function maskedMoments(values: ArrayLike<number>, mask: Uint8Array | null): MaskedMoments {
  let count = 0;
  let sum = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let t = 0; t < values.length; t++) {
    if (mask !== null && mask[t] === 0) continue;
    const x = values[t];
    count++;
    sum += x;
    if (x < min) min = x;
    if (x > max) max = x;
  }
  const mean = min === max ? min : count > 0 ? sum / count : 0;
  let squares = 0;
  for (let t = 0; t < values.length; t++) {
    if (mask !== null && mask[t] === 0) continue;
    const d = values[t] - mean;
    squares += d * d;
  }
  return { count, mean, squares, min, max };
}

/**
 * Whitens the values with mask 1 in place: (x − mean) / sqrt(var + eps); the others become 0.
 * Fewer than two values, or all equal, give 0.
 */
export function whitenInPlace(values: FloatArray, mask: Uint8Array | null, spec: WhitenSpec = {}): void {
  const { ddof = 1, eps = 1e-8, scale = true } = spec;
  const { count, mean, squares, min, max } = maskedMoments(values, mask);
  if (count < 2 || min === max) {
    values.fill(0);
    return;
  }
  const factor = scale ? 1 / Math.sqrt(squares / (count - ddof) + eps) : 1;
  for (let t = 0; t < values.length; t++) values[t] = mask !== null && mask[t] === 0 ? 0 : (values[t] - mean) * factor;
}
