import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { importers } from "../../../src/formats/import/index.ts";
import { concatBatches } from "../../../src/rollouts/index.ts";
import { folderWith, importAll } from "./try-import.ts";

const talk = (question: string, group?: string, more: object = {}) => ({
  ...more,
  ...(group === undefined ? {} : { group }),
  reward: 1,
  messages: [
    { role: "user", content: question },
    { role: "assistant", content: "yes" },
  ],
});
const lines = (records: readonly unknown[]) => records.map((record) => `${JSON.stringify(record)}\n`).join("");

test("directories, globs and packed files are read; members of a group come together", async () => {
  const folder = folderWith({
    "runs/a.jsonl": lines([talk("1", "g"), talk("2", "h")]),
    "runs/deep/b.jsonl.gz": gzipSync(lines([talk("3", "g")])),
    "runs/notes.txt": "not a log",
  });
  const all = concatBatches(await importAll([join(folder, "runs")], "openai"));
  expect(all.ids).toEqual(["a-0", "deep/b-0", "a-1"]);
  expect(all.groupNames).toEqual(["g", "g", "h"]);
  const globbed = concatBatches(await importAll([join(folder, "**/*.jsonl*")], "auto"));
  expect(globbed.ids).toEqual(all.ids);
  const twice = await importAll([join(folder, "runs/a.jsonl"), join(folder, "runs")], "openai");
  expect(concatBatches(twice).size).toBe(3);
});

test("a JSON document, JSON lines without the ending, a byte order mark and CRLF are understood", async () => {
  const folder = folderWith({
    "document.json": JSON.stringify([talk("1"), talk("2")], null, 2),
    "lines.json": lines([talk("1"), talk("2")]).replaceAll("\n", "\r\n"),
    "marked.json": `\uFEFF${JSON.stringify([talk("1"), talk("2")])}`,
    "one.json": JSON.stringify(talk("1")),
  });
  for (const [name, size] of Object.entries({ document: 2, lines: 2, marked: 2, one: 1 })) {
    expect(concatBatches(await importAll([join(folder, `${name}.json`)], "auto")).size).toBe(size);
  }
});

test("ids that are only unique in their file get its name when there are several", async () => {
  const trial = { task_id: 1, trial: 0, reward: 1, info: {}, traj: [] };
  const folder = folderWith({ "x.json": JSON.stringify([trial]), "y.json": JSON.stringify([trial]) });
  const batch = concatBatches(await importAll([folder], "tau-bench"));
  expect(batch.ids).toEqual(["x/1-0", "y/1-0"]);
  expect(batch.groupNames).toEqual(["x/1", "y/1"]);
});

test("batches are cut at chunkBytes and never within a run of one group", async () => {
  const records = Array.from({ length: 30 }, (_, k) => talk(`${k}`, `g${Math.floor(k / 3)}`));
  const folder = folderWith({ "a.jsonl": lines(records) });
  const batches = await importAll([join(folder, "a.jsonl")], "openai", { chunkBytes: 500 });
  expect(batches.length).toBeGreaterThan(3);
  for (const batch of batches) expect(batch.size).toBe(batch.groupCount * 3);
  expect(batches.flatMap((batch) => batch.ids)).toEqual(records.map((_, k) => `a-${k}`));
});

test("skip leaves bad lines and records out and says why; progress counts bytes", async () => {
  const bad = talk("4", "g");
  const text = `${lines([talk("1", "g", { id: "a" })])}{"messages": [\n${lines([{ ...bad, reward: "x" }, talk("5", "g", { id: "a" }), talk("6", "g")])}`;
  const file = join(folderWith({ "a.jsonl": text }), "a.jsonl");
  const rejects: { line?: number; reason: string; text: string }[] = [];
  let bytes = 0;
  const batches = await importAll([file], "openai", {
    onError: "skip",
    onReject: (reject) => rejects.push(reject),
    onProgress: (progress) => {
      bytes = progress.bytes;
    },
  });
  expect(concatBatches(batches).size).toBe(2);
  expect(rejects.map((reject) => reject.line)).toEqual([2, 3, 4]);
  expect(rejects[0]).toMatchObject({ text: '{"messages": [', reason: expect.stringMatching(/not JSON/) });
  expect(rejects[1].reason).toMatch(/reward/);
  expect(rejects[2].reason).toMatch(/"a".*already used.*a\.jsonl:1/);
  expect(bytes).toBe(Buffer.byteLength(text));
  await expect(importAll([file], "openai")).rejects.toThrow(/a\.jsonl:2.*not JSON \(column 15\).*got the end.*cut off/);
});

test.each([
  [{ "a.json": "" }, "auto", /a\.json.*empty/],
  [{ "a.json": "[]" }, "auto", /nothing to import/],
  [{ "a.json": '[{"x": 1,\n  NaN}]' }, "auto", /a\.json:2.*not JSON \(column 3\)/],
  [{ "a.json": '[{"x": 1' }, "auto", /cut off/],
  [{ "a.json": '{"x": 1}' }, "auto", /no importer knows.*tau-bench: .*traj.*got a record with x/],
  [{ "a.json": '{"id": "x", "turns": {}, "messages": []}' }, "auto", /rollout format already/],
  [{ "a.jsonl": '{"messages": [{"role": "wizard"}]}' }, "auto", /a\.jsonl:1.*messages\[0\].*"wizard"/],
  [{ "a.json": '{"x": 1}' }, "openai", /record|messages/],
  [{ "a.jsonl": '{"x": 1}\n' }, "openay", /unknown importer "openay".*openai/],
  [{ "a.jsonl.gz": "plain" }, "auto", /not gzip data/],
])("bad input is refused: %j", async (files, importer, message) => {
  const folder = folderWith(files);
  await expect(importAll([join(folder, Object.keys(files)[0])], importer)).rejects.toThrow(message);
});

test("missing files, folders without logs and globs without matches are named", async () => {
  const folder = folderWith({ "a.txt": "x", "sub/x.json": '{"x": 1}' });
  await expect(importAll([join(folder, "none.json")], "auto")).rejects.toThrow(/none\.json.*no such file/);
  await expect(importAll([join(folder, "*.jsonl")], "auto")).rejects.toThrow(/no file matches/);
  await expect(importAll([join(folder, "sub")], "auto")).rejects.toThrow(/x\.json.*no importer knows/);
  await expect(importAll([], "auto")).rejects.toThrow(/no input/);
});

test("an import can be given up", async () => {
  const file = join(folderWith({ "a.jsonl": lines([talk("1")]) }), "a.jsonl");
  await expect(importAll([file], "openai", { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
});

test("importers are listed by id with what they look for", () => {
  expect([...importers.keys()]).toEqual([
    ...["atif", "gsm8k", "openai", "tau-bench", "tau2", "trl", "verifiers", "verl", "who-and-when"],
  ]);
  for (const importer of importers.values()) expect(importer.looksFor).toMatch(/record|document|object/);
});
