import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { openSink } from "../formats/write.ts";
import { type Batch, InputError } from "../rollouts/index.ts";
import { syncFolder } from "./durable.ts";
import { idsOf } from "./query.ts";

/** How much a part, or a run, holds. */
export interface PartCounts {
  rollouts: number;
  tokens: number;
}

/** Adds parts to a run. Ids are unique within a run as far as this writer and the parts before it know. */
export class RunWriter {
  readonly #folder: string;
  readonly #ids: Set<string>;
  #next: number;

  private constructor(folder: string, ids: Set<string>, next: number) {
    this.#folder = folder;
    this.#ids = ids;
    this.#next = next;
  }

  /** @param files the parts that are there. */
  static async open(folder: string, files: readonly string[]): Promise<RunWriter> {
    const ids = files.length === 0 ? [] : await idsOf(files);
    const last = files.map((file) => Number(/part-(\d+)-/.exec(file)?.[1] ?? 0));
    return new RunWriter(folder, new Set(ids), Math.max(0, ...last) + 1);
  }

  /** Whether a rollout of this id is in the run. */
  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /**
   * Writes rollouts as a part. Once the promise resolves they are on the disk and everybody sees them; before that nobody
   * sees any of them.
   * @throws InputError when one of the ids is already in the run; nothing is written then.
   */
  async append(batch: Batch): Promise<PartCounts> {
    const counts = { rollouts: batch.size, tokens: batch.hasLevel("token", "any") ? batch.count("token") : 0 };
    if (batch.size === 0) return counts;
    const taken = batch.ids.find((id) => this.#ids.has(id));
    if (taken !== undefined) {
      throw new InputError("this id is already in the run", { rollout: taken, hint: "ids are unique within a run" });
    }
    for (const id of batch.ids) this.#ids.add(id);
    const number = String(this.#next++).padStart(6, "0");
    const mark = randomBytes(4).toString("hex"); // so that two processes that append at the same time do not meet
    const file = join(this.#folder, `part-${number}-r${counts.rollouts}-t${counts.tokens}-${mark}.parquet`);
    try {
      const sink = await openSink(file);
      try {
        await sink.write(batch);
        await sink.close();
      } catch (error) {
        await sink.abort();
        throw error;
      }
      await syncFolder(this.#folder);
    } catch (error) {
      for (const id of batch.ids) this.#ids.delete(id);
      throw error;
    }
    return counts;
  }
}
