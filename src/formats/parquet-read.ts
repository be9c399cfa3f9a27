import { promises as fs } from "node:fs";
import { type Batch, InputError } from "../rollouts/index.ts";
import { batchesOfTables } from "./columnar-batches.ts";
import type { FileTable } from "./columnar-table.ts";
import { zstd } from "./compression.ts";
import { fileError } from "./file-errors.ts";
import { ColumnReader } from "./parquet-flat-column.ts";
import type { Unzstd } from "./parquet-flat-page.ts";
import { codecIds, type FlatGroup, type FlatSchema, type Leaf, NotFlat, readFooter } from "./parquet-flat-schema.ts";
import { BadParquet } from "./parquet-thrift-read.ts";
import { readAhead } from "./read-ahead.ts";
import { defaultChunkBytes, type ReadOptions } from "./types.ts";

export interface ParquetReadOptions extends ReadOptions {
  /** How messages call the file (default its path). */
  name?: string;
  /** Told how much of the file has been read, in bytes, whenever that has grown. */
  onBytes?: (bytes: number) => void;
}

/** Bytes of columns that are decoded at once. */
const tableBytes = 16 * 2 ** 20;

/** The footer, where it is one that is understood here. */
async function flatSchemaOf(handle: fs.FileHandle): Promise<FlatSchema | null> {
  const { size } = await handle.stat();
  const tail = Buffer.alloc(8);
  if (size < 12) return null;
  await handle.read(tail, 0, 8, size - 8);
  const length = tail.readUInt32LE(0);
  if (tail.toString("latin1", 4) !== "PAR1" || length > size - 12) return null;
  const footer = new Uint8Array(length);
  await handle.read(footer, 0, length, size - 8 - length);
  try {
    return readFooter(footer, size);
  } catch (error) {
    // What is damaged is told by DuckDB too.
    if (error instanceof NotFlat || error instanceof BadParquet) return null;
    throw error;
  }
}

function damaged(error: unknown, file: string, column: string): unknown {
  if (!(error instanceof Error) || error instanceof InputError || error.name === "AbortError") return error;
  const got = error instanceof BadParquet ? error.message : "values that cannot be unpacked";
  return new InputError("the Parquet file is damaged", { file, column, got, hint: "copy or write it again" });
}

/** About how many bytes the columns of a row group take in memory. */
function bytesOf(group: FlatGroup, leaves: readonly Leaf[]): number {
  return group.chunks.reduce((sum, { entries, length }, k) => {
    const { array } = leaves[k].type;
    return sum + (array === null ? Math.max(length, 16 * entries) : entries * array.prototype.BYTES_PER_ELEMENT);
  }, 1);
}

async function* tablesOfGroup(
  handle: fs.FileHandle,
  { leaves, metadata }: FlatSchema,
  group: FlatGroup,
  unzstd: Unzstd,
  { file, atOnce }: { file: string; atOnce: number },
): AsyncGenerator<FileTable> {
  const readers = leaves.map((leaf, k) => new ColumnReader(handle, leaf, group.chunks[k], unzstd));
  const pieces = Math.max(Math.ceil(bytesOf(group, leaves) / atOnce), 1);
  const step = Math.max(Math.ceil(group.rows / pieces), 1);
  for (let row = 0; row < group.rows; row += step) {
    const rows = Math.min(step, group.rows - row);
    const columns = [];
    for (let k = 0; k < readers.length; k++) {
      try {
        columns.push(await readers[k].take(rows));
      } catch (error) {
        throw damaged(error, file, leaves[k].name);
      }
    }
    yield { rows, columns, metadata };
  }
}

async function* tablesOf(path: string, options: ParquetReadOptions): AsyncGenerator<FileTable> {
  const { name: file = path, signal, chunkBytes = defaultChunkBytes, onBytes } = options;
  const handle = await fs.open(path).catch((error: unknown) => Promise.reject(fileError(error, file)));
  try {
    const schema = await flatSchemaOf(handle);
    if (schema === null) {
      const { tablesByDuckDB } = await import("./parquet-duckdb.ts");
      const { size } = await handle.stat();
      yield* tablesByDuckDB(path, file, { signal, onPart: (part) => onBytes?.(Math.floor(part * size)) });
      return;
    }
    const zipped = schema.groups.some(({ chunks }) => chunks.some(({ codec }) => codec === codecIds.zstd));
    const unzstd: Unzstd = zipped ? (await zstd()).decompress : () => new Uint8Array(0);
    const atOnce = Math.min(chunkBytes, tableBytes);
    let before = 0;
    for (const group of schema.groups) {
      const size = group.chunks.reduce((sum, { length }) => sum + length, 0);
      let rows = 0;
      for await (const table of tablesOfGroup(handle, schema, group, unzstd, { file, atOnce })) {
        signal?.throwIfAborted();
        rows += table.rows;
        onBytes?.(before + Math.floor((size * rows) / group.rows));
        yield table;
      }
      before += size;
    }
  } finally {
    await handle.close();
  }
}

async function* tablesAhead(path: string, options: ParquetReadOptions): AsyncGenerator<FileTable> {
  const tables = tablesOf(path, options);
  try {
    yield* readAhead(tables);
  } finally {
    await tables.return(undefined);
  }
}

/**
 * Reads rollouts from a Parquet file: one row per rollout, named as `columnar-names.ts` says. Flat columns and lists of them
 * in the common encodings and codecs are decoded here, page by page, so that the size of row groups does not matter;
 * everything else is left to DuckDB. Struct columns named after a level, `rewards` and `signals` are read field by field,
 * lists of structs too; columns that are not known become columns of the rollout.
 * @returns batches of about `chunkBytes`. That ids are unique is checked within each of them only.
 * @throws InputError when the file is damaged or no Parquet, a column has the wrong type, or a rollout does not conform
 * (unless `onError` is `skip`).
 */
export function readParquet(path: string, options: ParquetReadOptions = {}): AsyncGenerator<Batch> {
  const { name = path, onError, onReject, chunkBytes } = options;
  return batchesOfTables(tablesAhead(path, options), { file: name, onError, onReject }, chunkBytes);
}
