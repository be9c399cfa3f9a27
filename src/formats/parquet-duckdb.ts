import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { InputError } from "../rollouts/index.ts";
import { formatKey, jsonColumnsKey } from "./columnar-names.ts";
import type { FileTable } from "./columnar-table.ts";
import { countSql, fileSql, metadataSql, readColumns } from "./parquet-query.ts";
import { columnsOfChunk } from "./parquet-vectors.ts";

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

interface Progress {
  signal?: AbortSignal;
  /** Told which part of the rows has been read, from 0 to 1. */
  onPart?: (part: number) => void;
}

async function* chunksOf(
  connection: DuckDBConnection,
  path: string,
  { signal, onPart }: Progress,
): AsyncGenerator<FileTable> {
  const counted = await connection.runAndReadAll(countSql(path));
  const total = Number(counted.getRows()[0][0]);
  let rows = 0;
  const metadata = await metadataOf(connection, path);
  const source = fileSql(path);
  const empty = await connection.run(`SELECT * FROM ${source} LIMIT 0`);
  const columns = readColumns(empty.columnNames(), empty.columnTypes());
  const result = await connection.stream(`SELECT ${columns.map(({ sql }) => sql).join(", ")} FROM ${source}`);
  for (;;) {
    const chunk = await result.fetchChunk();
    signal?.throwIfAborted();
    if (chunk === null || chunk.rowCount === 0) return;
    rows += chunk.rowCount;
    onPart?.(rows / total);
    yield { rows: chunk.rowCount, columns: columnsOfChunk(chunk, columns), metadata };
  }
}

/**
 * The rows of a Parquet file as DuckDB reads them, whatever its types, encodings and codecs.
 * @param file how messages call it.
 * @throws InputError when it is damaged or no Parquet.
 */
export async function* tablesByDuckDB(path: string, file: string, progress: Progress = {}): AsyncGenerator<FileTable> {
  let instance: DuckDBInstance | null = null;
  let connection: DuckDBConnection | null = null;
  try {
    instance = await DuckDBInstance.create(":memory:", {
      threads: String(Math.min(availableParallelism(), mostThreads)),
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
    });
    connection = await instance.connect();
    yield* chunksOf(connection, resolve(path), progress);
  } catch (error) {
    throw unreadable(error, file);
  } finally {
    connection?.closeSync();
    instance?.closeSync();
  }
}
