import { cellBytes, type NumericArray } from "../rollouts/index.ts";

/** Numbers as files hold them. */
export type RawNumbers =
  | NumericArray
  | Int8Array
  | Int16Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Values of a column, one per row or one per element of its lists. `valid` is 0 where a number is null. */
export type Cells =
  | { kind: "number"; values: RawNumbers; valid: Uint8Array | null }
  | { kind: "string"; values: readonly (string | null)[] }
  | { kind: "json"; values: readonly unknown[] };

/** A column of a file before it is known what it means, or after that has been put into words for a file. */
export interface FileColumn {
  name: string;
  /** What the file calls its type; for messages. */
  type: string;
  /** For lists: row i has the cells [offsets[i], offsets[i + 1]), and offsets[0] is 0. `null`: one cell per row. */
  offsets: Int32Array | null;
  /** Lists only: 0 where the list itself is null (its range of cells may be empty or not); `null` when none is. */
  present: Uint8Array | null;
  cells: Cells;
  /** Whether its cells are JSON text. */
  json?: boolean;
}

/** Rows of a file: one per rollout. */
export interface FileTable {
  rows: number;
  columns: readonly FileColumn[];
  /** Key-value metadata of the file. */
  metadata: ReadonlyMap<string, string>;
}

/** Whether a list column has a list in row i. */
export function hasList(column: FileColumn, i: number): boolean {
  return column.present === null || column.present[i] === 1;
}

/** One cell as a plain value; whole numbers of 64 bits become doubles. */
export function plainCell(cells: Cells, at: number): unknown {
  if (cells.kind !== "number") return cells.values[at] ?? null;
  return cells.valid !== null && cells.valid[at] === 0 ? null : Number(cells.values[at]);
}

/** The value of row i as JSON has it: a list, or one cell. */
export function plainRow(column: FileColumn, i: number): unknown {
  const { offsets, cells } = column;
  if (offsets === null) return plainCell(cells, i);
  if (!hasList(column, i)) return null;
  return Array.from({ length: offsets[i + 1] - offsets[i] }, (_, k) => plainCell(cells, offsets[i] + k));
}

/** Cells [from, to). Numbers stay where they are. */
export function cutCells(cells: Cells, from: number, to: number): Cells {
  if (cells.kind === "number") {
    return {
      kind: "number",
      values: cells.values.subarray(from, to),
      valid: cells.valid?.subarray(from, to) ?? null,
    };
  }
  if (cells.kind === "string") return { kind: "string", values: cells.values.slice(from, to) };
  return { kind: "json", values: cells.values.slice(from, to) };
}

function cutColumn(column: FileColumn, from: number, to: number): FileColumn {
  const { offsets, present, cells } = column;
  if (offsets === null) return { ...column, cells: cutCells(cells, from, to) };
  const start = offsets[from];
  const cut = offsets.slice(from, to + 1);
  if (start !== 0) for (let i = 0; i < cut.length; i++) cut[i] -= start;
  return {
    ...column,
    offsets: cut,
    present: present?.subarray(from, to) ?? null,
    cells: cutCells(cells, start, offsets[to]),
  };
}

/** Rows [from, to) of a table. Numbers stay where they are. */
export function cutRows(table: FileTable, from: number, to: number): FileTable {
  if (from === 0 && to === table.rows) return table;
  return { ...table, rows: to - from, columns: table.columns.map((column) => cutColumn(column, from, to)) };
}

/** Where the bytes of the first i rows end, for i = 0 … rows; an estimate where cells are text or JSON. */
export function rowBytes({ rows, columns }: FileTable): Float64Array {
  const ends = new Float64Array(rows + 1);
  for (const { offsets, cells } of columns) {
    if (cells.kind === "number") {
      const width = cells.values.BYTES_PER_ELEMENT + (cells.valid === null ? 0 : 1);
      for (let i = 0; i < rows; i++) ends[i + 1] += width * (offsets === null ? 1 : offsets[i + 1] - offsets[i]);
      continue;
    }
    for (let i = 0; i < rows; i++) {
      const to = offsets === null ? i + 1 : offsets[i + 1];
      for (let k = offsets === null ? i : offsets[i]; k < to; k++) ends[i + 1] += 8 + cellBytes(cells.values[k]);
    }
  }
  for (let i = 0; i < rows; i++) ends[i + 1] += ends[i];
  return ends;
}

/** Cuts a table into pieces of at most `mostBytes`, but of one row at least; one that is small enough stays whole. */
export function* cutBySize(table: FileTable, mostBytes: number): Generator<{ piece: FileTable; bytes: number }> {
  const ends = rowBytes(table);
  const pieces = Math.max(Math.ceil(ends[table.rows] / mostBytes), 1);
  const aim = ends[table.rows] / pieces;
  for (let from = 0; from < table.rows; ) {
    let to = from + 1;
    while (to < table.rows && ends[to + 1] - ends[from] <= mostBytes && ends[to] - ends[from] < aim) to++;
    yield { piece: cutRows(table, from, to), bytes: ends[to] - ends[from] };
    from = to;
  }
}

function pickCells(cells: Cells, ranges: readonly (readonly [number, number])[]): Cells {
  if (cells.kind !== "number") {
    const values = ranges.flatMap(([from, to]) => cells.values.slice(from, to));
    return cells.kind === "string" ? { kind: "string", values: values as (string | null)[] } : { kind: "json", values };
  }
  const length = ranges.reduce((sum, [from, to]) => sum + to - from, 0);
  const values = new (cells.values.constructor as new (length: number) => RawNumbers)(length);
  const valid = cells.valid === null ? null : new Uint8Array(length);
  let at = 0;
  for (const [from, to] of ranges) {
    values.set(cells.values.subarray(from, to) as never, at);
    valid?.set((cells.valid as Uint8Array).subarray(from, to), at);
    at += to - from;
  }
  return { kind: "number", values, valid };
}

/** The same cells in another order or with gaps closed: list i is made of the cells [starts[i], starts[i] + lengths[i]). */
export function gatherLists(cells: Cells, starts: ArrayLike<number>, lengths: ArrayLike<number>): Cells {
  return pickCells(
    cells,
    Array.from(starts, (start, i) => [start, start + lengths[i]] as const),
  );
}

/** The rows with the given numbers. */
export function pickRows(table: FileTable, rows: readonly number[]): FileTable {
  const columns = table.columns.map((column): FileColumn => {
    const { offsets, present, cells } = column;
    const ends = offsets ?? null;
    const ranges = rows.map((i) => (ends === null ? [i, i + 1] : [ends[i], ends[i + 1]]) as [number, number]);
    const picked = { ...column, cells: pickCells(cells, ranges) };
    if (ends === null) return picked;
    const next = new Int32Array(rows.length + 1);
    ranges.forEach(([from, to], k) => {
      next[k + 1] = next[k] + to - from;
    });
    return { ...picked, offsets: next, present: present && Uint8Array.from(rows, (i) => present[i]) };
  });
  return { ...table, rows: rows.length, columns };
}

/**
 * A field of the structs in lists: where all structs of a row have null in it, the rollout lacks the column, since structs
 * cannot say it in another way.
 */
export function lackingWhereNull(column: FileColumn): FileColumn {
  const { offsets, cells } = column;
  if (offsets === null || (cells.kind === "number" && cells.valid === null)) return column;
  const isNull = (at: number) =>
    cells.kind === "number" ? cells.valid?.[at] === 0 : (cells.values[at] ?? null) === null;
  const rows = offsets.length - 1;
  const present = new Uint8Array(rows);
  for (let i = 0; i < rows; i++) {
    if (!hasList(column, i)) continue;
    let at = offsets[i];
    while (at < offsets[i + 1] && isNull(at)) at++;
    present[i] = at < offsets[i + 1] || offsets[i] === offsets[i + 1] ? 1 : 0;
  }
  return { ...column, present: present.includes(0) ? present : null };
}
