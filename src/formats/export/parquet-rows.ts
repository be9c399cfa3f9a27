import { promises as fs } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "../../rollouts/index.ts";
import { fileError } from "../file-errors.ts";
import { draftOf } from "../output.ts";
import type { Exporter, Row } from "./exporter.ts";
import { type RowSink, RowText } from "./rows.ts";

/** Smallest room that DuckDB gets for one row of JSON. */
const smallestRow = 2 ** 24;

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The statement that turns rows of JSON into a Parquet file with the given columns. */
function copyStatement(from: string, to: string, types: ReadonlyMap<string, string>, longest: number): string {
  const columns = [...types].map(([name, type]) => `${quoted(name)}: ${quoted(type)}`).join(", ");
  const room = Math.max(smallestRow, longest * 4);
  const rows = `read_json(${quoted(from)}, format='newline_delimited', maximum_object_size=${room}, columns={${columns}})`;
  return `COPY (SELECT * FROM ${rows}) TO ${quoted(to)} (FORMAT parquet, COMPRESSION zstd)`;
}

async function copy(statement: string, file: string): Promise<void> {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:");
  try {
    const connection = await instance.connect();
    await connection.run(statement);
    connection.closeSync();
  } catch (error) {
    const [message] = (error as Error).message.split("\n");
    throw new InputError("the Parquet file could not be written", { file, got: message });
  } finally {
    instance.closeSync();
  }
}

/**
 * Rows into a Parquet file with nested columns: they are kept as JSON in a temporary file, which DuckDB then copies with
 * the types of the exporter. Optional columns appear when a row has them.
 */
export async function parquetRows(file: string, columns: NonNullable<Exporter["columns"]>): Promise<RowSink> {
  const draft = await draftOf(file);
  const folder = await fs.mkdtemp(join(tmpdir(), "apportion-export-"));
  const rowsFile = join(folder, "rows.jsonl");
  const handle = await fs.open(rowsFile, "w");
  const text = new RowText();
  const seen = new Set<string>();
  const put = (bytes: Buffer) =>
    handle.appendFile(bytes).catch((error: unknown) => Promise.reject(fileError(error, rowsFile)));
  const clean = async () => {
    await handle.close().catch(() => {});
    await fs.rm(folder, { recursive: true, force: true });
  };
  return {
    async write(row: Row) {
      for (const name in row) seen.add(name);
      const piece = text.add(row);
      if (piece !== null) await put(piece);
    },
    async close() {
      await put(text.rest());
      await handle.close();
      const types = new Map<string, string>();
      for (const [name, { type, optional }] of Object.entries(columns)) {
        if (optional !== true || seen.has(name)) types.set(name, type);
      }
      await copy(copyStatement(rowsFile, draft.path, types, text.longest), file);
      await clean();
      await draft.publish();
    },
    async abort() {
      await clean();
      await draft.discard();
    },
  };
}
