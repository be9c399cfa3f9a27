import { closest } from "../methods/closest.ts";
import { type Batch, InputError, levelOf, selectRollouts } from "../rollouts/index.ts";
import { creditColumns } from "./credit-columns.ts";
import { creditAt } from "./series.ts";
import { creditSpreads } from "./spread.ts";

export interface Wanted {
  /** Ids of rollouts; empty = the one whose credit differs most. */
  rollouts: readonly string[];
  /** The best and the worst of one group. */
  pair: boolean;
  /** Columns of credit; empty = those that the file has. */
  columns: readonly string[];
}

interface Candidate {
  batch: Batch;
  rollout: number;
  spread: number;
}

/** Rewards of one group seen so far: its best and its worst rollout. */
interface Extremes {
  best: Candidate;
  worst: Candidate;
  top: number;
  bottom: number;
}

const alone = (batch: Batch, rollout: number) => selectRollouts(batch, [rollout]);

/** Finds the rollouts to show in batches handed in one after another; keeps only those that may still be shown. */
export class RolloutPicker {
  readonly #wanted: Wanted;
  #columns: readonly string[];
  #best: Candidate | null = null;
  readonly #named = new Map<string, Candidate>();
  readonly #extremes = new Map<string, Extremes>();
  readonly #paths = new Set<string>();
  readonly #someIds: string[] = [];

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
    this.#columns = wanted.columns;
    for (const path of wanted.columns) levelOf(path);
  }

  /** The columns of credit, as far as they are known. */
  get columns(): readonly string[] {
    return this.#columns;
  }

  add(batch: Batch): void {
    for (const path of batch.paths) this.#paths.add(path);
    if (this.#columns.length === 0) this.#columns = creditColumns(batch);
    const { rollouts, pair } = this.#wanted;
    const spreads = this.#spreads(batch);
    for (let i = 0; i < batch.size; i++) {
      if (this.#someIds.length < 10_000) this.#someIds.push(batch.ids[i]);
      if (rollouts.length > 0) {
        if (rollouts.includes(batch.ids[i]))
          this.#named.set(batch.ids[i], { batch: alone(batch, i), rollout: 0, spread: 0 });
      } else if (pair) this.#addExtreme(batch, i);
      else if (this.#best === null || spreads[i] > this.#best.spread) {
        this.#best = { batch, rollout: i, spread: spreads[i] };
      }
    }
    // Only the rollout itself is kept, not the batch it came in.
    if (this.#best?.batch === batch) {
      this.#best = { batch: alone(batch, this.#best.rollout), rollout: 0, spread: this.#best.spread };
    }
  }

  #spreads(batch: Batch): Float64Array {
    const [path] = this.#columns;
    const found = path === undefined ? null : creditAt(batch, path);
    return found === null ? new Float64Array(batch.size) : creditSpreads(batch, found.level, found.credit);
  }

  #addExtreme(batch: Batch, i: number): void {
    const name = batch.groupNames[i];
    const scored = batch.validity("rollout.reward")?.[i] !== 0;
    if (name === null || !scored) return;
    const reward = batch.numbers("rollout.reward", { absent: 0, missing: 0 })[i];
    const known = this.#extremes.get(name);
    if (known !== undefined && reward <= known.top && reward >= known.bottom) return;
    const candidate = { batch: alone(batch, i), rollout: 0, spread: 0 };
    if (known === undefined) {
      this.#extremes.set(name, { best: candidate, worst: candidate, top: reward, bottom: reward });
    } else if (reward > known.top) Object.assign(known, { best: candidate, top: reward });
    else Object.assign(known, { worst: candidate, bottom: reward });
  }

  /**
   * The columns of credit and the rollouts to show.
   * @throws InputError for a rollout or column that was never seen.
   */
  finish(): { columns: readonly string[]; chosen: readonly Candidate[] } {
    const { rollouts, pair, columns } = this.#wanted;
    for (const path of columns) {
      if (this.#paths.has(path)) continue;
      const near = closest(path, this.#paths);
      throw new InputError("no rollout has this column", {
        column: path,
        hint: near.length > 0 ? `did you mean ${near.join(" or ")}?` : undefined,
      });
    }
    for (const id of rollouts) {
      if (this.#named.has(id)) continue;
      const near = closest(id, this.#someIds, 1);
      throw new InputError(`there is no rollout ${JSON.stringify(id)}`, {
        hint: near.length > 0 ? `did you mean ${near[0]}?` : undefined,
      });
    }
    if (rollouts.length > 0)
      return { columns: this.#columns, chosen: rollouts.map((id) => this.#named.get(id) as Candidate) };
    if (pair) return { columns: this.#columns, chosen: this.#widestPair() };
    return { columns: this.#columns, chosen: this.#best === null ? [] : [this.#best] };
  }

  #widestPair(): Candidate[] {
    let widest: Extremes | null = null;
    for (const one of this.#extremes.values()) {
      if (widest === null || one.top - one.bottom > widest.top - widest.bottom) widest = one;
    }
    if (widest !== null && widest.top > widest.bottom) return [widest.best, widest.worst];
    throw new InputError("no group has rollouts of different reward", { hint: "leave --pair out" });
  }
}
