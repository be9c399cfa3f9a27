import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readBatches, readRollouts } from "../../src/formats/read.ts";
import { type Batch, BatchBuilder, InputError, jaggedLevels } from "../../src/rollouts/index.ts";
import { disguise, generator, rolloutsArbitrary } from "./arbitrary-rollouts.ts";

/** Everything a batch holds, in an order that counts. */
function contents(batch: Batch) {
  return {
    ids: batch.ids,
    groups: batch.groupNames,
    levels: jaggedLevels.map((level) => batch.rows(level)),
    columns: batch.paths.map((path) => [path, batch.column(path)]),
  };
}

function stream(text: string | Buffer, size = 64): Readable {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return Readable.from(pieces, { objectMode: false });
}

/** What the plain way gives: JSON.parse line by line, or the message of the first refusal. */
function plainly(lines: readonly string[]): Batch | string {
  const builder = new BatchBuilder();
  try {
    for (const line of lines) builder.add(JSON.parse(line));
  } catch (error) {
    return error instanceof InputError ? error.problem : "not JSON";
  }
  return builder.finish();
}

async function scanned(lines: readonly string[], size?: number): Promise<Batch | string> {
  try {
    return await readRollouts(stream(lines.map((line) => `${line}\n`).join(""), size));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.problem.startsWith("not JSON") ? "not JSON" : error.problem;
  }
}

function compare(got: Batch | string, expected: Batch | string): void {
  if (typeof got === "string" || typeof expected === "string") expect(got).toBe(expected);
  else expect(contents(got)).toEqual(contents(expected));
}

test("reads what JSON.parse and the builder read, whatever the line looks like and wherever chunks end", async () => {
  await fc.assert(
    fc.asyncProperty(rolloutsArbitrary, fc.nat(), fc.integer({ min: 1, max: 90 }), async (rollouts, seed, size) => {
      const next = generator(seed);
      const lines = rollouts.map((rollout) => disguise(rollout, next));
      const expected = plainly(lines);
      expect(typeof expected).not.toBe("string");
      compare(await scanned(lines, size), expected);
    }),
    { numRuns: 150 },
  );
});

test("refuses what they refuse, for the same reason, and takes nothing of it", async () => {
  const edits: ((rollout: Record<string, unknown>) => void)[] = [
    (r) => delete r.id,
    (r) => Object.assign(r, { id: "" }),
    (r) => Object.assign(r, { group: 5 }),
    (r) => Object.assign(r, { tokens: { id: [1, 2], mask: [1] } }),
    (r) => Object.assign(r, { tokens: { id: [1.5] }, turns: {}, steps: {} }),
    (r) => Object.assign(r, { tokens: { id: [null] }, turns: {}, steps: {} }),
    (r) => Object.assign(r, { tokens: { mask: [2] }, turns: {}, steps: {} }),
    (r) => Object.assign(r, { tokens: { id: [1, 2, 3] }, steps: { end: [1, 1, 3] }, turns: {} }),
    (r) => Object.assign(r, { tokens: { id: [1, 2, 3] }, steps: { end: [1, 2] }, turns: {} }),
    (r) => Object.assign(r, { tokens: { logprob: ["x"] }, turns: {}, steps: {} }),
    (r) => Object.assign(r, { turns: { parent: [0] } }),
    (r) => Object.assign(r, { edges: { src: [99], dst: [0] } }),
    (r) => Object.assign(r, { tokens: [] }),
    (r) => Object.assign(r, { tokens: { id: 5 } }),
    (r) => Object.assign(r, { tokens: { "": [] } }),
    (r) => Object.assign(r, { signals: { "": 1 } }),
    (r) => Object.assign(r, { rewards: { a: "x" } }),
    (r) => Object.assign(r, { "": 1 }),
    (r) => Object.assign(r, { messages: {} }),
    (r) => Object.assign(r, { meta: [] }),
    (r) => Object.assign(r, { id: "r0" }),
  ];
  await fc.assert(
    fc.asyncProperty(
      rolloutsArbitrary.filter((rollouts) => rollouts.length > 1),
      fc.nat({ max: edits.length - 1 }),
      async (rollouts, kind) => {
        const bad = structuredClone(rollouts[1]);
        edits[kind](bad);
        const lines = [rollouts[0], bad, ...rollouts.slice(2)].map((rollout) => JSON.stringify(rollout));
        const expected = plainly(lines);
        expect(typeof expected).toBe("string");
        compare(await scanned(lines), expected);
        const rejected: (number | undefined)[] = [];
        const parts: Batch[] = [];
        const options = {
          onError: "skip",
          onReject: (reject: { line?: number }) => rejected.push(reject.line),
        } as const;
        for await (const batch of readBatches(stream(`${lines.join("\n")}\n`), options)) parts.push(batch);
        expect(rejected).toEqual([2]);
        compare(parts[0], plainly(lines.filter((_, k) => k !== 1)));
      },
    ),
    { numRuns: 80 },
  );
});

test("meets damaged bytes with a refusal or with what is still JSON, never with anything else", async () => {
  let refused = 0;
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(
      rolloutsArbitrary,
      fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat({ max: 255 }), fc.integer({ min: 48, max: 57 }))), {
        minLength: 1,
        maxLength: 2,
      }),
      async (rollouts, damage) => {
        const bytes = Buffer.from(rollouts.map((rollout) => `${JSON.stringify(rollout)}\n`).join(""));
        for (const [at, byte] of damage) bytes[at % bytes.length] = byte;
        let batch: Batch;
        try {
          batch = await readRollouts(stream(bytes, 50));
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          refused++;
          return;
        }
        taken++;
        const text = bytes.toString("utf8");
        expect(Buffer.from(text).equals(bytes)).toBe(true);
        const lines = text
          .replace(/^\ufeff/, "")
          .split("\n")
          .filter((line) => !/^[ \t\r]*$/.test(line));
        compare(batch, plainly(lines));
      },
    ),
    { numRuns: 300 },
  );
  expect(refused).toBeGreaterThan(20);
  expect(taken).toBeGreaterThan(20);
});

test("takes any list of numbers, and what only looks like one", async () => {
  const digits = fc.stringMatching(/^-?\d{1,25}(\.\d{1,25})?([eE][+-]?\d{1,3})?$/);
  const odd = fc.constantFrom(
    "null",
    "01",
    "1.",
    ".5",
    "-",
    "+1",
    "1e",
    "1e+",
    "0x1",
    "nul",
    "NaN",
    "-Infinity",
    "--1",
    "",
    "1 2",
    "-null",
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 20, arbitrary: digits }, { weight: 1, arbitrary: odd }), {
        minLength: 1,
        maxLength: 12,
      }),
      async (cells) => {
        const line = `{"id":"a","tokens":{"x":[${cells.join(", ")}]}}`;
        let parsed: unknown[] | null = null;
        try {
          parsed = JSON.parse(line).tokens.x;
        } catch {}
        const got = await scanned([line]);
        if (parsed === null) expect(got).toBe("not JSON");
        else if (parsed.some((cell) => cell !== null && !Number.isFinite(cell))) expect(got).toBe("wrong value");
        else expect((got as Batch).cells("tokens.x")).toEqual(parsed);
      },
    ),
    { numRuns: 1000 },
  );
});
