import type { Method } from "../methods/method.ts";
import { missingReads, parseRead } from "../methods/reads.ts";
import { type Batch, firstTree, type InputError } from "../rollouts/index.ts";
import { firstGroups, tryMethod } from "./trial.ts";

/** Whether a file can feed a method. */
export interface Feed {
  method: Method;
  /**
   * Parameters with which the method took the first groups of the file: `{}` = the defaults, one other choice where those
   * ask for more than there is, `null` = it cannot run.
   */
  params: Record<string, unknown> | null;
  /** Columns that the defaults lack: required ones that no rollout has, or the one at which the trial stopped. */
  missing: readonly string[];
  /** Why the trial with the defaults stopped, in words, where more than a column is to be said. */
  refusal: string | null;
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
  /** Whether the turns of some rollout branch. */
  branches: boolean;
  columns: readonly string[];
  feeds: readonly Feed[];
}

/** Columns that are missing; alternatives stand in brackets where there are several needs. */
export function needed(missing: readonly string[]): string {
  if (missing.length === 1) return missing[0];
  return missing.map((path) => (path.includes(" or ") ? `(${path})` : path)).join(" and ");
}

/** What the trial of a method on the first groups ended with: the missing column, and what else is to be said. */
function complaint({ problem, at }: InputError, sample: Batch): { missing: string[]; refusal: string | null } {
  const hint = at.hint ?? null;
  if (at.column !== undefined && !sample.has(at.column)) return { missing: [at.column], refusal: hint };
  const where = at.column === undefined ? "" : `${at.column}: `;
  const expected = at.expected === undefined ? "" : `; expected ${at.expected}`;
  const got = at.got === undefined ? "" : `, got ${at.got}`;
  return { missing: [], refusal: `${where}${problem}${expected}${got}${hint === null ? "" : ` (${hint})`}` };
}

/** Rollouts of the first groups, on which methods are tried. */
const sampleSize = 64;

/**
 * Finds out which methods a file can feed, from batches handed in one after another: no required column may be missing,
 * and the method must take the first groups.
 */
export class FeedCollector {
  readonly #methods: readonly Method[];
  readonly #missing = new Map<string, string[]>();
  /** In how many rollouts each column is. */
  readonly #counts = new Map<string, number>();
  #rollouts = 0;
  #unscored = 0;
  #branches = false;
  #sample: Batch | null = null;

  constructor(methods: readonly Method[]) {
    this.#methods = methods.filter((method) => method.assign !== undefined);
  }

  add(batch: Batch): void {
    this.#rollouts += batch.size;
    if (batch.size > 0) this.#sample ??= firstGroups(batch, sampleSize);
    this.#branches ||= firstTree(batch) >= 0;
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
      const lacking = this.#missing.get(method.id) ?? [];
      const partly = required.filter(({ anyOf }) => anyOf.some(has) && anyOf.filter(has).every(inSome));
      return {
        method,
        ...(lacking.length > 0 ? { params: null, missing: lacking, refusal: null } : this.#tried(method)),
        partly: partly.flatMap(({ anyOf }) => anyOf.filter(inSome)),
        optional: optional.filter(has),
        absent: optional.filter((path) => path.includes(".") && !path.includes("*") && !has(path)),
      };
    });
    const columns = [...this.#counts.keys()];
    return { rollouts: this.#rollouts, unscored: this.#unscored, branches: this.#branches, columns, feeds };
  }

  #tried(method: Method): Pick<Feed, "params" | "missing" | "refusal"> {
    if (this.#sample === null) return { params: {}, missing: [], refusal: null };
    const { params, refusal } = tryMethod(this.#sample, method);
    return { params, ...(refusal === null ? { missing: [], refusal } : complaint(refusal, this.#sample)) };
  }
}
