import type { Method } from "../methods/method.ts";
import { missingReads, parseRead } from "../methods/reads.ts";
import type { Batch } from "../rollouts/index.ts";

/** Whether a file can feed a method. */
export interface Feed {
  method: Method;
  /** Required columns that no rollout has; empty when the method can run. */
  missing: readonly string[];
  /** Required columns that only some rollouts have. */
  partly: readonly string[];
  /** Optional columns that are there, and that are not. */
  optional: readonly string[];
  absent: readonly string[];
}

export interface FileFeed {
  rollouts: number;
  /** Rollouts without a reward. */
  unscored: number;
  columns: readonly string[];
  feeds: readonly Feed[];
}

/** Columns that are missing; alternatives stand in brackets where there are several needs. */
export function needed(missing: readonly string[]): string {
  if (missing.length === 1) return missing[0];
  return missing.map((path) => (path.includes(" or ") ? `(${path})` : path)).join(" and ");
}

/** Finds out which methods a file can feed, from batches handed in one after another. */
export class FeedCollector {
  readonly #methods: readonly Method[];
  readonly #missing = new Map<string, string[]>();
  /** In how many rollouts each column is. */
  readonly #counts = new Map<string, number>();
  #rollouts = 0;
  #unscored = 0;

  constructor(methods: readonly Method[]) {
    this.#methods = methods.filter((method) => method.assign !== undefined);
  }

  add(batch: Batch): void {
    this.#rollouts += batch.size;
    const scored = batch.validity("rollout.reward");
    this.#unscored += scored?.reduce((sum, mark) => sum + 1 - mark, 0) ?? 0;
    for (const path of batch.paths) {
      const present = batch.column(path).present;
      const count = present === null ? batch.size : present.reduce((sum, mark) => sum + mark, 0);
      this.#counts.set(path, (this.#counts.get(path) ?? 0) + count);
    }
    for (const method of this.#methods) {
      const now = missingReads(batch, method);
      const before = this.#missing.get(method.id);
      this.#missing.set(method.id, before === undefined ? now : before.filter((path) => now.includes(path)));
    }
  }

  finish(): FileFeed {
    const has = (path: string) => this.#counts.has(path);
    const inSome = (path: string) => has(path) && (this.#counts.get(path) ?? 0) < this.#rollouts;
    const feeds = this.#methods.map((method): Feed => {
      const reads = method.reads.map(parseRead);
      const required = reads.filter((read) => !read.optional);
      const optional = reads.filter((read) => read.optional).flatMap(({ anyOf }) => anyOf);
      const partly = required.filter(({ anyOf }) => anyOf.some(has) && anyOf.filter(has).every(inSome));
      return {
        method,
        missing: this.#missing.get(method.id) ?? [],
        partly: partly.flatMap(({ anyOf }) => anyOf.filter(inSome)),
        optional: optional.filter(has),
        absent: optional.filter((path) => path.includes(".") && !path.includes("*") && !has(path)),
      };
    });
    return { rollouts: this.#rollouts, unscored: this.#unscored, columns: [...this.#counts.keys()], feeds };
  }
}
