import { type Batch, BatchBuilder, type FaultPlace } from "../rollouts/index.ts";
import { defaultChunkBytes } from "./types.ts";

/** How many bytes of text may come in before the columns are weighed again. */
const weighEvery = 2 ** 18;

/** Gathers rollouts of one input, file after file, into batches of about `chunkBytes`. Ids are unique over all of them. */
export class RolloutCollector {
  /** Ids of all rollouts taken so far. */
  readonly seen = new Set<string>();
  /** Rollouts taken so far. */
  rollouts = 0;
  readonly #chunkBytes: number;
  #builder: BatchBuilder;
  #unweighed = 0;

  constructor(chunkBytes: number = defaultChunkBytes) {
    this.#chunkBytes = chunkBytes;
    this.#builder = new BatchBuilder({ seen: this.seen });
  }

  /**
   * Takes one rollout in JSON form that stood in `bytes` bytes of text.
   * @throws InputError when it does not conform, or when its id was already there; nothing of it is taken then.
   */
  add(rollout: unknown, place: FaultPlace, bytes: number): void {
    this.#builder.add(rollout, place);
    this.rollouts++;
    this.#unweighed += bytes;
  }

  /** Whether there is enough for a batch. */
  get full(): boolean {
    if (this.#unweighed < Math.min(weighEvery, this.#chunkBytes)) return false;
    this.#unweighed = 0;
    return this.#builder.bytes >= this.#chunkBytes;
  }

  /** A batch of what has come since the last one; `null` when nothing has. */
  take(): Batch | null {
    if (this.#builder.size === 0) return null;
    const batch = this.#builder.finish();
    this.#builder = new BatchBuilder({ seen: this.seen });
    this.#unweighed = 0;
    return batch;
  }
}
