/** Mean and spread of gradients that come in one by one. */
export class GradientMoments {
  readonly #sum: Float64Array;
  readonly #squares: Float64Array;
  #count = 0;

  constructor(size: number) {
    this.#sum = new Float64Array(size);
    this.#squares = new Float64Array(size);
  }

  /** @param weight how much this gradient counts, as its probability in an enumeration. */
  add(gradient: ArrayLike<number>, weight = 1): void {
    this.#count += weight;
    for (let k = 0; k < gradient.length; k++) {
      this.#sum[k] += weight * gradient[k];
      this.#squares[k] += weight * gradient[k] * gradient[k];
    }
  }

  get mean(): Float64Array {
    return this.#sum.map((x) => x / this.#count);
  }

  /** Population variance, summed over all parameters. */
  get variance(): number {
    const { mean } = this;
    return this.#squares.reduce((sum, square, k) => sum + square / this.#count - mean[k] * mean[k], 0);
  }
}

/** Euclidean length. */
export function norm(v: Float64Array): number {
  return Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
}

/** Euclidean distance. */
export function distance(u: Float64Array, v: ArrayLike<number>): number {
  return norm(u.map((x, k) => x - v[k]));
}
