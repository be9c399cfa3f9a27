import {
  Batch,
  type Column,
  describe,
  InputError,
  type JaggedLevel,
  type LevelRows,
  levelOf,
  type NumericArray,
  rolloutOfRow,
  storageOf,
} from "../rollouts/index.ts";
import type { Marks } from "./columnar-marks.ts";
import { type Cells, type FileColumn, hasList, plainRow, type RawNumbers } from "./columnar-table.ts";

interface CellOptions {
  /** Whether the file says that the text of this column is JSON. */
  json: boolean;
  /** Called for each row that cannot be read. */
  fault: (row: number, error: InputError) => void;
}

/** Whether every number of a list is one of 32 bits; they are then in `out`. */
function takeInts(values: RawNumbers, out: Int32Array): boolean {
  if (isWide(values)) {
    const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    const signed = values instanceof BigInt64Array;
    for (let k = 0; k < values.length; k++) {
      const low = words[2 * k];
      if (words[2 * k + 1] !== low >> 31 || (!signed && low < 0)) return false;
      out[k] = low;
    }
    return true;
  }
  for (let k = 0; k < values.length; k++) {
    out[k] = values[k];
    if (out[k] !== values[k]) return false;
  }
  return true;
}

function takeBits(values: RawNumbers, out: Uint8Array): boolean {
  const wide = isWide(values);
  for (let k = 0; k < values.length; k++) {
    const value = wide ? Number(values[k]) : (values[k] as number);
    if (value !== 0 && value !== 1) return false;
    out[k] = value;
  }
  return true;
}

/** Doubles of 64-bit integers; `unsafe` is called for those that a double does not hold exactly. */
function takeDoubles(values: BigInt64Array | BigUint64Array, unsafe: (at: number) => void): Float64Array {
  const out = new Float64Array(values.length);
  const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  const signed = values instanceof BigInt64Array;
  for (let k = 0; k < values.length; k++) {
    const high = signed ? words[2 * k + 1] : words[2 * k + 1] >>> 0;
    const value = high * 2 ** 32 + (words[2 * k] >>> 0);
    if (!Number.isSafeInteger(value)) unsafe(k);
    out[k] = value;
  }
  return out;
}

/**
 * Numbers as batches hold them: whole numbers and bits where the path asks for them (doubles where they do not fit, for the
 * checks to find), everything else as wide as it came, or the next wider that a batch knows.
 */
function stored(path: string, values: RawNumbers, unsafe: (at: number) => void): NumericArray {
  const storage = storageOf(path);
  if (storage === "int") {
    if (values instanceof Int32Array) return values;
    const ints = new Int32Array(values.length);
    if (takeInts(values, ints)) return ints;
  } else if (storage === "bit") {
    if (values instanceof Uint8Array) return values;
    const bits = new Uint8Array(values.length);
    if (takeBits(values, bits)) return bits;
  }
  if (isWide(values)) {
    return takeDoubles(values, storage === "float" ? unsafe : () => {});
  }
  if (values instanceof Int8Array || values instanceof Int16Array || values instanceof Uint16Array) {
    return Int32Array.from(values);
  }
  return values instanceof Uint32Array ? Float64Array.from(values) : values;
}

function unsafeInteger(value: number | bigint, at: string): InputError {
  return new InputError("wrong value", {
    expected: `a whole number up to 2^53${at}`,
    got: String(value),
    hint: "convert the column to text, or to double where rounding does no harm",
  });
}

function parseCell(text: string | null, at: string): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    throw new InputError("wrong value", { expected: `JSON text${at}`, got: describe(text) });
  }
}

/** JSON of text cells; rows that are not JSON are null and reported. */
function parsed(
  texts: readonly (string | null)[],
  fault: CellOptions["fault"],
  rowOf: (k: number) => [row: number, at: string],
) {
  return texts.map((text, k) => {
    const [row, at] = rowOf(k);
    try {
      return parseCell(text, at);
    } catch (error) {
      fault(row, error as InputError);
      return null;
    }
  });
}

function isWide(values: RawNumbers): values is BigInt64Array | BigUint64Array {
  return values instanceof BigInt64Array || values instanceof BigUint64Array;
}

function clear(values: RawNumbers, from: number, to: number): void {
  if (isWide(values)) values.fill(0n, from, to);
  else values.fill(0, from, to);
}

/** Sets the numbers of null cells to 0. */
function clearNulls(values: RawNumbers, valid: Uint8Array): void {
  const zero = isWide(values) ? 0n : 0;
  for (let k = 0; k < valid.length; k++) if (valid[k] === 0) values[k] = zero;
}

function isNullCell({ cells }: FileColumn, row: number): boolean {
  if (cells.kind === "number") return cells.valid !== null && cells.valid[row] === 0;
  return (cells.values[row] ?? null) === null;
}

/**
 * A column of the rollout: one cell per row, null where the rollout lacks it unless a mark says otherwise.
 * @returns null when no rollout has it (a reward stays: it says that rollouts are there to be scored).
 */
export function cellColumn(
  path: string,
  column: FileColumn,
  rows: number,
  options: CellOptions & { marks: readonly (Marks | null)[] },
): Column | null {
  const { marks, fault } = options;
  const level = "rollout" as const;
  const present = new Uint8Array(rows).fill(1);
  let missing = 0;
  for (let i = 0; i < rows; i++) {
    const lacking = column.offsets === null ? isNullCell(column, i) : !hasList(column, i);
    if (!lacking || marks[i]?.null?.includes(path)) continue;
    present[i] = 0;
    missing++;
  }
  if (rows > 0 && missing === rows && path !== "rollout.reward") return null;
  const marksOrNull = missing > 0 ? present : null;
  if (column.offsets !== null) {
    const values = Array.from({ length: rows }, (_, i) => plainRow(column, i));
    if (options.json) {
      values.forEach((list, i) => {
        const texts = (list ?? []) as (string | null)[];
        if (list !== null) values[i] = parsed(texts, fault, (k) => [i, ` (element ${k})`]);
      });
    }
    return { kind: "json", level, values, present: marksOrNull };
  }
  const { cells } = column;
  if (cells.kind === "json") return { kind: "json", level, values: cells.values, present: marksOrNull };
  if (cells.kind === "string") {
    if (!options.json && path !== "messages" && path !== "meta") {
      return { kind: "string", level, values: cells.values, present: marksOrNull };
    }
    return { kind: "json", level, values: parsed(cells.values, fault, (k) => [k, ""]), present: marksOrNull };
  }
  if (cells.valid !== null) clearNulls(cells.values, cells.valid);
  const values = stored(path, cells.values, (k) => fault(k, unsafeInteger(cells.values[k], "")));
  const some = cells.valid !== null && present.some((mark, i) => mark === 1 && cells.valid?.[i] === 0);
  return { kind: "number", level, values, valid: some ? cells.valid : null, present: marksOrNull };
}

function sameRows(column: FileColumn, offsets: Int32Array): boolean {
  const own = column.offsets as Int32Array;
  for (let i = 0; i < offsets.length; i++) if (own[i] !== offsets[i]) return false;
  return true;
}

/** Copies lists to where the rows of their level are; rows of rollouts without the list stay 0. */
function spreadNumbers<T extends RawNumbers>(values: T, column: FileColumn, offsets: Int32Array): T {
  const own = column.offsets as Int32Array;
  const size = offsets.length - 1;
  const out = new (values.constructor as new (length: number) => T)(offsets[size]);
  for (let i = 0; i < size; i++) {
    if (hasList(column, i)) out.set(values.subarray(own[i], own[i + 1]) as never, offsets[i]);
  }
  return out;
}

function spreadCells(values: readonly unknown[], column: FileColumn, offsets: Int32Array): unknown[] {
  const own = column.offsets as Int32Array;
  const size = offsets.length - 1;
  const out: unknown[] = new Array(offsets[size]).fill(null);
  for (let i = 0; i < size; i++) {
    if (!hasList(column, i)) continue;
    for (let k = own[i]; k < own[i + 1]; k++) out[offsets[i] + k - own[i]] = values[k];
  }
  return out;
}

/** The cells of lists, one per row of the level. */
function levelCells(column: FileColumn, offsets: Int32Array): Cells {
  const { cells, present } = column;
  if (!sameRows(column, offsets)) {
    if (cells.kind !== "number") {
      return { kind: cells.kind, values: spreadCells(cells.values, column, offsets) } as Cells;
    }
    const valid = cells.valid && spreadNumbers(cells.valid, column, offsets);
    return { kind: "number", values: spreadNumbers(cells.values, column, offsets), valid };
  }
  if (present === null) return cells;
  const size = offsets.length - 1;
  if (cells.kind !== "number") return { kind: cells.kind, values: spreadCells(cells.values, column, offsets) } as Cells;
  for (let i = 0; i < size; i++) {
    if (present[i] === 1) continue;
    clear(cells.values, offsets[i], offsets[i + 1]);
    cells.valid?.fill(0, offsets[i], offsets[i + 1]);
  }
  return cells;
}

/** Whether a list that a rollout has holds a null. */
function anyNull(valid: Uint8Array, present: Uint8Array | null, offsets: Int32Array): boolean {
  if (present === null) return valid.includes(0);
  for (let i = 0; i < present.length; i++) {
    if (present[i] === 1 && valid.subarray(offsets[i], offsets[i + 1]).includes(0)) return true;
  }
  return false;
}

/**
 * A column of turns, steps, tokens, reference or edges: a list in each row.
 * @returns null when no rollout has it.
 */
export function listColumn(
  path: string,
  column: FileColumn,
  { offsets }: LevelRows,
  { json, fault }: CellOptions,
): Column | null {
  const { present } = column;
  if (present !== null && present.length > 0 && !present.includes(1)) return null;
  const level = levelOf(path) as JaggedLevel;
  const marks = present === null || !present.includes(0) ? null : present;
  const cells = levelCells(column, offsets);
  const place = (k: number): [number, string] => {
    const row = rolloutOfRow(offsets, k);
    return [row, ` (row ${k - offsets[row]})`];
  };
  if (cells.kind === "string" && !json) return { kind: "string", level, values: cells.values, present: marks };
  if (cells.kind === "string") {
    return { kind: "json", level, values: parsed(cells.values, fault, place), present: marks };
  }
  if (cells.kind === "json") return { kind: "json", level, values: cells.values, present: marks };
  const valid = cells.valid !== null && anyNull(cells.valid, marks, offsets) ? cells.valid : null;
  if (valid !== null) clearNulls(cells.values, valid);
  const values = stored(path, cells.values, (k) => {
    const [row, at] = place(k);
    fault(row, unsafeInteger(cells.values[k], at));
  });
  return { kind: "number", level, values, valid, present: marks };
}

/** The batch with whole numbers and bits kept as such; after the checks nothing else can be in their columns. */
export function narrowed(batch: Batch): Batch {
  const columns = new Map<string, Column>();
  let changed = false;
  for (const [path, column] of batch.parts.columns) {
    const storage = storageOf(path);
    const wide = column.kind === "number" && !(column.values instanceof Int32Array);
    if (column.kind === "number" && storage === "int" && wide) {
      columns.set(path, { ...column, values: Int32Array.from(column.values) });
      changed = true;
    } else if (column.kind === "number" && storage === "bit" && !(column.values instanceof Uint8Array)) {
      columns.set(path, { ...column, values: Uint8Array.from(column.values) });
      changed = true;
    } else columns.set(path, column);
  }
  return changed ? new Batch({ ...batch.parts, columns }) : batch;
}
