import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kindOfName, resolveInputs } from "../../src/formats/inputs.ts";
import { readRollouts } from "../../src/formats/read.ts";

let folder: string;
const line = (id: string) => `{"id":"${id}"}\n`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "apportion-test-"));
  const put = (path: string, content: string | Buffer) => writeFileSync(join(folder, path), content);
  mkdirSync(join(folder, "run", "deep", "er"), { recursive: true });
  mkdirSync(join(folder, "run", ".hidden"));
  mkdirSync(join(folder, "none"));
  mkdirSync(join(folder, "settings"));
  put("run/b.jsonl", line("b"));
  put("run/a.ndjson", line("a"));
  put("run/c.jsonl.gz", gzipSync(line("c")));
  put("run/manifest.json", '{"not": "a rollout"}');
  put("run/notes.txt", "hello");
  put("run/out.jsonl.rejects.jsonl", "{oops\n");
  put("run/.draft.jsonl", line("draft"));
  put("run/.hidden/h.jsonl", line("hidden"));
  put("run/deep/d.jsonl", line("d"));
  put("run/deep/er/e.jsonl", line("e"));
  put("run/odd[1].jsonl", line("odd"));
  put("none/notes.txt", "hello");
  put("settings/only.json", line("only"));
  symlinkSync(join(folder, "run"), join(folder, "run", "deep", "loop"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function names(input: string | string[]): Promise<string[]> {
  const full = [input].flat().map((name) => (name === "-" ? name : join(folder, name)));
  return (await resolveInputs(full)).map((source) => source.name.replace(`${folder}/`, ""));
}

test("a directory stands for the rollout files in it, sorted", async () => {
  const files = [
    "run/a.ndjson",
    "run/b.jsonl",
    "run/c.jsonl.gz",
    "run/deep/d.jsonl",
    "run/deep/er/e.jsonl",
    "run/odd[1].jsonl",
  ];
  expect(await names("run")).toEqual(files);
  expect(await names("settings")).toEqual(["settings/only.json"]);
  expect((await readRollouts(join(folder, "run"))).ids).toEqual(["a", "b", "c", "d", "e", "odd"]);
  await expect(names("none")).rejects.toThrow(/no rollout files in this directory; .*\.jsonl.*got 1 other files/);
});

test("globs stand for what matches, sorted", async () => {
  expect(await names("run/*.jsonl")).toEqual(["run/b.jsonl", "run/odd[1].jsonl", "run/out.jsonl.rejects.jsonl"]);
  expect(await names("run/?.{jsonl,ndjson}")).toEqual(["run/a.ndjson", "run/b.jsonl"]);
  expect(await names("run/[!b].*json*")).toEqual(["run/a.ndjson", "run/c.jsonl.gz"]);
  expect(await names("run/[a-b].*")).toEqual(["run/a.ndjson", "run/b.jsonl"]);
  expect(await names("r*/**/[de].jsonl")).toEqual(["run/deep/d.jsonl", "run/deep/er/e.jsonl"]);
  expect(await names("run/deep/**")).toEqual(["run/deep/d.jsonl", "run/deep/er/e.jsonl"]);
  expect(await names("run/.*.jsonl")).toEqual(["run/.draft.jsonl"]);
  expect(await names("*tings")).toEqual(["settings/only.json"]);
  await expect(names("run/*.csv")).rejects.toThrow("no file matches");
});

test("a file whose name looks like a glob is that file", async () => {
  expect(await names("run/odd[1].jsonl")).toEqual(["run/odd[1].jsonl"]);
});

test("inputs keep the order in which they were named", async () => {
  expect(await names(["run/b.jsonl", "-", "run/a.ndjson"])).toEqual(["run/b.jsonl", "standard input", "run/a.ndjson"]);
});

test("says what is wrong with an input", async () => {
  await expect(names("gone.jsonl")).rejects.toThrow(/gone\.jsonl: no such file or directory \(check the path\)/);
  await expect(names("run/b.jsonl/x")).rejects.toThrow("part of the path is not a directory");
  await expect(names(["-", "-"])).rejects.toThrow("standard input is named twice");
  await expect(resolveInputs([])).rejects.toThrow("no input was named");
  await expect(resolveInputs("")).rejects.toThrow("a file name is empty");
  const locked = join(folder, "locked.jsonl");
  writeFileSync(locked, line("x"));
  chmodSync(locked, 0);
  if (process.getuid?.() !== 0) await expect(readRollouts(locked)).rejects.toThrow("no permission");
});

test("the name says the format, the bytes say the rest", async () => {
  expect(kindOfName("a/b.JSONL.GZ")).toEqual({ format: "jsonl", compression: "gzip" });
  expect(kindOfName("b.parquet")).toEqual({ format: "parquet", compression: "none" });
  expect(kindOfName("b.arrows.zst")).toEqual({ format: "arrow", compression: "zstd" });
  expect(kindOfName("rollouts.gz")).toEqual({ format: null, compression: "gzip" });
  expect(kindOfName("a.jsonl/rollouts")).toEqual({ format: null, compression: "none" });
  expect(kindOfName("constructor.constructor")).toEqual({ format: null, compression: "none" });
  const plain = join(folder, "no-extension");
  writeFileSync(plain, line("plain"));
  const packed = join(folder, "packed");
  writeFileSync(packed, gzipSync(line("packed")));
  const misnamed = join(folder, "misnamed.jsonl");
  writeFileSync(misnamed, gzipSync(line("misnamed")));
  expect((await readRollouts([plain, packed, misnamed])).ids).toEqual(["plain", "packed", "misnamed"]);
});

test("streams may give text, bytes, or very little at a time", async () => {
  const text = `{"id":"a","meta":{"é":"😀"}}\n${line("b")}`;
  const bytes = [...Buffer.from(text)].map((byte) => Buffer.of(byte));
  for (const pieces of [[text], [Buffer.from(text)], bytes, [new Uint8Array(Buffer.from(text))], []]) {
    const batch = await readRollouts(Readable.from(pieces));
    expect(batch.ids).toEqual(pieces.length === 0 ? [] : ["a", "b"]);
    if (batch.size > 0) expect(batch.cells("meta")[0]).toEqual({ é: "😀" });
  }
});
