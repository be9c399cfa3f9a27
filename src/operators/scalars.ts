/** The logistic function 1 / (1 + e^−x), without overflow for any finite x. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/** log(1 + e^x), without overflow and without losing small values: e^x for very negative x. */
export function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** log σ(x) = −log(1 + e^−x), finite for every finite x. */
export function logSigmoid(x: number): number {
  return 0 - softplus(-x);
}

/**
 * log Σ e^x over values[from] … values[to − 1], with the maximum subtracted before exp.
 * The sum over nothing is 0, so its logarithm is −Infinity.
 */
export function logSumExp(values: ArrayLike<number>, from = 0, to = values.length): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) if (values[i] > max) max = values[i];
  if (max === Number.NEGATIVE_INFINITY || max === Number.POSITIVE_INFINITY) return max;
  let sum = 0;
  for (let i = from; i < to; i++) sum += Math.exp(values[i] - max);
  return max + Math.log(sum);
}

/** log of the mean of e^x over values[from] … values[to − 1]; −Infinity when there is none. */
export function logMeanExp(values: ArrayLike<number>, from = 0, to = values.length): number {
  return to <= from ? Number.NEGATIVE_INFINITY : logSumExp(values, from, to) - Math.log(to - from);
}

const sqrtTwoPi = Math.sqrt(2 * Math.PI);

/** Density of the standard normal distribution. */
export function normalPdf(x: number): number {
  return Math.exp(-0.5 * x * x) / sqrtTwoPi;
}

/** Upper tail P(Z > x) for x ≥ 0: a series near 0, Laplace's continued fraction (evaluated by Lentz's scheme) beyond. */
function upperTail(x: number): number {
  if (x > 39) return 0;
  if (x < 3) {
    // Φ(x) − ½ = φ(x) Σ x^(2k+1) / (1·3·5…(2k+1)): all terms positive, so nothing cancels.
    let term = x;
    let sum = x;
    for (let k = 1; term > sum * 1e-17; k++) {
      term *= (x * x) / (2 * k + 1);
      sum += term;
    }
    return 0.5 - normalPdf(x) * sum;
  }
  // P(Z > x) = φ(x) / (x + 1 / (x + 2 / (x + 3 / (x + …)))).
  let f = x;
  let c = x;
  let d = 0;
  for (let k = 1; k < 500; k++) {
    d = 1 / (x + k * d);
    c = x + k / c;
    f *= c * d;
    if (Math.abs(c * d - 1) < 1e-16) break;
  }
  return normalPdf(x) / f;
}

/** Distribution function of the standard normal distribution; absolute error below 1e-15, relative below 1e-12 in the tails. */
export function normalCdf(x: number): number {
  return x > 0 ? 1 - upperTail(x) : upperTail(-x);
}

function polynomial(coefficients: readonly number[], x: number): number {
  let value = 0;
  for (const c of coefficients) value = value * x + c;
  return value;
}

/**
 * Quantile of the standard normal distribution: the x with normalCdf(x) = p.
 * A rational start is refined by Halley's method on the distribution function until it stands still.
 * @param p strictly between 0 and 1; 0 and 1 give −Infinity and Infinity, anything else NaN.
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) {
    if (p === 0) return Number.NEGATIVE_INFINITY;
    return p === 1 ? Number.POSITIVE_INFINITY : Number.NaN;
  }
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p === 0.5) return 0;
  // Abramowitz and Stegun 26.2.23: within 4.5e-4.
  const t = Math.sqrt(-2 * Math.log(p));
  const top = polynomial([0.010328, 0.802853, 2.515517], t);
  const bottom = polynomial([0.001308, 0.189269, 1.432788, 1], t);
  let x = top / bottom - t;
  for (let k = 0; k < 6; k++) {
    const density = normalPdf(x);
    if (density === 0) break;
    const step = (normalCdf(x) - p) / density;
    const next = x - step / (1 + 0.5 * x * step);
    if (next === x || Math.abs(next - x) < 1e-15 * Math.abs(x)) return next;
    x = next;
  }
  return x;
}
