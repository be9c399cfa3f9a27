import type { Random } from "./random.ts";

/**
 * Values of the actions of every state, learned by one-step temporal differences (tabular Q-learning), all 0 at first.
 */
export class QTable {
  readonly #actions: number;
  readonly #values: Float64Array;

  constructor(states: number, actions: number) {
    this.#actions = actions;
    this.#values = new Float64Array(states * actions);
  }

  /** The value of the best action. */
  best(state: number): number {
    let best = Number.NEGATIVE_INFINITY;
    for (let a = 0; a < this.#actions; a++) best = Math.max(best, this.#values[state * this.#actions + a]);
    return best;
  }

  /** An action: any with probability `explore`, else one of the best, ties broken at random. */
  choose(state: number, explore: number, random: Random): number {
    if (explore > 0 && random.uniform() < explore) return random.below(this.#actions);
    const best = this.best(state);
    let ties = 0;
    let chosen = 0;
    for (let a = 0; a < this.#actions; a++) {
      if (this.#values[state * this.#actions + a] === best && random.below(++ties) === 0) chosen = a;
    }
    return chosen;
  }

  /** Q(s, a) += rate · (target − Q(s, a)). */
  learn(state: number, action: number, target: number, rate: number): void {
    const k = state * this.#actions + action;
    this.#values[k] += rate * (target - this.#values[k]);
  }
}
