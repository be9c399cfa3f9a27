import { createRequire } from "node:module";
import { type DuckDBDataChunk, DuckDBVarCharVector } from "@duckdb/node-api";
import { type Cells, type FileColumn, gatherLists, lackingWhereNull, type RawNumbers } from "./columnar-table.ts";
import type { ReadColumn, ReadType } from "./parquet-query.ts";

type Vector = Parameters<typeof DuckDBVarCharVector.fromRawVector>[0];

/** The part of the C interface that gives the memory of a vector; it is good as long as its chunk. */
interface Memory {
  data_chunk_get_vector(chunk: DuckDBDataChunk["chunk"], column: number): Vector;
  vector_get_data(vector: Vector, bytes: number): Uint8Array;
  vector_get_validity(vector: Vector, bytes: number): Uint8Array | null;
  list_vector_get_child(vector: Vector): Vector;
  list_vector_get_size(vector: Vector): number;
  struct_vector_get_child(vector: Vector, field: number): Vector;
}

// The very library that the API runs on, not one that happens to be installed beside it.
const require = createRequire(createRequire(import.meta.url).resolve("@duckdb/node-api"));
const memory: Memory = require("@duckdb/node-bindings");

/** Which of the rows [from, to) are not null; `null` when all are. */
function marksOf(vector: Vector, from: number, to: number): Uint8Array | null {
  const bits = memory.vector_get_validity(vector, Math.ceil(to / 64) * 8);
  if (bits === null || bits === undefined) return null;
  const marks = new Uint8Array(to - from);
  for (let k = from; k < to; k++) marks[k - from] = (bits[k >> 3] >> (k & 7)) & 1;
  return marks.includes(0) ? marks : null;
}

const arrays = {
  UTINYINT: Uint8Array,
  INTEGER: Int32Array,
  BIGINT: BigInt64Array,
  UBIGINT: BigUint64Array,
  FLOAT: Float32Array,
  DOUBLE: Float64Array,
} as const;

/** Cells [from, to) of a vector, copied out of its memory. */
function cellsOf(vector: Vector, type: ReadType, from: number, to: number): Cells {
  if (type === "VARCHAR" || type === "JSON") {
    const texts = DuckDBVarCharVector.fromRawVector(vector, to);
    const values: (string | null)[] = [];
    for (let k = from; k < to; k++) values.push(texts.getItem(k));
    return { kind: "string", values };
  }
  const Kind = arrays[type];
  const width = Kind.BYTES_PER_ELEMENT;
  const bytes = memory.vector_get_data(vector, to * width).slice(from * width, to * width);
  return { kind: "number", values: new Kind(bytes.buffer) as RawNumbers, valid: marksOf(vector, from, to) };
}

/** Lists of a vector: where they lie in the vector of their elements. */
interface Lists {
  offsets: Int32Array;
  present: Uint8Array | null;
  child: Vector;
  /** Cells of the lists, one list after another. */
  take(read: (from: number, to: number) => Cells): Cells;
}

function listsOf(vector: Vector, rows: number): Lists {
  const present = marksOf(vector, 0, rows);
  const data = memory.vector_get_data(vector, rows * 16);
  // Offset and length of each list, 64 bits each; both are small numbers.
  const entries = new Uint32Array(data.buffer, data.byteOffset, rows * 4);
  const child = memory.list_vector_get_child(vector);
  const size = memory.list_vector_get_size(vector);
  const offsets = new Int32Array(rows + 1);
  const starts = new Float64Array(rows);
  const lengths = new Int32Array(rows);
  let first = -1;
  let inOrder = true;
  for (let i = 0; i < rows; i++) {
    const there = present === null || present[i] === 1;
    const length = there ? entries[4 * i + 2] : 0;
    if (length > 0) {
      starts[i] = entries[4 * i];
      if (first < 0) first = starts[i];
      if (starts[i] - first !== offsets[i]) inOrder = false;
    }
    lengths[i] = length;
    offsets[i + 1] = offsets[i] + length;
  }
  const start = Math.max(first, 0);
  return {
    offsets,
    present,
    child,
    take(read) {
      if (inOrder) return read(start, start + offsets[rows]);
      return gatherLists(read(0, size), starts, lengths);
    },
  };
}

function structColumns(column: ReadColumn, vector: Vector, rows: number): FileColumn[] {
  const { offsets, present, child, take } = listsOf(vector, rows);
  return column.fields.map(({ name, type, fileType }, k) => {
    const field = memory.struct_vector_get_child(child, k);
    const cells = take((from, to) => cellsOf(field, type, from, to));
    return lackingWhereNull({ name, type: fileType, offsets, present, cells, json: type === "JSON" });
  });
}

/** The columns of the file that a column of the query stands for. Nothing points into the memory of the chunk. */
export function columnsOfChunk(chunk: DuckDBDataChunk, columns: readonly ReadColumn[]): FileColumn[] {
  const rows = chunk.rowCount;
  return columns.flatMap((column, k): FileColumn[] => {
    const vector = memory.data_chunk_get_vector(chunk.chunk, k);
    const { name, fileType, type, shape } = column;
    const json = type === "JSON";
    if (shape === "structs") return structColumns(column, vector, rows);
    if (shape === "cell") {
      const cells = cellsOf(vector, type, 0, rows);
      return [{ name, type: fileType, offsets: null, present: null, cells, json }];
    }
    const { offsets, present, take, child } = listsOf(vector, rows);
    const cells = take((from, to) => cellsOf(child, type, from, to));
    return [{ name, type: fileType, offsets, present, cells, json }];
  });
}
