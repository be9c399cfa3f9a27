import { jaggedKeys } from "../rollouts/index.ts";

/**
 * How rollouts lie in a table (Parquet, Arrow), one row per rollout:
 * - `id` and `group` are text; a null group is a rollout that is alone.
 * - Columns have the names of their paths, those of the rollout itself without `rollout.`: `reward`, `rewards.accuracy`,
 *   `signals.duration_s`, `tokens.logprob`, `turns.end`. Columns of turns, steps, tokens, reference and edges are lists.
 * - Numbers keep their width (float64, float32, int32, uint8). Text is UTF-8. Cells of any other JSON are text too; the
 *   metadata key `apportion.json_columns` names their columns. `messages` and `meta` are always JSON.
 * - A null list, or a null outside of lists, means that the rollout lacks the column; a null in a list is null. What that
 *   cannot say stands in `apportion.marks` (`columnar-marks.ts`).
 */
export const formatKey = "apportion.format";
export const formatVersion = "1";
export const jsonColumnsKey = "apportion.json_columns";
export const marksName = "apportion.marks";

/** Names whose columns may be structs: their fields are columns `KEY.FIELD`. */
export const structKeys: ReadonlySet<string> = new Set(["rollout", "rewards", "signals", ...Object.keys(jaggedKeys)]);

/** Whether a name is that of a level, whose columns are lists. */
export function isLevelKey(name: string): boolean {
  return Object.hasOwn(jaggedKeys, name);
}

/** Path of the column with a name in a file. */
export function pathOfName(name: string): string {
  if (name === "messages" || name === "meta") return name;
  const dot = name.indexOf(".");
  const key = dot > 0 ? name.slice(0, dot) : "";
  return structKeys.has(key) || key === "meta" ? name : `rollout.${name}`;
}

const taken: ReadonlySet<string> = new Set(["id", "group", "messages", "meta", marksName, ...structKeys]);

/** Name of a column in a file: the shortest that leads back to its path. */
export function nameOfPath(path: string): string {
  if (!path.startsWith("rollout.")) return path;
  const short = path.slice("rollout.".length);
  return taken.has(short) || pathOfName(short) !== path ? path : short;
}
