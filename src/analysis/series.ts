import { policyMask } from "../operators/mask.ts";
import { type Batch, levelKey, type NumericArray } from "../rollouts/index.ts";
import { type CreditLevel, canPlace, creditLevels, isFiner, rowsAbove } from "./levels.ts";

/** A numeric column as credit: one number per row of its level; `valid` is 0 where a row has none. */
export interface Credit {
  path: string;
  values: NumericArray;
  valid: Uint8Array | null;
}

/** The credit of one method, or of one recorded column, at every level at which it gives it. */
export interface Series {
  name: string;
  levels: Partial<Readonly<Record<CreditLevel, Credit>>>;
}

/** Column names that stand for credit, likeliest first. */
const creditNames = ["advantage", "credit", "reward", "reward_shaped", "return", "value", "weight"];

function isCreditLevel(level: string): level is CreditLevel {
  return (creditLevels as readonly string[]).includes(level);
}

/** The column at a path as credit, or `null` when it does not hold numbers at a level that carries credit. */
export function creditAt(batch: Batch, path: string): { level: CreditLevel; credit: Credit } | null {
  const column = batch.find(path);
  if (column === undefined || column.kind !== "number" || !isCreditLevel(column.level)) return null;
  const values = batch.numbers(path, { absent: 0, missing: 0 });
  return { level: column.level, credit: { path, values, valid: batch.validity(path) } };
}

/** A recorded column as a series of its own. */
export function seriesOfColumn(batch: Batch, path: string): Series | null {
  const found = creditAt(batch, path);
  return found === null ? null : { name: path, levels: { [found.level]: found.credit } };
}

/**
 * The credit that a method gave: of the numeric columns that are new in `after`, those named `advantage`, else
 * `credit`, `reward`, …, at every level; else the first of `writes` that holds numbers. `null` when it wrote none.
 */
export function seriesOfMethod(before: Batch, after: Batch, name: string, writes: readonly string[]): Series | null {
  const fresh = after.paths.filter((path) => before.find(path) !== after.find(path));
  const named = (suffix: string) => {
    const levels: Partial<Record<CreditLevel, Credit>> = {};
    for (const level of creditLevels) {
      const path = `${levelKey(level)}.${suffix}`;
      const found = fresh.includes(path) ? creditAt(after, path) : null;
      if (found !== null) levels[level] = found.credit;
    }
    return Object.keys(levels).length > 0 ? levels : null;
  };
  for (const suffix of creditNames) {
    const levels = named(suffix);
    if (levels !== null) return { name, levels };
  }
  for (const path of writes) {
    const found = fresh.includes(path) ? creditAt(after, path) : null;
    if (found !== null) return { name, levels: { [found.level]: found.credit } };
  }
  return null;
}

/** Means of a finer column over the rows of a coarser level; of tokens, only the policy's count. */
function pooled(batch: Batch, level: CreditLevel, fine: CreditLevel, { path, values, valid }: Credit): Credit {
  const above = rowsAbove(batch, fine, level);
  const mask = fine === "token" ? policyMask(batch) : null;
  const sums = new Float64Array(batch.count(level));
  const counts = new Float64Array(sums.length);
  for (let row = 0; row < above.length; row++) {
    if (above[row] < 0 || mask?.[row] === 0 || valid?.[row] === 0) continue;
    sums[above[row]] += values[row];
    counts[above[row]]++;
  }
  for (let row = 0; row < sums.length; row++) if (counts[row] > 0) sums[row] /= counts[row];
  const marks = counts.includes(0) ? Uint8Array.from(counts, (n) => (n > 0 ? 1 : 0)) : null;
  return { path, values: sums, valid: marks };
}

/** A coarser column given to every row of a finer level. */
function spread(batch: Batch, level: CreditLevel, coarse: CreditLevel, { path, values, valid }: Credit): Credit {
  const above = rowsAbove(batch, level, coarse);
  const out = new Float64Array(above.length);
  const marks = new Uint8Array(above.length);
  for (let row = 0; row < above.length; row++) {
    if (above[row] < 0 || valid?.[above[row]] === 0) continue;
    out[row] = values[above[row]];
    marks[row] = 1;
  }
  return { path, values: out, valid: marks.includes(0) ? marks : null };
}

/**
 * A series at a level: as it was given there, else the nearest coarser credit given to every row, else the mean of a
 * finer one over the policy's rows. `null` when its levels cannot be placed against this one.
 */
export function creditAtLevel(batch: Batch, series: Series, level: CreditLevel): Credit | null {
  const given = series.levels[level];
  if (given !== undefined) return given;
  const at = creditLevels.indexOf(level);
  for (const coarse of creditLevels.slice(at + 1)) {
    const credit = series.levels[coarse];
    if (credit !== undefined && canPlace(batch, level, coarse)) return spread(batch, level, coarse, credit);
  }
  for (const fine of creditLevels.slice(0, at).reverse()) {
    const credit = series.levels[fine];
    if (credit !== undefined && canPlace(batch, fine, level)) return pooled(batch, level, fine, credit);
  }
  return null;
}

/** The finest level at which every series gives credit of its own; else the finest at which any does. */
export function commonLevel(series: readonly Series[]): CreditLevel {
  const all = creditLevels.find((level) => series.every((one) => one.levels[level] !== undefined));
  if (all !== undefined) return all;
  return creditLevels.find((level) => series.some((one) => one.levels[level] !== undefined)) ?? "rollout";
}

export interface Aligned {
  level: CreditLevel;
  /** Rows of the level that are compared, ascending. */
  rows: Int32Array;
  /** Rows that the policy wrote but where some series has no number. */
  leftOut: number;
  /** One list per series, each as long as `rows`. */
  values: readonly Float64Array[];
  /** The column that each series was taken from, `null` where it cannot be placed at this level. */
  paths: readonly (string | null)[];
}

/** Share of a series' largest number below which a number counts as 0: what rounding leaves behind is no credit. */
const roundingShare = 1e-9;

/** Sets to 0, in place, what is only rounding. */
function dropRounding(values: Float64Array): Float64Array {
  let largest = 0;
  for (let k = 0; k < values.length; k++) largest = Math.max(largest, Math.abs(values[k]));
  const slack = largest * roundingShare;
  for (let k = 0; k < values.length; k++) if (Math.abs(values[k]) <= slack) values[k] = 0;
  return values;
}

function gathered(credit: Credit | null, rows: Int32Array): Float64Array {
  const out = new Float64Array(rows.length);
  if (credit !== null) for (let k = 0; k < rows.length; k++) out[k] = credit.values[rows[k]];
  return dropRounding(out);
}

/** Rows that count: 1 where every series has a number, among the policy's own; and how many of its own lack one. */
function comparable(batch: Batch, credits: readonly (Credit | null)[], level: CreditLevel) {
  const mask = level === "token" ? policyMask(batch) : null;
  const marks = mask?.slice() ?? new Uint8Array(batch.count(level)).fill(1);
  let leftOut = 0;
  for (let row = 0; row < marks.length; row++) {
    if (marks[row] === 0) continue;
    if (credits.every((credit) => credit !== null && credit.valid?.[row] !== 0)) continue;
    marks[row] = 0;
    leftOut++;
  }
  return { marks, leftOut };
}

/**
 * Series side by side, row by row, at one level (default: `commonLevel`). Of tokens only the policy's are compared,
 * and a row counts only where every series has a number.
 */
export function align(batch: Batch, series: readonly Series[], level = commonLevel(series)): Aligned {
  const credits = series.map((one) => creditAtLevel(batch, one, level));
  const { marks, leftOut } = comparable(batch, credits, level);
  const rows = new Int32Array(marks.reduce((sum, mark) => sum + mark, 0));
  let at = 0;
  for (let row = 0; row < marks.length; row++) if (marks[row] === 1) rows[at++] = row;
  const paths = credits.map((credit) => credit?.path ?? null);
  return { level, rows, leftOut, values: credits.map((credit) => gathered(credit, rows)), paths };
}

/** Whether a series gives credit at a level coarser than `level` only, and is therefore spread over its rows. */
export function isSpread(series: Series, level: CreditLevel): boolean {
  const given = Object.keys(series.levels) as CreditLevel[];
  return given.every((own) => isFiner(level, own));
}
