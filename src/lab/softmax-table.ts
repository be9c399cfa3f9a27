import type { Random } from "./random.ts";

/**
 * A tabular softmax policy: a row of logits per state, a column per action. π(a | s) = exp θ[s, a] / Σ_b exp θ[s, b].
 * The score of a choice is ∂ log π(a | s) / ∂ θ[s, b] = 1[a = b] − π(b | s); `ascend` adds many of them at once.
 */
export class SoftmaxTable {
  readonly rows: number;
  readonly actions: number;
  /** θ, row after row. */
  readonly logits: Float64Array;
  readonly #probabilities: Float64Array;
  /** 1 where the probabilities of a row are those of its logits. */
  readonly #fresh: Uint8Array;
  readonly #gradient: Float64Array;

  /** @param logits start of the policy, `rows` × `actions` numbers; all zero (uniform) when left out. */
  constructor(rows: number, actions: number, logits?: ArrayLike<number>) {
    this.rows = rows;
    this.actions = actions;
    this.logits = new Float64Array(rows * actions);
    if (logits !== undefined) this.logits.set(logits);
    this.#probabilities = new Float64Array(rows * actions);
    this.#fresh = new Uint8Array(rows);
    this.#gradient = new Float64Array(rows * actions);
  }

  /** Probabilities of the actions in one state: a view that the next change of the policy makes stale. */
  probabilities(row: number): Float64Array {
    const { actions, logits } = this;
    const from = row * actions;
    const view = this.#probabilities.subarray(from, from + actions);
    if (this.#fresh[row] === 1) return view;
    let top = Number.NEGATIVE_INFINITY;
    for (let a = 0; a < actions; a++) top = Math.max(top, logits[from + a]);
    let total = 0;
    for (let a = 0; a < actions; a++) {
      view[a] = Math.exp(logits[from + a] - top);
      total += view[a];
    }
    for (let a = 0; a < actions; a++) view[a] /= total;
    this.#fresh[row] = 1;
    return view;
  }

  /** π(action | row). */
  probability(row: number, action: number): number {
    return this.probabilities(row)[action];
  }

  /** log π(action | row). */
  logProbability(row: number, action: number): number {
    return Math.log(this.probability(row, action));
  }

  /** Entropy of one row in nats. */
  entropy(row: number): number {
    return this.probabilities(row).reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0);
  }

  sample(row: number, random: Random): number {
    return random.choose(this.probabilities(row));
  }

  /** Adds weight · ∂ log π(action | row) / ∂ θ to the gradient that the next `ascend` follows. */
  accumulate(row: number, action: number, weight: number): void {
    if (weight === 0) return;
    const from = row * this.actions;
    const p = this.probabilities(row);
    for (let b = 0; b < this.actions; b++) this.#gradient[from + b] -= weight * p[b];
    this.#gradient[from + action] += weight;
  }

  /** The gradient gathered so far: a view, to be read, scaled or clipped before `ascend`. */
  get gradient(): Float64Array {
    return this.#gradient;
  }

  /** θ ← θ + rate · gradient, and an empty gradient again. */
  ascend(rate: number): void {
    for (let k = 0; k < this.logits.length; k++) this.logits[k] += rate * this.#gradient[k];
    this.#gradient.fill(0);
    this.changed();
  }

  /** Has to be called after `logits` was written to directly. */
  changed(): void {
    this.#fresh.fill(0);
  }

  /** An independent copy, gradient left out. */
  copy(): SoftmaxTable {
    return new SoftmaxTable(this.rows, this.actions, this.logits);
  }
}
