/** What a sample of gradients says about their mean, held against the exact gradient. */
export interface GradientQuality {
  /** Mean cosine of a single gradient with the exact one; 0 for gradients that are all zero. */
  cosine: number;
  /** ‖E g − g*‖² / ‖g*‖², an unbiased estimate: may be a little below 0. */
  bias2: number;
  /** Share of ‖E g‖² that does not lie along g*: what is left of the bias after the best common scale. */
  skew2: number;
  /** ⟨E g, g*⟩ / ‖g*‖²: the scale of the estimate; negative where it points away. */
  scale: number;
  /** E ‖g − E g‖² / ‖E g‖². */
  noise: number;
  /** Root of E ‖g‖². */
  size: number;
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, x, k) => sum + x * b[k], 0);

/**
 * Mean of ⟨x_i, x_j⟩ over all pairs of different gradients: an unbiased estimate of ‖E x‖².
 * @param square ‖Σ x_i‖²
 * @param own Σ ‖x_i‖²
 */
const crossed = (square: number, own: number, n: number) => (square - own) / (n * (n - 1));

/**
 * Bias and variance of a gradient estimator from independent samples of it (at least two).
 * Squared lengths of means are estimated from pairs of different samples, so that the noise of the samples does not count
 * as bias.
 */
export function gradientQuality(samples: readonly Float64Array[], exact: Float64Array): GradientQuality {
  const n = samples.length;
  const sum = new Float64Array(exact.length);
  const length = Math.sqrt(dot(exact, exact));
  let own = 0;
  let alongOwn = 0;
  let along = 0;
  let cosine = 0;
  for (const g of samples) {
    for (let k = 0; k < sum.length; k++) sum[k] += g[k];
    const square = dot(g, g);
    const part = dot(g, exact) / length;
    own += square;
    along += part;
    alongOwn += part * part;
    cosine += square === 0 ? 0 : part / Math.sqrt(square) / n;
  }
  const total = crossed(dot(sum, sum), own, n);
  const parallel = crossed(along * along, alongOwn, n);
  const scale = along / n / length;
  const bias2 = (total - 2 * (along / n) * length + length * length) / (length * length);
  const size = Math.sqrt(own / n);
  if (total <= 0) return { cosine, bias2, skew2: own === 0 ? 0 : 1, scale, noise: 0, size };
  return { cosine, bias2, skew2: (total - parallel) / total, scale, noise: (own / n - total) / total, size };
}
