import { AdamW } from "../optimisers/adamw.ts";

const rate = 0.05;

/** Items of a set that is written as a bit mask, in rising order. */
export function bitsOf(state: number): number[] {
  const items: number[] = [];
  for (let item = 0; 1 << item <= state; item++) if (state & (1 << item)) items.push(item);
  return items;
}

/** A flow over sets that grow item by item: a row of logits and a log flow for every set, trained by Adam. */
export class SetFlow {
  readonly items: number;
  /** How many items a finished set has. */
  readonly size: number;
  readonly logFlow: Float64Array;
  readonly #logits: Float64Array;
  readonly #gradient: Record<"flow" | "logits", Float64Array>;
  readonly #optimiser = new AdamW({ schedule: () => rate });

  constructor(items: number, size: number) {
    this.items = items;
    this.size = size;
    const states = 1 << items;
    this.logFlow = new Float64Array(states);
    this.#logits = new Float64Array(states * items);
    this.#gradient = { flow: new Float64Array(states), logits: new Float64Array(states * items) };
  }

  /** Chances of the items to be added next; 0 for those that are in the set. */
  policy(state: number): Float64Array {
    const from = state * this.items;
    const weights = this.#logits.slice(from, from + this.items);
    const top = weights.reduce((a, b) => Math.max(a, b));
    let total = 0;
    for (let item = 0; item < this.items; item++) {
      weights[item] = state & (1 << item) ? 0 : Math.exp(weights[item] - top);
      total += weights[item];
    }
    for (let item = 0; item < this.items; item++) weights[item] /= total;
    return weights;
  }

  /**
   * Adds slope times the gradient of a transition's residual, log F(set) + log P(item) − log F(next), to that of the next
   * `step`. A next set of null has a fixed flow.
   */
  accumulate(state: number, item: number, next: number | null, slope: number): void {
    const { flow, logits } = this.#gradient;
    flow[state] += slope;
    if (next !== null) flow[next] -= slope;
    const from = state * this.items;
    this.policy(state).forEach((p, k) => {
      logits[from + k] += slope * ((k === item ? 1 : 0) - p);
    });
  }

  /** One step of Adam down the gradient. */
  step(): void {
    this.#optimiser.update({ flow: this.logFlow, logits: this.#logits }, this.#gradient);
    this.#gradient.flow.fill(0);
    this.#gradient.logits.fill(0);
  }

  /**
   * The exact distribution of finished sets, judged against the one proportional to exp(−energy): total variation, and
   * mean log reward.
   */
  judge(energies: Float64Array): { distance: number; logReward: number } {
    const states = 1 << this.items;
    const reached = new Float64Array(states);
    reached[0] = 1;
    const finished: { chance: number; energy: number }[] = [];
    for (let state = 0; state < states; state++) {
      if (reached[state] === 0) continue;
      const items = bitsOf(state);
      if (items.length === this.size) {
        finished.push({ chance: reached[state], energy: items.reduce((sum, item) => sum + energies[item], 0) });
        continue;
      }
      this.policy(state).forEach((p, item) => {
        if (p > 0) reached[state | (1 << item)] += reached[state] * p;
      });
    }
    const total = finished.reduce((sum, { energy }) => sum + Math.exp(-energy), 0);
    const distance = finished.reduce((sum, f) => sum + Math.abs(f.chance - Math.exp(-f.energy) / total), 0) / 2;
    return { distance, logReward: finished.reduce((sum, f) => sum - f.chance * f.energy, 0) };
  }
}
