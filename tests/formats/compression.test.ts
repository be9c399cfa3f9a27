import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { compress } from "@cloudpss/zstd";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compressionOf } from "../../src/formats/compression.ts";
import { readRollouts } from "../../src/formats/read.ts";
import { writeRollouts } from "../../src/formats/write.ts";
import { type Batch, batchFromObjects, InputError } from "../../src/rollouts/index.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "apportion-test-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, k) => `{"id":"r${from + k}","tokens":{"x":[${k},${k / 7}]}}\n`).join("");
const text = lines(0, 2000);
const pack = {
  gzip: (bytes: string) => gzipSync(bytes),
  zstd: (bytes: string) => Buffer.from(compress(Buffer.from(bytes))),
};
const kinds = ["gzip", "zstd"] as const;

function read(bytes: Buffer, size = 1000): Promise<Batch> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return readRollouts(Readable.from(pieces, { objectMode: false }));
}

test.each(kinds)("%s: reads one frame, several, and any size of chunk", async (kind) => {
  const whole = pack[kind](text);
  const several = Buffer.concat([pack[kind](lines(0, 10)), pack[kind](lines(10, 11)), pack[kind](lines(11, 2000))]);
  for (const [bytes, size] of [
    [whole, 1e6],
    [whole, 7],
    [several, 1e6],
    [several, 1],
  ] as const) {
    expect(compressionOf(bytes)).toBe(kind);
    const batch = await read(bytes, size);
    expect(batch.size).toBe(2000);
    expect(batch.count("token")).toBe(4000);
  }
});

test.each(kinds)("%s: notices a stream that ends too early, wherever it was cut", async (kind) => {
  const bytes = Buffer.concat([pack[kind](lines(0, 300)), pack[kind](lines(300, 310))]);
  const first = pack[kind](lines(0, 300)).length;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 4, max: bytes.length - 1 }), async (cut) => {
      if (cut === first) return;
      const error = await read(bytes.subarray(0, cut)).catch((thrown: unknown) => thrown);
      // A gzip member behind the first one that is only a few bytes long passes for padding.
      if (kind === "gzip" && cut > first && cut < first + 18 && !(error instanceof Error)) return;
      expect(error).toBeInstanceOf(InputError);
      expect((error as InputError).message).toContain(`the ${kind} data ends too early`);
      expect((error as InputError).message).toContain("cut off");
    }),
    { numRuns: 60 },
  );
});

test.each(kinds)("%s: a damaged stream is refused, also with skip", async (kind) => {
  const bytes = pack[kind](text);
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 12, max: bytes.length - 9 }),
      fc.integer({ min: 1, max: 255 }),
      async (at, flip) => {
        const damaged = Buffer.from(bytes);
        damaged[at] ^= flip;
        try {
          await readRollouts(Readable.from([damaged], { objectMode: false }), { onError: "skip" });
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          refused++;
        }
      },
    ),
    { numRuns: 60 },
  );
  expect(refused).toBeGreaterThan(30);
});

test("a name that promises a compression that is not there", async () => {
  for (const [name, content, got] of [
    ["a.jsonl.gz", text, "other bytes"],
    ["b.jsonl.zst", "", "an empty file"],
  ]) {
    const path = join(folder, name);
    writeFileSync(path, content);
    await expect(readRollouts(path)).rejects.toThrow(`got ${got}`);
  }
});

test.each(kinds)("%s: writes what it reads, at every level asked for", async (kind) => {
  const batch = await read(Buffer.from(text));
  const sizes = [1, 9].map(async (level) => {
    const path = join(folder, `level-${level}.jsonl.${kind === "gzip" ? "gz" : "zst"}`);
    await writeRollouts(batch, path, { level });
    const bytes = readFileSync(path);
    expect(compressionOf(bytes)).toBe(kind);
    expect((await readRollouts(createReadStream(path))).numbers("tokens.x")).toEqual(batch.numbers("tokens.x"));
    return bytes.length;
  });
  const [fast, small] = await Promise.all(sizes);
  expect(small).toBeLessThan(fast);
});

test.each(kinds)("%s: writes more than fits in any buffer", async (kind) => {
  const values = Float64Array.from({ length: 700_000 }, (_, k) => Math.sin(k));
  const plain = batchFromObjects([{ id: "a", tokens: { x: new Array(values.length).fill(0) } }]);
  const path = join(folder, `large.${kind === "gzip" ? "gz" : "zst"}`);
  await writeRollouts(plain.with({ "tokens.x": values }), path);
  const again = (await readRollouts(path)).numbers("tokens.x");
  expect(again.length).toBe(values.length);
  expect(again.every((value, k) => value === values[k])).toBe(true);
});

test("reads the skippable frames of zstd, and blocks that repeat one byte", async () => {
  const skippable = Buffer.concat([Buffer.of(0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3), pack.zstd(lines(0, 5))]);
  expect((await read(skippable)).size).toBe(5);
  const spaces = pack.zstd(`${" ".repeat(500_000)}{"id":"a"}\n`);
  expect((await read(spaces)).ids).toEqual(["a"]);
  await expect(read(skippable.subarray(0, 9))).rejects.toThrow("ends too early");
});
