import { type Batch, type Level, levelOf, type NumericArray } from "../../rollouts/index.ts";

/** A column of credit with the rows of each rollout. */
export interface Credit {
  path: string;
  level: Level;
  values: NumericArray;
  offsets: Int32Array;
  /** Whether rollout i has the column and none of its rows is null. */
  has(i: number): boolean;
}

/** What to do about a column that is not there: the rollouts may have no such rows, or the credit another name. */
function adviceFor(batch: Batch, path: string): string {
  const level = levelOf(path);
  if (level !== "rollout" && !batch.hasLevel(level)) {
    return `these rollouts have no ${path.split(".")[0]}, so they have no credit there: take another kind, or record them`;
  }
  const word = path.slice(path.lastIndexOf(".") + 1);
  const others = batch.paths.filter((name) => levelOf(name) === level && name.endsWith(`_${word}`));
  return others.length === 0
    ? "assign a credit first, or name another column"
    : `there is ${others.join(", ")}: name one with --param, as in --param ${word}=${others[0]}`;
}

/** The first of several columns that a batch has. */
export function firstColumn(batch: Batch, paths: readonly string[]): string | undefined {
  return paths.find((path) => batch.has(path));
}

/**
 * A numeric column of a batch.
 * @throws InputError when no rollout has it or it holds anything but numbers.
 */
export function creditColumn(batch: Batch, path: string): Credit {
  const level = levelOf(path);
  if (!batch.has(path)) throw batch.missing(path, 0, adviceFor(batch, path));
  const values = batch.numbers(path, { absent: 0, missing: 0 });
  const valid = batch.validity(path);
  const offsets = batch.offsets(level);
  const has = (i: number) => {
    if (!batch.hasIn(path, i)) return false;
    if (valid !== null) for (let row = offsets[i]; row < offsets[i + 1]; row++) if (valid[row] === 0) return false;
    return true;
  };
  return { path, level, values, offsets, has };
}

/** Values of rollout i as a plain list. */
export function rowsOf(credit: Credit, i: number): number[] {
  return Array.from(credit.values.subarray(credit.offsets[i], credit.offsets[i + 1]));
}

/** A token column as lists per rollout, or null where no rollout has it. */
export function tokenLists(batch: Batch, path: string): ((i: number) => number[] | undefined) | null {
  if (!batch.has(path)) return null;
  const credit = creditColumn(batch, path);
  return (i) => (credit.has(i) ? rowsOf(credit, i) : undefined);
}
