import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { OutputClosed, streamOutput } from "../../src/formats/output.ts";
import { readRollouts } from "../../src/formats/read.ts";
import { openSink, removeUnfinished, writeRollouts } from "../../src/formats/write.ts";
import { type Batch, batchFromObjects, InputError } from "../../src/rollouts/index.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "apportion-test-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const batch = batchFromObjects([
  { id: "a", tokens: { x: [0.5, 1] } },
  { id: "b", group: "g" },
]);
const text = '{"id":"a","tokens":{"x":[0.5,1]}}\n{"id":"b","group":"g"}\n';

test("a file appears under its name when the sink is closed, not before", async () => {
  const path = join(folder, "out.jsonl");
  const sink = await openSink(path);
  await sink.write(batch);
  expect(existsSync(path)).toBe(false);
  await sink.close();
  expect(readFileSync(path, "utf8")).toBe(text);
  expect(readdirSync(folder)).toEqual(["out.jsonl"]);
});

test("leaves nothing behind when it is given up, and what was there stays", async () => {
  const path = join(folder, "keep.jsonl");
  writeFileSync(path, "before");
  chmodSync(path, 0o640);
  const sink = await openSink(path);
  await sink.write(batch);
  await sink.abort();
  async function* broken(): AsyncGenerator<Batch> {
    yield batch;
    throw new InputError("the input broke");
  }
  await expect(writeRollouts(broken(), path)).rejects.toThrow("the input broke");
  await expect(writeRollouts(batch.with({ "tokens.x": Float64Array.of(Number.NaN, 1) }), path)).rejects.toThrow("NaN");
  expect(readFileSync(path, "utf8")).toBe("before");
  const interrupted = await openSink(path);
  await interrupted.write(batch);
  removeUnfinished();
  expect(readdirSync(folder).sort()).toEqual(["keep.jsonl", "out.jsonl"]);
  await interrupted.abort();
  expect(await writeRollouts([batch], path)).toBe(2);
  expect(readFileSync(path, "utf8")).toBe(text);
  expect(statSync(path).mode & 0o777).toBe(0o640);
});

test("writes over its own input, through links, and packed by name", async () => {
  const path = join(folder, "real.jsonl");
  writeFileSync(path, text);
  const link = join(folder, "link.jsonl");
  symlinkSync(path, link);
  await writeRollouts((await readRollouts(path)).with({ "rollout.reward": Float64Array.of(1, 2) }), link);
  expect(readFileSync(path, "utf8")).toContain('{"id":"b","group":"g","reward":2}');
  for (const name of ["packed.jsonl.gz", "packed.ndjson.zst"]) {
    const packed = join(folder, name);
    await writeRollouts(batch, packed, { level: 9 });
    expect(readFileSync(packed).subarray(0, 2)).not.toEqual(Buffer.from('{"'));
    expect((await readRollouts(packed)).ids).toEqual(["a", "b"]);
  }
});

test("says why an output cannot be written", async () => {
  mkdirSync(join(folder, "directory"));
  await expect(openSink(join(folder, "directory"))).rejects.toThrow("the output is a directory");
  await expect(openSink(join(folder, "nowhere", "x.jsonl"))).rejects.toThrow(
    /directory of the output does not exist.*mkdir/,
  );
  await expect(openSink(join(folder, "x.jsonl.gz"), { level: 12 })).rejects.toThrow("gzip has no level 12");
  await expect(openSink("-", { format: "parquet" })).rejects.toThrow("standard output");
  await expect(openSink(join(folder, "x.parquet.gz"))).rejects.toThrow("not compressed as a whole");
  expect(readdirSync(folder).filter((name) => name.includes("tmp"))).toEqual([]);
});

test.skipIf(!existsSync("/dev/full"))("says that the disk is full", async () => {
  await expect(writeRollouts(batch, "/dev/full")).rejects.toThrow(/\/dev\/full: the disk is full/);
  await expect(writeRollouts(batch, "/dev/full", { compression: "gzip" })).rejects.toThrow("the disk is full");
  await expect(writeRollouts(batch, "/dev/full", { compression: "zstd" })).rejects.toThrow("the disk is full");
  expect(statSync("/dev/full").isCharacterDevice()).toBe(true);
});

test("a stream that has been closed by its reader is told apart from other faults", async () => {
  const failing = (code: string) =>
    new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error(code), { code })) });
  const closed = streamOutput(failing("EPIPE"), "standard output");
  await expect(closed.write(Buffer.from("x"))).rejects.toBeInstanceOf(OutputClosed);
  await expect(closed.write(Buffer.from("x"))).rejects.toBeInstanceOf(OutputClosed);
  await expect(closed.close()).rejects.toBeInstanceOf(OutputClosed);
  await expect(streamOutput(failing("ENOSPC"), "standard output").write(Buffer.from("x"))).rejects.toThrow(
    "standard output: the disk is full",
  );
});

test("a pipe whose reader goes away ends the writing", async () => {
  const reader = spawn(process.execPath, ["-e", "process.stdin.once('data', () => process.exit())"], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  const output = streamOutput(reader.stdin, "standard output");
  const write = async () => {
    for (let k = 0; k < 10_000; k++) await output.write(Buffer.alloc(100_000));
  };
  await expect(write()).rejects.toBeInstanceOf(OutputClosed);
});
