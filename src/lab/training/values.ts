import type { Episode } from "./episodes.ts";

/** What a table of values holds, as a checkpoint keeps it. */
export interface ValueState {
  views: string[];
  values: number[];
}

/**
 * A learned table of values: V(view) moves towards the mean reward that was still to come after it,
 * V ← V + step · (mean − V), once per batch; a view that is met for the first time takes the mean at once.
 */
export class ValueTable {
  readonly #values = new Map<string, number>();
  readonly #step: number;

  constructor(step: number) {
    this.#step = step;
  }

  /** V(view), 0 for a view that was not met yet. */
  value(view: string): number {
    return this.#values.get(view) ?? 0;
  }

  /** Learns from a batch. */
  learn(episodes: readonly Episode[]): void {
    const sums = new Map<string, { sum: number; count: number }>();
    for (const { turns } of episodes) {
      let toCome = 0;
      for (let t = turns.length - 1; t >= 0; t--) {
        toCome += turns[t].reward;
        const found = sums.get(turns[t].view);
        if (found === undefined) sums.set(turns[t].view, { sum: toCome, count: 1 });
        else {
          found.sum += toCome;
          found.count++;
        }
      }
    }
    for (const [view, { sum, count }] of sums) {
      const before = this.#values.get(view);
      const mean = sum / count;
      this.#values.set(view, before === undefined ? mean : before + this.#step * (mean - before));
    }
  }

  get state(): ValueState {
    return { views: [...this.#values.keys()], values: [...this.#values.values()] };
  }

  set state({ views, values }: ValueState) {
    this.#values.clear();
    views.forEach((view, k) => {
      this.#values.set(view, values[k]);
    });
  }
}
