import { type Batch, jaggedKeys } from "../rollouts/index.ts";
import type { Method } from "./method.ts";

/** One entry of a method's `reads`, taken apart. */
export interface Read {
  /** Columns of which at least one must be there. */
  anyOf: readonly string[];
  optional: boolean;
  /** The parameter that makes the column necessary. */
  when: string | null;
}

/** Takes an entry such as `tokens.reward | rollout.reward`, `tokens.mask?` or `tokens.ref_logprob if kl_coef` apart. */
export function parseRead(entry: string): Read {
  const [columns, when] = entry.split(" if ");
  const anyOf = columns.split("|").map((path) => path.trim());
  return {
    anyOf: anyOf.map((path) => path.replace(/\?$/, "")),
    optional: when !== undefined || anyOf.some((path) => path.endsWith("?")),
    when: when?.trim() ?? null,
  };
}

function isThere(batch: Batch, path: string): boolean {
  if (path === "group") return batch.groupCount < batch.size || batch.groupNames.some((name) => name !== null);
  if (path === "reward_column") return batch.has("rollout.reward");
  if (path in jaggedKeys) return batch.hasLevel(jaggedKeys[path as keyof typeof jaggedKeys], "any");
  if (path.startsWith("meta.")) return batch.has("meta") && batch.cells(path).some((cell) => cell !== undefined);
  if (path.endsWith("*")) return batch.paths.some((name) => name.startsWith(path.slice(0, -1)));
  return batch.has(path);
}

/** The required columns that a batch lacks for a method: an empty list means that the method can run on it. */
export function missingReads(batch: Batch, method: Method): string[] {
  return method.reads
    .map(parseRead)
    .filter((read) => !read.optional && !read.anyOf.some((path) => isThere(batch, path)))
    .map((read) => read.anyOf.join(" or "));
}
