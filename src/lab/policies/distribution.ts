import type { Random } from "../random.ts";
import type { Sampling } from "./policy.ts";

/** Softmax over some of the entries of a row of logits, with room to work in that is used again for every row. */
export class Distribution {
  readonly size: number;
  /** Probabilities after the last `of` or `draw`. */
  readonly probabilities: Float64Array;
  /** Entropy in nats of the last row given to `of`. */
  entropy = 0;
  #logits: ArrayLike<number> = [];
  #from = 0;
  /** First of the likeliest entries. */
  #best = 0;
  #logTotal = 0;
  readonly #order: Int32Array;

  constructor(size: number) {
    this.size = size;
    this.probabilities = new Float64Array(size);
    this.#order = new Int32Array(size);
  }

  /**
   * π(k) = exp(z_k) / Σ_j exp(z_j) over the allowed entries of `logits[from …]`; the others have 0.
   * @param allowed 1 where an entry counts; null: all.
   */
  of(logits: ArrayLike<number>, from: number, allowed: Uint8Array | null): void {
    const { size, probabilities: p } = this;
    let best = -1;
    for (let k = 0; k < size; k++) {
      if (allowed !== null && allowed[k] === 0) continue;
      if (best < 0 || logits[from + k] > logits[from + best]) best = k;
    }
    const top = logits[from + best];
    let total = 0;
    let sum = 0;
    for (let k = 0; k < size; k++) {
      if (allowed !== null && allowed[k] === 0) {
        p[k] = 0;
        continue;
      }
      const z = logits[from + k] - top;
      p[k] = Math.exp(z);
      total += p[k];
      sum += p[k] * z;
    }
    for (let k = 0; k < size; k++) p[k] /= total;
    this.#logits = logits;
    this.#from = from;
    this.#best = best;
    this.#logTotal = top + Math.log(total);
    this.entropy = Math.max(0, Math.log(total) - sum / total);
  }

  /** log π(k) of the row given to `of`, for an allowed k. */
  logprob(k: number): number {
    return Math.min(0, this.#logits[this.#from + k] - this.#logTotal);
  }

  /**
   * Draws an entry of the row given to `of`, at a temperature and among the likeliest ones. Afterwards `probabilities`
   * are those that were drawn from.
   */
  draw(random: Random, { temperature = 1, topP = 1 }: Sampling): number {
    if (temperature !== 1) this.#temper(temperature);
    if (topP < 1) this.#truncate(topP);
    return random.choose(this.probabilities);
  }

  /** p^(1/temperature), normalised; at 0 all on the first of the likeliest. */
  #temper(temperature: number): void {
    const { size, probabilities: p } = this;
    if (temperature === 0) {
      p.fill(0);
      p[this.#best] = 1;
      return;
    }
    const top = this.#logits[this.#from + this.#best];
    let total = 0;
    for (let k = 0; k < size; k++) {
      if (p[k] > 0) p[k] = Math.exp((this.#logits[this.#from + k] - top) / temperature);
      total += p[k];
    }
    for (let k = 0; k < size; k++) p[k] /= total;
  }

  /** Keeps the fewest likeliest entries that together reach `topP` (lower index first among equals). */
  #truncate(topP: number): void {
    const { size, probabilities: p } = this;
    const order = this.#order;
    for (let k = 0; k < size; k++) order[k] = k;
    order.sort((a, b) => p[b] - p[a] || a - b);
    let kept = 0;
    let total = 0;
    // Sums of rounded numbers may fall short of a bound that they equal.
    while (kept < size && total < topP - 1e-12) total += p[order[kept++]];
    for (let k = kept; k < size; k++) p[order[k]] = 0;
    for (let k = 0; k < kept; k++) p[order[k]] /= total;
  }
}
