import {
  Batch,
  batchFaults,
  type Column,
  describe,
  InputError,
  type JaggedLevel,
  jaggedLevels,
  type LevelRows,
  levelKey,
  levelOf,
  rolloutObject,
  selectRollouts,
} from "../rollouts/index.ts";
import { cellColumn, listColumn, narrowed } from "./columnar-cells.ts";
import { type Marks, parseMarks } from "./columnar-marks.ts";
import { jsonColumnsKey, marksName } from "./columnar-names.ts";
import { type PathColumn, parseObject, pathColumns } from "./columnar-paths.ts";
import { type FileColumn, type FileTable, hasList, pickRows, plainRow } from "./columnar-table.ts";
import type { ReadOptions, Reject } from "./types.ts";

/** What is known about a file whose rows become rollouts, and what is to happen to those that do not conform. */
export interface TableContext extends Pick<ReadOptions, "onError" | "onReject"> {
  file: string;
}

/** Faults by row; the first of each. */
type Faults = Map<number, InputError>;

const textColumn = "a column of text";

function textOf(table: FileTable, name: string): readonly (string | null)[] | null {
  const column = table.columns.find((each) => each.name === name);
  if (column === undefined) return null;
  const { cells, offsets } = column;
  if (offsets === null && cells.kind === "string") return cells.values;
  const nothing = offsets === null && cells.kind === "number" && cells.valid !== null && !cells.valid.includes(1);
  if (nothing) return new Array(table.rows).fill(null);
  throw new InputError("column of the wrong type", {
    column: name,
    expected: textColumn,
    got: column.type,
    hint: "convert it to text first",
  });
}

function idsOf(table: FileTable, faults: Faults): readonly (string | null)[] {
  const ids = textOf(table, "id");
  if (ids === null) {
    const names = table.columns.slice(0, 8).map(({ name }) => name);
    const got = names.length === 0 ? "no columns" : `the columns ${names.join(", ")}`;
    throw new InputError("no column id", { column: "id", expected: textColumn, got });
  }
  ids.forEach((id, i) => {
    if (id !== null && id !== "") return;
    const at = { expected: "a non-empty string under id", got: describe(id) };
    faults.set(i, new InputError(`rollout without an id (row ${i} of its batch)`, at));
  });
  return ids;
}

function marksIn(table: FileTable, faults: Faults): readonly (Marks | null)[] {
  return (textOf(table, marksName) ?? []).map((text, i) => {
    if (text === null) return null;
    try {
      return parseMarks(text);
    } catch (error) {
      if (!faults.has(i)) faults.set(i, (error as InputError).located({ column: marksName }));
      return null;
    }
  });
}

function lengthIn(column: FileColumn, i: number): number {
  const offsets = column.offsets as Int32Array;
  return hasList(column, i) ? offsets[i + 1] - offsets[i] : -1;
}

/** Rows of a level: what the lists of each rollout agree on. */
function rowsOfLevel(
  level: JaggedLevel,
  columns: readonly PathColumn[],
  marks: readonly (Marks | null)[],
  rows: number,
  faults: Faults,
): LevelRows | null {
  const key = levelKey(level);
  const lengths = new Int32Array(rows).fill(-1);
  for (const { path, column } of columns) {
    for (let i = 0; i < rows; i++) {
      const length = lengthIn(column, i);
      if (length < 0 || length === lengths[i]) continue;
      if (lengths[i] < 0) lengths[i] = length;
      else if (!faults.has(i)) {
        const first = columns.find((each) => lengthIn(each.column, i) >= 0)?.path;
        const expected = `${lengths[i]} values as in ${first}`;
        const at = { column: path, expected, got: `${length}` };
        faults.set(i, new InputError("lists of one level differ in length", at));
      }
    }
  }
  marks.forEach((mark, i) => {
    const count = mark?.rows?.[key];
    if (count !== undefined && lengths[i] < 0) lengths[i] = count;
  });
  if (rows > 0 && lengths.every((length) => length < 0)) return null;
  const offsets = new Int32Array(rows + 1);
  let total = 0;
  for (let i = 0; i < rows; i++) {
    total += Math.max(lengths[i], 0);
    offsets[i + 1] = total;
  }
  if (total > 2 ** 31 - 1) {
    throw new InputError(`more than ${2 ** 31 - 1} rows of ${key} in one batch`, {
      hint: "write the file in smaller row groups or record batches",
    });
  }
  return { offsets, present: lengths.includes(-1) ? Uint8Array.from(lengths, (n) => (n < 0 ? 0 : 1)) : null };
}

/** The batch that a table means; rows that cannot be part of one are in `faults`. */
function assemble(table: FileTable, jsonNames: ReadonlySet<string>, faults: Faults): Batch {
  const { rows } = table;
  const ids = idsOf(table, faults);
  const marks = marksIn(table, faults);
  let found: PathColumn[];
  try {
    found = pathColumns(table);
  } catch (error) {
    throw error instanceof InputError && rows > 0 ? named(error, ids[0]) : error;
  }
  const levels: Partial<Record<JaggedLevel, LevelRows>> = {};
  for (const level of jaggedLevels) {
    const own = found.filter(({ path }) => levelOf(path) === level);
    const known = rowsOfLevel(level, own, marks, rows, faults);
    if (known !== null) levels[level] = known;
  }
  const columns = new Map<string, Column>();
  for (const { path, column } of found) {
    const level = levelOf(path);
    const fault = (row: number, error: InputError) => {
      if (!faults.has(row)) faults.set(row, error.located({ column: path }));
    };
    const json = column.json === true || jsonNames.has(column.name);
    let made: Column | null;
    if (level === "rollout") made = cellColumn(path, column, rows, { json, fault, marks });
    else {
      const known = levels[level];
      made = known === undefined || faults.size > 0 ? null : listColumn(path, column, known, { json, fault });
    }
    if (made !== null) columns.set(path, made);
  }
  return new Batch({
    ids: ids as readonly string[],
    groupNames: textOf(table, "group") ?? new Array(rows).fill(null),
    levels,
    columns,
  });
}

/** A row in JSON form, as far as it can be had. */
function rowText(table: FileTable, row: number): string {
  const object: Record<string, unknown> = {};
  for (const column of table.columns) {
    const value = plainRow(column, row);
    if (value !== null) object[column.name] = value;
  }
  return JSON.stringify(object);
}

function rejectOf(context: TableContext, error: InputError, text: string): Reject {
  const { file } = context;
  const { rollout } = error.at;
  const reason = new InputError(error.problem, { ...error.at, rollout: undefined, file: undefined }).message;
  return { file, ...(rollout === undefined ? {} : { rollout }), text, reason };
}

/** Numbers of the rows without a fault, after those with one were dealt with as the context says. */
function withoutFaults(faults: Faults, size: number, context: TableContext, textOfRow: (row: number) => string) {
  const rows = [...faults.keys()].sort((a, b) => a - b);
  if (context.onError !== "skip") throw faults.get(rows[0]);
  for (const row of rows) context.onReject?.(rejectOf(context, faults.get(row) as InputError, textOfRow(row)));
  return Array.from({ length: size }, (_, i) => i).filter((i) => !faults.has(i));
}

/** The names in a file's list of columns that hold JSON text. */
function jsonNamesOf(metadata: ReadonlyMap<string, string>): ReadonlySet<string> {
  const text = metadata.get(jsonColumnsKey);
  if (text === undefined) return new Set();
  const names = parseObject(text);
  if (Array.isArray(names)) return new Set(names);
  throw new InputError(`the metadata ${jsonColumnsKey} is damaged`, { expected: "a JSON list of column names" });
}

function settle(table: FileTable, context: TableContext): Batch {
  const jsonNames = jsonNamesOf(table.metadata);
  let part = table;
  for (;;) {
    const faults: Faults = new Map();
    const batch = assemble(part, jsonNames, faults);
    if (faults.size > 0) {
      for (const [row, error] of faults) faults.set(row, named(error, batch.ids[row]));
      const left = part;
      const kept = withoutFaults(faults, part.rows, context, (row) => rowText(left, row));
      part = pickRows(part, kept);
      continue;
    }
    const wrong = batchFaults(batch);
    if (wrong.size === 0) return narrowed(batch);
    const kept = withoutFaults(wrong, batch.size, context, (i) => JSON.stringify(rolloutObject(batch, i)));
    return narrowed(selectRollouts(batch, kept));
  }
}

function named(error: InputError, id: string | null): InputError {
  return id === null || id === "" ? error : error.located({ rollout: id });
}

/**
 * The batch that the rows of a table mean, held to the rules of the wire format. Numbers are not copied where they can stay.
 * With `onError: "skip"` rollouts that do not conform are left out; columns of the wrong type stop in either case.
 * @throws InputError that names file, column, rollout, what was expected and what came.
 */
export function batchOfTable(table: FileTable, context: TableContext): Batch {
  try {
    return settle(table, context);
  } catch (error) {
    throw error instanceof InputError ? error.located({ file: context.file }) : error;
  }
}
