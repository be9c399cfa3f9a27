import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { transcriptOf } from "../../src/analysis/transcript.ts";
import { type ImportOptions, importers, importFiles } from "../../src/formats/import/index.ts";
import { type Batch, batchFaults, batchFromObjects, InputError, rolloutObject } from "../../src/rollouts/index.ts";
import { logs } from "./logs.ts";
import { mutated, oddValue, textOf } from "./mutate.ts";

const folder = mkdtempSync(join(tmpdir(), "apportion-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Rollouts as they are written and read again. */
const written = (batch: Batch) => Array.from({ length: batch.size }, (_, i) => JSON.stringify(rolloutObject(batch, i)));

/** A file of this text is imported whole, or refused in words; what comes out can be checked, read and written. */
async function importsOrRefuses(name: string, text: string | Uint8Array, importer: string, options: ImportOptions) {
  const file = join(folder, name);
  writeFileSync(file, text);
  try {
    for await (const batch of importFiles([file], importer, options)) {
      expect(batchFaults(batch).size).toBe(0);
      for (let i = 0; i < batch.size; i++) transcriptOf(batch, i);
      const lines = written(batch);
      expect(written(batchFromObjects(lines.map((line) => JSON.parse(line))))).toEqual(lines);
    }
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.message).toContain(file);
  }
}

const options: fc.Arbitrary<ImportOptions> = fc.record(
  {
    words: fc.boolean(),
    group: fc.constantFrom("prompt", "task_id", "missing", "__proto__"),
    reward: fc.constantFrom("reward", "step", "missing"),
    onError: fc.constantFrom("stop", "skip"),
    chunkBytes: fc.constantFrom(1, 1000),
  },
  { requiredKeys: [] },
);

test("every importer has a log to begin from", () => {
  expect(Object.keys(logs).sort()).toEqual([...importers.keys()].sort());
});

describe.each(Object.keys(logs))("%s", (id) => {
  test("the logs are good", async () => {
    for (const record of logs[id]) {
      const file = join(folder, "good.jsonl");
      writeFileSync(file, JSON.stringify(record));
      let rollouts = 0;
      for await (const batch of importFiles([file], id)) rollouts += batch.size;
      expect(rollouts).toBeGreaterThan(0);
    }
  });

  test("broken records are imported or refused", async () => {
    const record = fc.oneof(...logs[id].map(mutated));
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 3 }), options, (records, chosen) =>
        importsOrRefuses("log.jsonl", records.map((one) => `${textOf(one)}\n`).join(""), id, chosen),
      ),
      { numRuns: 400 },
    );
  });

  test("records of other kinds are imported or refused", async () => {
    const others = fc.oneof(fc.constantFrom(...Object.values(logs).flat()), oddValue);
    await fc.assert(
      fc.asyncProperty(fc.array(others, { minLength: 1, maxLength: 2 }), (records) =>
        importsOrRefuses("log.json", JSON.stringify(records), id, {}),
      ),
      { numRuns: 60 },
    );
  });
});

test("bytes that are cut off or changed are imported or refused, whatever the kind", async () => {
  const text = fc
    .constantFrom(...Object.values(logs).flat())
    .map((record) => JSON.stringify([record, record], null, 1));
  const change = fc.record({ at: fc.nat(), byte: fc.nat(255), drop: fc.nat(3) });
  await fc.assert(
    fc.asyncProperty(text, fc.array(change, { maxLength: 3 }), fc.option(fc.nat()), async (whole, changes, cut) => {
      const bytes = [...Buffer.from(whole)];
      for (const { at, byte, drop } of changes) bytes.splice(at % bytes.length, drop, byte);
      const end = cut === null ? bytes.length : cut % bytes.length;
      await importsOrRefuses("log.json", Uint8Array.from(bytes.slice(0, end)), "auto", {});
    }),
    { numRuns: 300 },
  );
});
