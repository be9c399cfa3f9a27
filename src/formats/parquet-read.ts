import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { type Batch, InputError } from "../rollouts/index.ts";
import { batchesOfTables } from "./columnar-batches.ts";
import { formatKey, jsonColumnsKey } from "./columnar-names.ts";
import type { FileTable } from "./columnar-table.ts";
import { fileSql, metadataSql, readColumns } from "./parquet-query.ts";
import { columnsOfChunk } from "./parquet-vectors.ts";
import type { ReadOptions } from "./types.ts";

export interface ParquetReadOptions extends ReadOptions {
  /** How messages call the file (default its path). */
  name?: string;
}

/** Each thread holds a row group: more of them are not faster than what comes after. */
const mostThreads = 4;

/** What DuckDB says about a file, for a person. */
function unreadable(error: unknown, file: string): unknown {
  // DuckDB throws plain errors; every other kind is not about the file.
  if (!(error instanceof Error) || error.constructor !== Error) return error;
  const [reason] = error.message.split("\n");
  return new InputError("not a Parquet file that can be read", {
    file,
    got: reason.replace(/^(?:Invalid Input|IO|Invalid|Conversion|INTERNAL|Binder|Not implemented) Error: /i, ""),
    hint: "was it cut off while it was copied or written?",
  });
}

async function metadataOf(connection: DuckDBConnection, path: string): Promise<Map<string, string>> {
  const reader = await connection.runAndReadAll(metadataSql(path, [formatKey, jsonColumnsKey]));
  return new Map(reader.getRows() as [string, string][]);
}

async function* chunksOf(connection: DuckDBConnection, path: string, signal?: AbortSignal): AsyncGenerator<FileTable> {
  const metadata = await metadataOf(connection, path);
  const source = fileSql(path);
  const empty = await connection.run(`SELECT * FROM ${source} LIMIT 0`);
  const columns = readColumns(empty.columnNames(), empty.columnTypes());
  const result = await connection.stream(`SELECT ${columns.map(({ sql }) => sql).join(", ")} FROM ${source}`);
  for (let next = result.fetchChunk(); ; ) {
    const chunk = await next;
    signal?.throwIfAborted();
    if (chunk === null || chunk.rowCount === 0) return;
    const table = { rows: chunk.rowCount, columns: columnsOfChunk(chunk, columns), metadata };
    next = result.fetchChunk();
    next.catch(() => {}); // reported in its turn
    yield table;
  }
}

async function* tablesOf(path: string, options: ParquetReadOptions): AsyncGenerator<FileTable> {
  const file = options.name ?? path;
  let instance: DuckDBInstance | null = null;
  let connection: DuckDBConnection | null = null;
  try {
    instance = await DuckDBInstance.create(":memory:", {
      threads: String(Math.min(availableParallelism(), mostThreads)),
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
    });
    connection = await instance.connect();
    yield* chunksOf(connection, resolve(path), options.signal);
  } catch (error) {
    throw unreadable(error, file);
  } finally {
    connection?.closeSync();
    instance?.closeSync();
  }
}

/**
 * Reads rollouts from a Parquet file, whatever its encodings and codecs: one row per rollout, named as `columnar-names.ts`
 * says. Struct columns named after a level, `rewards` and `signals` are read field by field, lists of structs too; columns
 * that are not known become columns of the rollout.
 * @returns batches of about `chunkBytes`. That ids are unique is checked within each of them only.
 * @throws InputError when the file is damaged or no Parquet, a column has the wrong type, or a rollout does not conform
 * (unless `onError` is `skip`).
 */
export function readParquet(path: string, options: ParquetReadOptions = {}): AsyncGenerator<Batch> {
  const { name = path, onError, onReject, chunkBytes } = options;
  return batchesOfTables(tablesOf(path, options), { file: name, onError, onReject }, chunkBytes);
}
