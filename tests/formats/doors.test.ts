import { createReadStream, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { groupExtents } from "../../src/formats/chunks.ts";
import { readBatches, readRollouts } from "../../src/formats/read.ts";
import type { Reject } from "../../src/formats/types.ts";
import { openSink, writeRollouts } from "../../src/formats/write.ts";
import { type Batch, batchFromObjects, rolloutObjects } from "../../src/rollouts/index.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "apportion-test-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const batch = batchFromObjects(
  ["a", "b", "c"].map((id, k) => ({
    id,
    group: `g${k >> 1}`,
    reward: k / 3,
    tokens: { id: [k, 7], logprob: [-0.1, -k - 0.5] },
    turns: { end: [2], agent: ["x"] },
    messages: [{ role: "user", content: "hi" }],
  })),
);
const names = ["r.jsonl", "r.jsonl.zst", "r.arrow", "r.arrows", "r.parquet"];

function objects(one: Batch): unknown[] {
  return [...rolloutObjects(one)];
}

test.each(names)("%s: what goes out comes in again, by name, by its bytes, and as a stream", async (name) => {
  const path = join(folder, name);
  expect(await writeRollouts(batch, path)).toBe(3);
  const bare = join(folder, `bare-${names.indexOf(name)}`);
  writeFileSync(bare, readFileSync(path));
  const packed = join(folder, `packed-${names.indexOf(name)}.gz`);
  writeFileSync(packed, gzipSync(readFileSync(path)));
  const streams = [createReadStream(path), Readable.from([readFileSync(path)])];
  // Bytes are unpacked once: gzip around zstd is no rollout file.
  for (const input of [path, bare, ...(name.endsWith(".zst") ? [] : [packed]), ...streams]) {
    expect(objects(await readRollouts(input))).toEqual(objects(batch));
  }
  expect(await groupExtents(path)).toEqual(
    new Map([
      ["g0", 2],
      ["g1", 1],
    ]),
  );
});

test.each(names)("%s: ids are unique over files of all kinds", async (name) => {
  const first = join(folder, "first.jsonl");
  writeFileSync(first, '{"id":"z"}\n{"id":"b"}\n');
  const second = join(folder, `second-${name}`);
  await writeRollouts(batch, second);
  await expect(readRollouts([first, second])).rejects.toThrow(/second-.*rollout "b".*this id was already used/);
  const rejects: Reject[] = [];
  const options = { onError: "skip", onReject: (reject: Reject) => rejects.push(reject) } as const;
  expect((await readRollouts([first, second], options)).ids).toEqual(["z", "b", "a", "c"]);
  expect(rejects).toMatchObject([{ file: second, rollout: "b", reason: expect.stringContaining("already used") }]);
  expect(JSON.parse(rejects[0].text)).toMatchObject({ id: "b", tokens: { id: [1, 7] } });
});

test.each(names)("%s: several batches become one file; given up, none", async (name) => {
  const path = join(folder, `several-${name}`);
  const parts = ["p", "q"].map((id) => batchFromObjects([{ id, reward: 1, tokens: { id: [1, 2, 3] } }]));
  const given = await openSink(path);
  await given.write(parts[0]);
  await given.abort();
  expect(readdirSync(folder).filter((file) => file.includes(`several-${name}`))).toEqual([]);
  await writeRollouts(parts, path);
  const ids: string[] = [];
  for await (const one of readBatches(path)) ids.push(...one.ids);
  expect(ids).toEqual(["p", "q"]);
  expect(readdirSync(folder).filter((file) => file.includes(`several-${name}`))).toEqual([`several-${name}`]);
});

test("batches of different formats become one batch", async () => {
  const paths: string[] = [];
  for (const [k, name] of names.entries()) {
    paths.push(join(folder, `mixed-${name}`));
    await writeRollouts(batchFromObjects([{ id: `r${k}`, tokens: { x: [k + 0.5] } }]), paths[k]);
  }
  const all = await readRollouts(paths);
  expect(all.ids).toEqual(names.map((_, k) => `r${k}`));
  expect(Array.from(all.numbers("tokens.x"))).toEqual(names.map((_, k) => k + 0.5));
});
