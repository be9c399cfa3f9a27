import {
  batchType,
  Column,
  type DataType,
  field as fieldOf,
  float32,
  float64,
  int32,
  list,
  type Schema,
  Table,
  tableToIPC,
  uint8,
  utf8,
} from "@uwdata/flechette";
import { type Batch, InputError } from "../rollouts/index.ts";
import type { ArrowBatch } from "./arrow-buffers.ts";
import { type CellType, type Field, Layout } from "./columnar-layout.ts";
import { type Cells, cutBySize, type FileColumn, type FileTable } from "./columnar-table.ts";
import type { ByteOutput } from "./output.ts";
import { textBytes } from "./text-bytes.ts";

/** Larger batches are written as several record batches: text of one of them has to stay below 2 GB. */
const mostBytes = 2 ** 28;
/** The encoder counts in 32 bits. */
const mostBuffer = 2 ** 31 - 64;
/** Smaller buffers are put together before they are handed on. */
const smallBytes = 2 ** 14;

const types: Readonly<Record<CellType, () => DataType>> = {
  float64,
  float32,
  int32,
  uint8,
  text: utf8,
  json: utf8,
  empty: float64,
};

function typeOf({ type, list: isList }: Field): DataType {
  return isList ? list(fieldOf("item", types[type](), true)) : types[type]();
}

const noBytes = new Uint8Array(0);

/** A bitmap of marks, and how many are 0. */
function bitmap(marks: Uint8Array | null): { validity: Uint8Array; nullCount: number } {
  if (marks === null) return { validity: noBytes, nullCount: 0 };
  const validity = new Uint8Array((marks.length + 7) >> 3);
  let nullCount = marks.length;
  for (let k = 0; k < marks.length; k++) {
    if (marks[k] === 0) continue;
    validity[k >> 3] |= 1 << (k & 7);
    nullCount--;
  }
  return nullCount === 0 ? { validity: noBytes, nullCount } : { validity, nullCount };
}

type BatchParts = ConstructorParameters<ReturnType<typeof batchType>>[0];

function batchOf(type: DataType, parts: Omit<BatchParts, "type">): ArrowBatch {
  const Made = batchType(type, {}) as unknown as new (parts: BatchParts) => ArrowBatch;
  return new Made({ ...parts, type });
}

function cellBatch(type: DataType, cells: Cells): ArrowBatch {
  const { length } = cells.values;
  if (cells.kind === "number") {
    return batchOf(type, { length, ...bitmap(cells.valid), values: cells.values as Float64Array });
  }
  const texts = cells.values as readonly (string | null)[];
  const none = texts.includes(null) ? Uint8Array.from(texts, (text) => (text === null ? 0 : 1)) : null;
  const { bytes, offsets } = textBytes(texts);
  return batchOf(type, { length, ...bitmap(none), offsets, values: bytes });
}

/** Cells of a column that a batch lacks. */
function noCells(type: CellType, rows: number): Cells {
  if (type === "text" || type === "json") return { kind: "string", values: new Array(rows).fill(null) };
  const arrays = { float64: Float64Array, float32: Float32Array, int32: Int32Array, uint8: Uint8Array };
  const Kind = type === "empty" ? Float64Array : arrays[type];
  return { kind: "number", values: new Kind(rows), valid: new Uint8Array(rows) };
}

function columnBatch(field: Field, column: FileColumn | undefined, rows: number): ArrowBatch {
  const type = typeOf(field);
  if (!field.list) return cellBatch(type, column?.cells ?? noCells(field.type, rows));
  const { offsets, present, cells } = column ?? {
    offsets: new Int32Array(rows + 1),
    present: new Uint8Array(rows),
    cells: noCells(field.type, 0),
  };
  const [item] = (type as { children: [{ type: DataType }] }).children;
  const children = [cellBatch(item.type, cells)];
  return batchOf(type, { length: rows, ...bitmap(present), offsets: offsets as Int32Array, children });
}

/** Takes the buffers of the encoder as they come. */
class BufferList {
  readonly buffers: Uint8Array[] = [];

  write(bytes: Uint8Array): void {
    if (bytes.byteLength > mostBuffer) {
      throw new InputError("a column of one rollout is too large for an Arrow stream", { hint: "write JSONL" });
    }
    this.buffers.push(bytes);
  }

  pad(count: number): void {
    if (count > 0) this.write(new Uint8Array(count));
  }

  finish(): null {
    return null;
  }
}

/** Length of the first message of a stream. */
function firstMessage(bytes: Uint8Array): number {
  return 8 + new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(4, true);
}

/** Bytes of the end of a stream: a message of length 0. */
const endBytes = 8;

/** Buffers without the first `skip` and the last `drop` bytes; those that stay whole are not copied. */
function trimmed(buffers: readonly Uint8Array[], skip: number, drop: number): Uint8Array[] {
  const total = buffers.reduce((sum, bytes) => sum + bytes.length, 0);
  let at = 0;
  return buffers.flatMap((bytes) => {
    const from = Math.max(skip - at, 0);
    const to = Math.min(total - drop - at, bytes.length);
    at += bytes.length;
    return to > from ? [bytes.subarray(from, to)] : [];
  });
}

/** Buffers with neighbours that are small put together. */
function* gathered(buffers: readonly Uint8Array[]): Generator<Uint8Array> {
  let small: Uint8Array[] = [];
  for (const bytes of buffers) {
    if (bytes.length < smallBytes) {
      small.push(bytes);
      continue;
    }
    if (small.length > 0) yield Buffer.concat(small);
    small = [];
    yield bytes;
  }
  if (small.length > 0) yield Buffer.concat(small);
}

/**
 * Writes batches as an Arrow IPC stream, one row per rollout, named as `columnar-names.ts` says. The columns are those of
 * the first batch. Numbers go out from where they are, without a copy.
 */
export class ArrowStreamWriter {
  readonly #output: ByteOutput;
  readonly #layout = new Layout({ grows: false });
  #schema: Schema | null = null;

  constructor(output: ByteOutput) {
    this.#output = output;
  }

  /**
   * Writes the rollouts of a batch; when it resolves their arrays may change again.
   * @throws InputError when a column comes too late or changes its type, for NaN and Infinity.
   */
  async write(batch: Batch): Promise<void> {
    if (batch.size === 0) return;
    for (const { piece } of cutBySize(this.#layout.table(batch), mostBytes)) await this.#send(this.#message(piece));
  }

  /** Ends the stream; one without rollouts has a schema all the same. */
  async close(): Promise<void> {
    if (this.#schema === null) {
      this.#schema = this.#schemaOf();
      const columns = this.#schema.fields.map(({ type }) => new Column<unknown>([], type));
      await this.#send(this.#encoded(columns));
    }
    await this.#output.write(new Uint8Array([255, 255, 255, 255, 0, 0, 0, 0]));
  }

  #schemaOf(): Schema {
    const fields = this.#layout.fields.map((field) => fieldOf(field.name, typeOf(field), field.name !== "id"));
    return { version: 4, endianness: 0, fields, metadata: this.#layout.metadata };
  }

  #encoded(columns: Column<unknown>[]): Uint8Array[] {
    const sink = new BufferList();
    tableToIPC(new Table(this.#schema as Schema, columns), { sink, format: "stream" });
    return trimmed(sink.buffers, 0, endBytes);
  }

  #message({ rows, columns }: FileTable): Uint8Array[] {
    const first = this.#schema === null;
    this.#schema ??= this.#schemaOf();
    const byName = new Map(columns.map((column) => [column.name, column]));
    const batches = this.#layout.fields.map((field) => columnBatch(field, byName.get(field.name), rows));
    const buffers = this.#encoded(batches.map((batch) => new Column<unknown>([batch])));
    return first ? buffers : trimmed(buffers, firstMessage(buffers[0]), 0);
  }

  async #send(buffers: readonly Uint8Array[]): Promise<void> {
    for (const bytes of gathered(buffers)) await this.#output.write(bytes);
  }
}
