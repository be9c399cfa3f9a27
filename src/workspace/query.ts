import { type DuckDBConnection, DuckDBInstance, type DuckDBType, DuckDBTypeId, type Json } from "@duckdb/node-api";
import { InputError, jaggedKeys } from "../rollouts/index.ts";
import type { RunSummary, Workspace } from "./workspace.ts";

const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
const name = (value: string) => `"${value.replaceAll('"', '""')}"`;
const list = (files: readonly string[]) => `[${files.map(text).join(", ")}]`;

/** Columns that every view has besides those of its level. */
const keys: readonly string[] = ["run", "rollout", "group", "index"];

/** Does some work in a database in memory that is gone afterwards. */
async function inDatabase<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
  const database = await DuckDBInstance.create(":memory:");
  try {
    return await work(await database.connect());
  } finally {
    database.closeSync();
  }
}

/** The cells of a column that SQL gives, as text; null where they are. */
function cellsOf(sql: string): Promise<(string | null)[]> {
  return inDatabase(async (connection) => {
    const [cells = []] = (await connection.runAndReadAll(sql)).getColumns();
    return cells.map((cell) => (cell === null ? null : String(cell)));
  });
}

/** Ids of the rollouts in Parquet files. */
export async function idsOf(files: readonly string[]): Promise<string[]> {
  return (await cellsOf(`select id from read_parquet(${list(files)}, union_by_name = true)`)) as string[];
}

/** Traces that the rollouts in Parquet files came from (`meta.trace_id`). */
export async function tracesOf(files: readonly string[]): Promise<string[]> {
  const source = `read_parquet(${list(files)}, union_by_name = true)`;
  const traces = await cellsOf(`select json_extract_string(meta, '$.trace_id') from ${source}`);
  return traces.filter((trace) => trace !== null);
}

/** Which of several Parquet files holds a rollout. */
export async function fileOf(files: readonly string[], id: string): Promise<string | null> {
  const source = `read_parquet(${list(files)}, union_by_name = true, filename = true)`;
  const [path = null] = await cellsOf(`select filename from ${source} where id = ${text(id)} limit 1`);
  return path;
}

/** One row per rollout of all runs; the rollout's own columns as they are named in Parquet. */
function rolloutsView(runs: readonly { name: string; files: readonly string[] }[]): string {
  const parts = runs
    .filter(({ files }) => files.length > 0)
    .map((run) => {
      const source = `read_parquet(${list(run.files)}, union_by_name = true)`;
      return `select ${text(run.name)} as run, * from ${source}`;
    });
  const none = `select null::varchar as run, null::varchar as id, null::varchar as "group" where false`;
  return `create view rollouts as ${parts.length === 0 ? none : parts.join(" union all by name ")}`;
}

/** One row per row of a level: the lists of the rollout side by side, with the place in `index` (from 0). */
function levelView(level: string, columns: readonly string[]): string {
  const own = columns.filter((column) => column.startsWith(`${level}.`));
  if (own.length === 0) {
    return `create view ${name(level)} as select run, id as rollout, "group", 0 as index from rollouts where false`;
  }
  const length = own.map((column) => `coalesce(len(${name(column)}), 0)`).join(", ");
  const values = own.map((column) => {
    const short = column.slice(level.length + 1);
    return `unnest(${name(column)}) as ${name(keys.includes(short) ? column : short)}`;
  });
  return (
    `create view ${name(level)} as select run, id as rollout, "group", unnest(range(0, rows)) as index, ` +
    `${values.join(", ")} from (select *, greatest(0, ${length}) as rows from rollouts) where rows > 0`
  );
}

function runsTable(runs: readonly RunSummary[]): string[] {
  const rows = runs.map(
    (run) =>
      `(${text(run.name)}, ${text(run.created)}::timestamptz, ${text(run.source)}, ${run.rollouts}, ${run.tokens}, ${run.bytes})`,
  );
  const columns = "name varchar, created timestamptz, source varchar, rollouts bigint, tokens bigint, bytes bigint";
  return [`create table runs (${columns})`, ...(rows.length > 0 ? [`insert into runs values ${rows.join(", ")}`] : [])];
}

const wide: ReadonlySet<DuckDBTypeId> = new Set([
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.UBIGINT,
  DuckDBTypeId.HUGEINT,
  DuckDBTypeId.UHUGEINT,
]);

/** Whole numbers of 64 bits and more come as text; those that a double holds become numbers. */
function plainNumbers(rows: readonly (readonly Json[])[], types: readonly DuckDBType[]): Json[][] {
  const isWide = types.map(({ typeId }) => wide.has(typeId));
  return rows.map((row) =>
    row.map((cell, k) => (isWide[k] && cell !== null && Number.isSafeInteger(Number(cell)) ? Number(cell) : cell)),
  );
}

/** An answer in rows, as JSON values; whole numbers beyond 2^53 and dates are text. */
export interface QueryResult {
  columns: string[];
  rows: Json[][];
  /** Whether there were more rows than asked for. */
  more: boolean;
}

/**
 * Answers SQL over a workspace, in a database in memory of its own: `runs` (a row per run), `rollouts` (a row per rollout of
 * all runs, columns named as in Parquet, with `run`), and `turns`, `steps`, `tokens`, `reference`, `edges` (a row per row of
 * the level: `run`, `rollout`, `group`, `index`, and its columns without the level's name). Sees what is complete when it
 * begins. Files outside of the workspace cannot be read or written.
 * @param limit most rows to give.
 * @throws InputError for SQL that DuckDB refuses.
 */
export async function query(workspace: Workspace, sql: string, limit = 1000): Promise<QueryResult> {
  const runs = await workspace.list();
  const files = await Promise.all(
    runs.map(async (run) => ({ name: run.name, files: await workspace.files(run.name) })),
  );
  return inDatabase(async (connection) => {
    for (const statement of runsTable(runs)) await connection.run(statement);
    await connection.run(rolloutsView(files));
    const described = await connection.runAndReadAll("describe rollouts");
    const columns = described.getColumns()[0]?.map(String) ?? [];
    for (const level of Object.keys(jaggedKeys)) await connection.run(levelView(level, columns));
    const places = files.flatMap((run) => run.files);
    await connection.run(`set allowed_paths = ${list(places)}`);
    await connection.run("set enable_external_access = false");
    await connection.run("set lock_configuration = true");
    const reader = await connection.streamAndReadUntil(sql, limit + 1).catch((error: unknown) => {
      throw new InputError("the query was refused", { got: (error as Error).message.split("\n\n")[0] });
    });
    const rows = plainNumbers(reader.getRowsJson(), reader.columnTypes());
    return { columns: reader.deduplicatedColumnNames(), rows: rows.slice(0, limit), more: rows.length > limit };
  });
}
