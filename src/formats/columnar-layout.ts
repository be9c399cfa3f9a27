import {
  type Batch,
  type Column,
  firstNonFinite,
  InputError,
  type NumericArray,
  type NumericColumn,
} from "../rollouts/index.ts";
import { marksOf } from "./columnar-marks.ts";
import { formatKey, formatVersion, jsonColumnsKey, marksName, nameOfPath } from "./columnar-names.ts";
import type { Cells, FileColumn, FileTable } from "./columnar-table.ts";

/** What the cells of a column are in a file; `empty` as long as all of them have been null. */
export type CellType = "float64" | "float32" | "int32" | "uint8" | "text" | "json" | "empty";

/** A column of a file that is written. */
export interface Field {
  name: string;
  type: CellType;
  /** Whether each row holds a list. */
  list: boolean;
}

function typeOfNumbers(values: NumericArray): CellType {
  if (values instanceof Float64Array) return "float64";
  if (values instanceof Float32Array) return "float32";
  return values instanceof Int32Array ? "int32" : "uint8";
}

function typeOf(column: Column): CellType {
  if (column.kind === "string") return "text";
  if (column.kind === "json") return "json";
  const nothing = (marks: Uint8Array | null) => marks !== null && !marks.includes(1);
  const empty = nothing(column.present) || nothing(column.valid);
  // Readers of text make doubles of null; a narrower array says that somebody knows what is to come.
  return empty && column.values instanceof Float64Array ? "empty" : typeOfNumbers(column.values);
}

/** Types that hold every value of another one. */
const wider: Readonly<Record<CellType, readonly CellType[]>> = {
  empty: ["float64", "float32", "int32", "uint8", "text", "json", "empty"],
  uint8: ["uint8", "int32", "float32", "float64", "json"],
  int32: ["int32", "float64", "json"],
  float32: ["float32", "float64", "json"],
  float64: ["float64", "json"],
  text: ["text", "json"],
  json: ["json"],
};

const words: Readonly<Record<CellType, string>> = {
  empty: "null",
  uint8: "uint8 numbers",
  int32: "int32 numbers",
  float32: "float32 numbers",
  float64: "float64 numbers",
  text: "text",
  json: "JSON",
};

export interface LayoutOptions {
  /** Whether columns may join and empty ones may take a type after the first batch: no in a stream, yes in a file. */
  grows: boolean;
}

/** The columns of a file in the making. */
export class Layout {
  readonly #fields = new Map<string, Field>();
  readonly #grows: boolean;
  #begun = false;

  constructor({ grows }: LayoutOptions) {
    this.#grows = grows;
    this.#fields.set("id", { name: "id", type: "text", list: false });
    this.#fields.set("group", { name: "group", type: "text", list: false });
  }

  /** The columns so far: id, group, those of the batches in the order in which they came, marks. */
  get fields(): Field[] {
    const fields = [...this.#fields.values()];
    const marks = fields.findIndex(({ name }) => name === marksName);
    if (marks >= 0) fields.push(...fields.splice(marks, 1));
    return fields;
  }

  /** Key-value metadata of the file. */
  get metadata(): Map<string, string> {
    const json = this.fields.filter(({ type }) => type === "json").map(({ name }) => name);
    return new Map([
      [formatKey, formatVersion],
      [jsonColumnsKey, JSON.stringify(json)],
    ]);
  }

  /**
   * The rows of a batch as the file holds them; columns that the batch lacks are left out.
   * @throws InputError when a column comes too late, or holds what its type in this file cannot; for NaN and Infinity.
   */
  table(batch: Batch): FileTable {
    for (const [path, column] of batch.parts.columns) this.#admit(batch, path, column);
    const marks = marksOf(batch);
    const marked = marks.some((mark) => mark !== null);
    if (marked || !this.#grows) this.#fields.set(marksName, { name: marksName, type: "text", list: false });
    this.#begun = true;
    const columns: FileColumn[] = [textColumn("id", batch.ids), textColumn("group", batch.groupNames)];
    for (const [path, column] of batch.parts.columns) columns.push(this.#column(batch, path, column));
    if (marked) columns.push(textColumn(marksName, marks));
    return { rows: batch.size, columns, metadata: new Map() };
  }

  #admit(batch: Batch, path: string, column: Column): void {
    const name = nameOfPath(path);
    const type = typeOf(column);
    const known = this.#fields.get(name);
    const rollout = batch.ids[0];
    if (known === undefined) {
      if (this.#begun && !this.#grows) {
        throw new InputError("this column comes after the columns of the Arrow stream were settled", {
          rollout,
          column: path,
          hint: "write Parquet or JSONL, or give the first rollouts this column too",
        });
      }
      this.#fields.set(name, { name, type: this.#grows ? type : settled(type), list: column.level !== "rollout" });
    } else if (known.type === "empty") known.type = type;
    else if (!wider[type].includes(known.type)) {
      throw new InputError("this column changes its type", {
        rollout,
        column: path,
        expected: `${words[known.type]} as in the rollouts before`,
        got: words[type],
        hint: "write JSONL, where every rollout stands for itself, or use the same type everywhere",
      });
    }
  }

  #column(batch: Batch, path: string, column: Column): FileColumn {
    const name = nameOfPath(path);
    const { type, list } = this.#fields.get(name) as Field;
    const { level } = column;
    const offsets = level === "rollout" ? null : batch.rows(level).offsets;
    const cells = cellsOf(batch, path, column, type);
    const present = list ? column.present : null;
    return { name, type, offsets, present, cells: list ? cells : withoutAbsent(cells, column.present) };
  }
}

/** A stream has to say what an empty column is before it is known. */
function settled(type: CellType): CellType {
  return type === "empty" ? "float64" : type;
}

function textColumn(name: string, values: readonly (string | null)[]): FileColumn {
  return { name, type: "text", offsets: null, present: null, cells: { kind: "string", values } };
}

/** Cells outside of lists: null where the rollout lacks the column. */
function withoutAbsent(cells: Cells, present: Uint8Array | null): Cells {
  if (present === null) return cells;
  if (cells.kind !== "number") {
    const values = cells.values.map((cell, i) => (present[i] === 1 ? cell : null));
    return { kind: "string", values: values as (string | null)[] };
  }
  const valid = cells.valid === null ? present : cells.valid.map((mark, i) => mark & present[i]);
  return { ...cells, valid };
}

function cellsOf(batch: Batch, path: string, column: Column, type: CellType): Cells {
  if (column.kind === "number") {
    const row = firstNonFinite(column.values);
    if (row >= 0) throw batch.wrongValue(path, row, "a finite number", String(column.values[row]));
    if (type !== "json" && type !== "text") return widened(column, type);
  }
  if (type === "json") return { kind: "string", values: jsonTexts(batch, path, column) };
  if (column.kind === "string") {
    const row = column.values.findIndex((text) => text !== null && !isWellFormed(text));
    if (row >= 0) throw batch.wrongValue(path, row, "Unicode text", "half of a surrogate pair");
    return column;
  }
  // A column of nothing but null in a file that knows it as text.
  return { kind: "string", values: new Array(batch.count(column.level)).fill(null) };
}

function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

const arrays = { float64: Float64Array, float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

function widened({ values, valid }: NumericColumn, type: Exclude<CellType, "json" | "text">): Cells {
  if (type === "empty" || typeOfNumbers(values) === type) return { kind: "number", values, valid };
  return { kind: "number", values: arrays[type].from(values), valid };
}

function jsonTexts(batch: Batch, path: string, column: Column): (string | null)[] {
  const outside = column.level === "rollout";
  const texts: (string | null)[] = [];
  const rows = batch.count(column.level);
  for (let row = 0; row < rows; row++) {
    let cell: unknown;
    if (column.kind !== "number") cell = column.values[row];
    else cell = column.valid !== null && column.valid[row] === 0 ? null : column.values[row];
    // In a list null is null; outside of one it would mean that the rollout lacks the column, so it is written out.
    const none = cell === null || cell === undefined;
    texts.push(none ? (outside ? "null" : null) : jsonText(batch, path, row, cell));
  }
  return texts;
}

function jsonText(batch: Batch, path: string, row: number, cell: unknown): string | null {
  try {
    return JSON.stringify(cell) ?? null;
  } catch (error) {
    const { at } = batch.wrongValue(path, row, "a value that JSON can hold", "one that it cannot");
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new InputError("this cell cannot be written", { ...at, hint: reason });
  }
}
