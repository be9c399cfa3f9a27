import type { Metrics, TrainerState, TrainingEvent } from "../../lab/training/index.ts";
import type { MetricsRow } from "../../lab/training/summary.ts";
import type { RunFolder } from "./folder.ts";
import type { Live } from "./live.ts";

/** What a run has come to. */
export interface Outcome {
  rows: MetricsRow[];
  best: number | null;
  interrupted: boolean;
}

interface Kept {
  arm: string;
  seed: number;
  state: TrainerState;
}

/** Listens to a run: gathers its metrics, keeps rollouts and checkpoints in its folder, and shows how far it is. */
export class Listener {
  readonly #folder: RunFolder;
  readonly #live: Live;
  readonly #updates: number;
  /** Rollouts are kept of this seed. */
  readonly #sampled: number;
  readonly #rows: MetricsRow[];
  readonly #byKey = new Map<string, MetricsRow>();
  #waiting: Kept[] = [];
  #runs = 0;
  #done = 0;
  #best: number | null = null;

  /** @param rows metrics of a run that is gone on with. */
  constructor(folder: RunFolder, live: Live, updates: number, sampled: number, rows: readonly MetricsRow[]) {
    this.#folder = folder;
    this.#live = live;
    this.#updates = updates;
    this.#sampled = sampled;
    this.#rows = [...rows];
    for (const row of rows) this.#byKey.set(keyOf(row.method, row.seed, row.update), row);
    this.#done = rows.filter(({ update }) => update > 0).length;
  }

  /** Whether anything was learned, now or before. */
  get hasBegun(): boolean {
    return this.#done > 0;
  }

  async hear(events: AsyncIterable<TrainingEvent>): Promise<Outcome> {
    let interrupted = false;
    for await (const event of events) {
      if (event.type === "done") interrupted = event.interrupted;
      else await this.#hear(event);
    }
    await this.#keep();
    return { rows: this.#rows, best: this.#best, interrupted };
  }

  async #hear(event: Exclude<TrainingEvent, { type: "done" }>): Promise<void> {
    switch (event.type) {
      case "begin":
        this.#best = event.best;
        this.#runs = event.arms.length * event.seeds.length;
        return;
      case "metrics":
        Object.assign(this.#row(event.arm, event.seed, event.update), event.metrics satisfies Metrics);
        this.#done++;
        this.#live.show(
          { rows: this.#rows, updates: this.#updates, best: this.#best },
          this.#done,
          this.#runs * this.#updates,
        );
        return;
      case "evaluation":
        this.#row(event.arm, event.seed, event.update).expected_reward = event.trueReward;
        return;
      case "rollouts":
        if (event.seed === this.#sampled) {
          await this.#folder.writeRollouts(event.arm, event.seed, event.update, event.batch);
        }
        return;
      case "checkpoint":
        this.#waiting.push({ arm: event.arm, seed: event.seed, state: event.state });
        if (this.#waiting.length === this.#runs) await this.#keep();
    }
  }

  #row(method: string, seed: number, update: number): MetricsRow {
    const key = keyOf(method, seed, update);
    let row = this.#byKey.get(key);
    if (row === undefined) {
      row = { method, seed, update, expected_reward: null };
      this.#byKey.set(key, row);
      this.#rows.push(row);
    }
    return row;
  }

  /** Metrics first: a checkpoint must never be ahead of them. */
  async #keep(): Promise<void> {
    await this.#folder.writeMetrics(this.#rows);
    for (const { arm, seed, state } of this.#waiting) await this.#folder.writeCheckpoint(arm, seed, state);
    this.#waiting = [];
  }
}

const keyOf = (method: string, seed: number, update: number) => `${method}\n${seed}\n${update}`;
