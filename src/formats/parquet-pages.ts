import type { CellType } from "./columnar-layout.ts";
import { type Cells, type FileColumn, hasList } from "./columnar-table.ts";
import { pushVarint } from "./parquet-thrift.ts";
import { textBytes } from "./text-bytes.ts";

/** Repetition and definition levels of a column in Parquet's run-length form, and how many entries they are. */
export interface Levels {
  repetition: Uint8Array;
  definition: Uint8Array;
  entries: number;
  /** Entries without a value: absent and empty lists, nulls. */
  nulls: number;
}

/** Runs of equal small numbers. */
class Runs {
  readonly #out: number[] = [];
  #value = 0;
  #count = 0;

  add(value: number, count: number): void {
    if (value !== this.#value) {
      this.#flush();
      this.#value = value;
    }
    this.#count += count;
  }

  #flush(): void {
    if (this.#count === 0) return;
    pushVarint(this.#out, 2 * this.#count);
    this.#out.push(this.#value);
    this.#count = 0;
  }

  bytes(): Uint8Array {
    this.#flush();
    return Uint8Array.from(this.#out);
  }
}

function isNull(cells: Cells, at: number): boolean {
  if (cells.kind === "number") return cells.valid !== null && cells.valid[at] === 0;
  return cells.values[at] === null;
}

function anyNull(cells: Cells): boolean {
  return cells.kind === "number" ? cells.valid?.includes(0) === true : cells.values.includes(null);
}

/** Definition levels of a list: 0 no list, 1 empty, 2 null, 3 a value. */
function listLevels(column: FileColumn, rows: number): Levels {
  const repetition = new Runs();
  const definition = new Runs();
  const offsets = column.offsets as Int32Array;
  const { cells } = column;
  const whole = !anyNull(cells);
  let entries = 0;
  let nulls = 0;
  for (let i = 0; i < rows; i++) {
    const from = offsets[i];
    const to = hasList(column, i) ? offsets[i + 1] : from;
    repetition.add(0, 1);
    if (from === to) {
      definition.add(hasList(column, i) ? 1 : 0, 1);
      entries++;
      nulls++;
      continue;
    }
    if (to - from > 1) repetition.add(1, to - from - 1);
    entries += to - from;
    if (whole) {
      definition.add(3, to - from);
      continue;
    }
    for (let k = from; k < to; k++) {
      const none = isNull(cells, k);
      definition.add(none ? 2 : 3, 1);
      if (none) nulls++;
    }
  }
  return { repetition: repetition.bytes(), definition: definition.bytes(), entries, nulls };
}

function cellLevels(cells: Cells, rows: number): Levels {
  const definition = new Runs();
  let nulls = 0;
  if (!anyNull(cells)) definition.add(1, rows);
  else {
    for (let i = 0; i < rows; i++) {
      const none = isNull(cells, i);
      definition.add(none ? 0 : 1, 1);
      if (none) nulls++;
    }
  }
  return { repetition: new Uint8Array(0), definition: definition.bytes(), entries: rows, nulls };
}

/** Levels of a column; of one that is missing (`null`) in rows that all lack it. */
export function levelsOf(column: FileColumn | null, rows: number): Levels {
  if (column !== null) return column.offsets === null ? cellLevels(column.cells, rows) : listLevels(column, rows);
  const none = new Runs();
  none.add(0, rows);
  const zeros = none.bytes();
  return { repetition: zeros, definition: zeros, entries: rows, nulls: rows };
}

/** Numbers that are there: without nulls, and without what stands in the rows of rollouts that lack the list. */
function presentNumbers<T extends Float64Array>(values: T, column: FileColumn, rows: number): T {
  const { cells, offsets } = column;
  const valid = (cells as Cells & { kind: "number" }).valid;
  const out = new (values.constructor as new (length: number) => T)(values.length);
  let count = 0;
  for (let i = 0; i < rows; i++) {
    if (offsets !== null && !hasList(column, i)) continue;
    const to = offsets === null ? i + 1 : offsets[i + 1];
    for (let k = offsets === null ? i : offsets[i]; k < to; k++) {
      if (valid === null || valid[k] === 1) out[count++] = values[k];
    }
  }
  return out.subarray(0, count) as T;
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Texts, each after its length. */
function plainText(column: FileColumn, rows: number): Uint8Array {
  const { cells, offsets } = column;
  const all = (cells as Cells & { kind: "string" }).values;
  const texts: string[] = [];
  for (let i = 0; i < rows; i++) {
    if (offsets !== null && !hasList(column, i)) continue;
    const to = offsets === null ? i + 1 : offsets[i + 1];
    for (let k = offsets === null ? i : offsets[i]; k < to; k++) {
      const text = all[k];
      if (text !== null) texts.push(text);
    }
  }
  const { bytes, offsets: ends } = textBytes(texts);
  const out = Buffer.allocUnsafe(bytes.length + 4 * texts.length);
  for (let k = 0, at = 0; k < texts.length; k++) {
    at = out.writeUInt32LE(ends[k + 1] - ends[k], at);
    out.set(bytes.subarray(ends[k], ends[k + 1]), at);
    at += ends[k + 1] - ends[k];
  }
  return out;
}

/** Values of a column as a page holds them; with a dictionary, they are numbers of its entries. */
export interface PageValues {
  bytes: Uint8Array;
  dictionary: { bytes: Uint8Array; entries: number } | null;
}

/** Small numbers packed bit by bit behind their width, as one run. */
function packed(indices: Uint8Array, width: number): Uint8Array {
  const groups = Math.ceil(indices.length / 8);
  const head = [width];
  pushVarint(head, 2 * groups + 1);
  const out = new Uint8Array(head.length + groups * width);
  out.set(head);
  let at = head.length;
  const whole = indices.length & ~7;
  if (width === 1) {
    for (let k = 0; k < whole; k += 8) {
      const low = indices[k] | (indices[k + 1] << 1) | (indices[k + 2] << 2) | (indices[k + 3] << 3);
      const high = indices[k + 4] | (indices[k + 5] << 1) | (indices[k + 6] << 2) | (indices[k + 7] << 3);
      out[at++] = low | (high << 4);
    }
    for (let k = whole; k < indices.length; k++) out[at] |= indices[k] << (k - whole);
    return out;
  }
  let bit = 8 * at;
  for (let k = 0; k < indices.length; k++, bit += width) {
    const place = indices[k] << (bit & 7);
    out[bit >> 3] |= place;
    if (place > 255) out[(bit >> 3) + 1] |= place >> 8;
  }
  return out;
}

/** Bytes as entries of a dictionary: Parquet has no type of one byte. */
function dictionaryValues(values: Uint8Array): PageValues {
  const seen = new Uint8Array(256);
  for (let k = 0; k < values.length; k++) seen[values[k]] = 1;
  const last = Math.max(seen.lastIndexOf(1), 1);
  const entries = Int32Array.from({ length: last + 1 }, (_, value) => value);
  const width = 32 - Math.clz32(last);
  return { bytes: packed(values, width), dictionary: { bytes: bytesOf(entries), entries: entries.length } };
}

const nothing: PageValues = { bytes: new Uint8Array(0), dictionary: null };

/** The values of a column. Numbers are not copied where all of them are there. */
export function valuesOf(column: FileColumn | null, type: CellType, rows: number, levels: Levels): PageValues {
  if (column === null || levels.nulls === levels.entries) return nothing;
  const { cells, offsets, present } = column;
  if (cells.kind !== "number") return { bytes: plainText(column, rows), dictionary: null };
  const all = !anyNull(cells) && (offsets === null || present === null || !present.includes(0));
  const values = cells.values as Float64Array;
  const there = all ? values : presentNumbers(values, column, rows);
  if (type === "uint8") return dictionaryValues(there as unknown as Uint8Array);
  return { bytes: bytesOf(there), dictionary: null };
}
