import { promises as fs } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { batchesOfTables } from "../../src/formats/columnar-batches.ts";
import { tablesByDuckDB } from "../../src/formats/parquet-duckdb.ts";
import { type ParquetReadOptions, readParquet } from "../../src/formats/parquet-read.ts";
import { type ParquetWriteOptions, ParquetWriter } from "../../src/formats/parquet-write.ts";
import { type Batch, batchFromObjects, InputError, selectRollouts } from "../../src/rollouts/index.ts";
import { batches, contents, objects } from "./columnar-batches.ts";

let folder = "";
let file = "";

beforeAll(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "apportion-parquet-"));
  file = join(folder, "rollouts.parquet");
});

afterAll(() => fs.rm(folder, { recursive: true }));

async function write(parts: readonly Batch[], options?: ParquetWriteOptions): Promise<void> {
  const writer = new ParquetWriter(file, options);
  try {
    for (const part of parts) await writer.write(part);
    await writer.close();
  } finally {
    await writer.abort();
  }
}

async function all(found: AsyncIterable<Batch>): Promise<Batch[]> {
  const parts: Batch[] = [];
  for await (const batch of found) parts.push(batch);
  return parts;
}

const readAll = (options?: ParquetReadOptions) => all(readParquet(file, options));
const readByDuckDB = () => all(batchesOfTables(tablesByDuckDB(file, file), { file }));

/** Runs SQL of DuckDB, as another program that writes Parquet. */
async function sql(text: string): Promise<void> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run(text);
  connection.closeSync();
  instance.closeSync();
}

function copy(select: string, options = "COMPRESSION snappy"): Promise<void> {
  return sql(`COPY (${select}) TO '${file}' (FORMAT parquet, ${options})`);
}

async function failure(options?: ParquetReadOptions): Promise<InputError> {
  const error = await readAll({ name: "in.parquet", ...options }).then(
    (found) => found.length,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  return error as InputError;
}

describe("what is written comes back", () => {
  test.each([undefined, "none", "gzip", "zstd"] as const)("as it was, compressed with %s", async (compression) => {
    const property = fc.asyncProperty(batches, async (batch) => {
      await write([batch], { compression });
      const [back, ...more] = await readAll();
      expect(more).toEqual([]);
      expect(contents(back)).toEqual(contents(batch));
    });
    await fc.assert(property, { numRuns: 60 });
  });

  test("to DuckDB as well as to the reader of this project", async () => {
    const property = fc.asyncProperty(batches, async (batch) => {
      await write([batch]);
      const [back] = await readByDuckDB();
      expect(contents(back)).toEqual(contents(batch));
    });
    await fc.assert(property, { numRuns: 25 });
  });

  test("in several row groups, with columns that come late, in batches of any size", async () => {
    const property = fc.asyncProperty(
      batches,
      fc.nat(6),
      fc.integer({ min: 1, max: 500 }),
      async (batch, cut, chunkBytes) => {
        const order = Array.from({ length: batch.size }, (_, i) => i);
        const parts = [selectRollouts(batch, order.slice(0, cut)), selectRollouts(batch, order.slice(cut))];
        await write(parts);
        expect(objects(...(await readAll({ chunkBytes })))).toEqual(objects(...parts));
        expect(objects(...(await readByDuckDB()))).toEqual(objects(...parts));
      },
    );
    await fc.assert(property, { numRuns: 25 });
  });

  test("a column that was null takes the type of its first value", async () => {
    const parts = [{ x: null }, { x: "text" }, {}].map((signals, i) => batchFromObjects([{ id: `r${i}`, signals }]));
    await write(parts);
    const [batch] = await readAll();
    expect(batch.column("signals.x")).toMatchObject({ kind: "string", values: [null, "text", null] });
    expect(objects(batch).map((rollout) => (rollout as { signals?: unknown }).signals)).toEqual([
      { x: null },
      { x: "text" },
      undefined,
    ]);
  });

  test("masks and other bytes", async () => {
    const values = Uint8Array.from({ length: 300 }, (_, k) => k % 256);
    const batch = batchFromObjects([
      { id: "a", tokens: { id: Array.from(values), mask: Array.from(values, (x) => x % 2) } },
    ]);
    for (const mostly of [values, values.map((x) => x % 5), values.map(() => 3), values.map(() => 0)]) {
      await write([batch.with({ "tokens.kind": mostly })]);
      for (const [back] of [await readAll(), await readByDuckDB()]) {
        expect(back.column("tokens.kind").values).toEqual(mostly);
        expect(back.column("tokens.mask").values).toEqual(batch.column("tokens.mask").values);
      }
    }
  });

  test("a file without rollouts", async () => {
    await write([]);
    expect(await readAll()).toEqual([]);
    expect(await readByDuckDB()).toEqual([]);
  });
});

describe("what a file cannot hold is refused", () => {
  const first = batchFromObjects([{ id: "a", signals: { x: 1 } }]);

  test("a column that changes its type, and levels that do not exist", async () => {
    const text = batchFromObjects([{ id: "b", signals: { x: "one" } }]);
    await expect(write([first, text])).rejects.toThrow(/rollout "b", column signals\.x: this column changes its type/);
    await expect(write([first], { compression: "zstd", level: 40 })).rejects.toThrow(/zstd has no level 40/);
  });

  test("a place that cannot be written", async () => {
    const writer = new ParquetWriter(join(folder, "missing", "x.parquet"), { name: "x.parquet" });
    await expect(writer.write(first)).rejects.toThrow(/^x\.parquet: no such file or directory/);
    await writer.abort();
  });
});

/** Rollouts in SQL, with everything that a flat file can hold. */
const flatSelect = `
  SELECT 'r' || i AS id, CASE WHEN i % 3 > 0 THEN 'g' || i // 8 END AS "group", i / 7 AS reward,
    CASE WHEN i % 5 = 0 THEN NULL ELSE i::FLOAT END AS "signals.some", i % 2 = 0 AS "signals.even",
    [k::BIGINT FOR k IN range(i % 50)] AS "tokens.id",
    [(k % 3 > 0)::UTINYINT FOR k IN range(i % 50)] AS "tokens.mask",
    CASE WHEN i % 4 = 0 THEN NULL ELSE [CASE WHEN k % 7 = 1 THEN NULL ELSE (k / 3)::FLOAT END FOR k IN range(i % 50)] END AS "tokens.logprob",
    [CASE WHEN k % 2 = 0 THEN 'agent ' || k % 4 END FOR k IN range(i % 4)] AS "turns.agent",
    [(k * 100)::SMALLINT FOR k IN range(i % 4)] AS "turns.cost", [k % 2 = 1 FOR k IN range(i % 4)] AS "turns.ok",
    i::UINTEGER AS big, (i - 5)::TINYINT AS small, 'ü' || i AS name
  FROM range(120) rows(i)`;

describe("files of other programs", () => {
  test.each([
    "COMPRESSION uncompressed",
    "COMPRESSION snappy",
    "COMPRESSION gzip",
    "COMPRESSION zstd",
    "COMPRESSION lz4_raw",
    "COMPRESSION brotli",
    "COMPRESSION snappy, PARQUET_VERSION v2",
    "COMPRESSION zstd, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 0",
    "COMPRESSION snappy, DICTIONARY_SIZE_LIMIT 0, ROW_GROUP_SIZE 50",
  ])("are read alike by both readers: %s", async (options) => {
    await copy(flatSelect, options);
    const expected = objects(...(await readByDuckDB()));
    expect(expected.length).toBe(120);
    expect(objects(...(await readAll()))).toEqual(expected);
    expect(objects(...(await readAll({ chunkBytes: 2000 })))).toEqual(expected);
    expect(expected[9]).toEqual({
      id: "r9",
      reward: 9 / 7,
      signals: { some: 9, even: 0 },
      tokens: {
        id: [0, 1, 2, 3, 4, 5, 6, 7, 8],
        mask: [0, 1, 1, 0, 1, 1, 0, 1, 1],
        logprob: [0, null, ...[2, 3, 4, 5, 6, 7].map((k) => Math.fround(k / 3)), null],
      },
      turns: { agent: ["agent 0"], cost: [0], ok: [0] },
      big: 9,
      small: 4,
      name: "ü9",
    });
  });

  test("structs, lists of structs, maps, JSON, dates, decimals and unknown lists", async () => {
    await copy(`
      SELECT 'a' AS id, 0.25::DECIMAL(10, 2) AS reward,
        {'id': [1, 2, 3]::BIGINT[], 'value': [0.5, 1, 1.5]::FLOAT[]} AS tokens,
        [{'end': 1, 'agent': 'x', 'calls': [{'name': 'f'}], 'value': NULL::DOUBLE}, {'end': 3, 'agent': NULL, 'calls': NULL, 'value': NULL}] AS turns,
        MAP {'accuracy': 1.0, 'format': 0.5} AS rewards, {'seconds': 2, 'note': NULL} AS signals, {'seed': 7, 'tags': ['p']} AS meta,
        [{'role': 'user', 'content': 'hi'}] AS messages, DATE '2026-01-02' AS day, ['p', 'q'] AS tags, '{"a":[1]}'::JSON AS extra,
        [1.5, 2.5]::DOUBLE[2] AS pair`);
    expect(objects(...(await readAll()))).toEqual([
      {
        id: "a",
        reward: 0.25,
        tokens: { id: [1, 2, 3], value: [0.5, 1, 1.5] },
        turns: { end: [1, 3], agent: ["x", null], calls: [[{ name: "f" }], null] },
        rewards: { accuracy: 1, format: 0.5 },
        signals: { seconds: 2 },
        meta: { seed: 7, tags: ["p"] },
        messages: [{ role: "user", content: "hi" }],
        day: "2026-01-02",
        tags: ["p", "q"],
        extra: { a: [1] },
        pair: [1.5, 2.5],
      },
    ]);
  });

  test("a name that looks like a pattern", async () => {
    const odd = join(folder, "a[1]*.parquet");
    await copy("SELECT 'a' AS id, {'x': 1} AS signals");
    await fs.rename(file, odd);
    expect(objects(...(await all(readParquet(odd))))).toEqual([{ id: "a", signals: { x: 1 } }]);
  });
});

describe("what does not conform names file, column and rollout", () => {
  test.each([
    ["SELECT 1 AS id", /^in\.parquet, column id: column of the wrong type; expected a column of text, got INTEGER/],
    ["SELECT 'a' AS uid", /^in\.parquet, column id: no column id/],
    [
      "SELECT 'a' AS id, 1 AS \"tokens.id\"",
      /^in\.parquet, rollout "a", column tokens\.id: .*expected a list in each row, got INTEGER/,
    ],
    [
      "SELECT 'a' AS id, [1, 2] AS tokens",
      /column tokens: .*expected a struct of lists, or a list of structs, got INTEGER\[\]/,
    ],
    [
      "SELECT 'a' AS id, [1, NULL] AS \"tokens.id\"",
      /rollout "a", column tokens\.id: .*a whole number \(row 1\), got null/,
    ],
    [
      "SELECT 'a' AS id, [3000000000] AS \"tokens.id\"",
      /rollout "a", column tokens\.id: .*below 2\^31 \(row 0\), got 3000000000/,
    ],
    [
      "SELECT 'a' AS id, ['x'] AS \"tokens.value\"",
      /rollout "a", column tokens\.value: .*a number or null \(row 0\), got "x"/,
    ],
    [
      "SELECT 'a' AS id, ['nan'::FLOAT] AS \"tokens.value\"",
      /rollout "a", column tokens\.value: .*a finite number \(row 0\), got NaN/,
    ],
    [
      "SELECT 'a' AS id, {'v': ['nan'::DOUBLE]} AS tokens, {'x': 1} AS meta",
      /rollout "a", column tokens\.v: .*a finite number/,
    ],
    [
      'SELECT \'a\' AS id, [1] AS "tokens.a", [1, 2] AS "tokens.b"',
      /rollout "a", column tokens\.b: lists of one level differ in length/,
    ],
    ["SELECT 'a' AS id, [2, 1] AS \"turns.end\"", /rollout "a", column turns\.end: ends must increase strictly/],
    ["SELECT 'a' AS id FROM range(2)", /rollout "a": this id was already used/],
  ])("%s", async (select, message) => {
    await copy(select);
    expect((await failure()).message).toMatch(message);
  });

  test("and is left out on request", async () => {
    await copy(
      "SELECT 'r' || i AS id, [CASE WHEN i = 1 THEN 'nan'::FLOAT ELSE i END] AS \"tokens.value\" FROM range(3) rows(i)",
    );
    const rejects: (string | undefined)[] = [];
    const found = await readAll({ onError: "skip", onReject: ({ rollout }) => rejects.push(rollout) });
    expect(objects(...found)).toEqual([
      { id: "r0", tokens: { value: [0] } },
      { id: "r2", tokens: { value: [2] } },
    ]);
    expect(rejects).toEqual(["r1"]);
  });
});

describe("damage", () => {
  const rollout = (i: number) => ({
    id: `r${i}`,
    reward: i,
    tokens: { id: [1, 2, 3], value: [i, null, 1] },
    turns: { agent: ["a"] },
  });

  test.each([
    ["nothing", ""],
    ["text", '{"id":"a"}\n{"id":"b"}\n'],
    ["the first bytes of Parquet", "PAR1PAR1PAR1PAR1"],
  ])("%s in the place of a file", async (_, text) => {
    await fs.writeFile(file, text);
    expect((await failure()).message).toMatch(
      /^in\.parquet: not a Parquet file that can be read; got .* \(was it cut off/,
    );
  });

  test("a file that is cut off is refused", async () => {
    await write([batchFromObjects([rollout(0), rollout(1)])]);
    const bytes = await fs.readFile(file);
    for (let length = 0; length < bytes.length; length += 97) {
      await fs.writeFile(file, bytes.subarray(0, length));
      expect((await failure()).message).toMatch(/not a Parquet file that can be read/);
    }
  });

  test.each(["none", "gzip", "zstd", "snappy"] as const)(
    "a changed byte in its pages gives rollouts or an error that says so (%s)",
    async (compression) => {
      const parts = [batchFromObjects([rollout(0), rollout(1)]), batchFromObjects([rollout(2)])];
      if (compression === "snappy") await copy(flatSelect);
      else await write(parts, { compression });
      const bytes = await fs.readFile(file);
      const pages = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8);
      const change = fc.record({
        at: fc.integer({ min: 4, max: pages - 1 }),
        to: fc.oneof(fc.constantFrom(0, 1, 127, 128, 255), fc.nat(255)),
      });
      const property = fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const damaged = Buffer.from(bytes);
        for (const { at, to } of changes) damaged[at] = to;
        await fs.writeFile(file, damaged);
        const started = performance.now();
        await readAll({ onError: "skip" }).catch((error: unknown) => {
          if (!(error instanceof InputError)) throw error;
        });
        expect(performance.now() - started).toBeLessThan(5000);
      });
      await fc.assert(property, { numRuns: 400 });
    },
  );

  test("a missing file", async () => {
    await fs.rm(file, { force: true });
    expect((await failure()).message).toMatch(/^in\.parquet: no such file or directory/);
  });
});
