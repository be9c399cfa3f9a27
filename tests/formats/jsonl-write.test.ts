import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { JsonlText } from "../../src/formats/jsonl-write.ts";
import { readRollouts } from "../../src/formats/read.ts";
import { type Batch, batchFromObjects, rolloutObjects } from "../../src/rollouts/index.ts";
import { rolloutsArbitrary } from "./arbitrary-rollouts.ts";

function textOf(batch: Batch): string {
  return Buffer.concat([...new JsonlText().pieces(batch)]).toString();
}

function read(text: string): Promise<Batch> {
  return readRollouts(Readable.from([Buffer.from(text)], { objectMode: false }));
}

/** JSON forgets the sign of zero. */
function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

test("objects → batch → text → batch → text comes back the same", async () => {
  await fc.assert(
    fc.asyncProperty(rolloutsArbitrary, async (rollouts) => {
      const batch = batchFromObjects(rollouts);
      const text = textOf(batch);
      const parsed = text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(parsed).toEqual(asJson([...rolloutObjects(batch)]));
      const again = await read(text);
      expect(asJson([...rolloutObjects(again)])).toEqual(asJson([...rolloutObjects(batch)]));
      expect(textOf(again)).toBe(text);
    }),
    { numRuns: 100 },
  );
});

test("writes doubles as JavaScript does and whole numbers digit by digit", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer())), (values) => {
      const batch = batchFromObjects([{ id: "a", tokens: { x: values } }]);
      expect(textOf(batch)).toBe(`${JSON.stringify({ id: "a", tokens: { x: values } })}\n`);
    }),
    { numRuns: 200 },
  );
  const whole = [0, 1, 9, 10, 99, 100, 12345, 999999999, 1000000000, 2147483647, -1, -10, -2147483648];
  const batch = batchFromObjects([{ id: "a", tokens: { id: whole, mask: whole.map((_, k) => k % 2) } }]);
  expect(JSON.parse(textOf(batch)).tokens.id).toEqual(whole);
});

/** The fewest significant digits that read back as the same float32. */
function fewestDigits(value: number): number {
  for (let digits = 1; digits <= 9; digits++)
    if (Math.fround(Number(value.toPrecision(digits))) === value) return digits;
  return 99;
}

test("writes float32 with the fewest digits that read back as the same float32", () => {
  const known = [
    0.1, 0.2, 1e-7, 1.1920929e-7, 3.4028235e38, 1e-45, 16777216, 0.5, -0.30000001, 100.25, 1e21, 9.999999e-7,
  ];
  const f32 = fc.oneof(
    fc.float({ noNaN: true, noDefaultInfinity: true }),
    fc.float({ min: -20, max: 20, noNaN: true }),
    fc.constantFrom(...known.map(Math.fround)),
  );
  fc.assert(
    fc.property(fc.array(f32, { minLength: 1 }), (list) => {
      const values = Float32Array.from(list, (x) => x + 0);
      const batch = batchFromObjects([{ id: "a", tokens: { x: list } }]).with({ "tokens.x": values });
      const written = /"x":\[(.*)\]/.exec(textOf(batch))?.[1].split(",") as string[];
      expect(Float32Array.from(JSON.parse(`[${written}]`))).toEqual(values.map((x) => (x === 0 ? 0 : x)));
      written.forEach((text, k) => {
        const digits = text.replace(/e.*$/, "").replace(/[-.]/g, "").replace(/^0+/, "").replace(/0+$/, "").length;
        if (!Number.isInteger(values[k])) expect(digits).toBeLessThanOrEqual(fewestDigits(values[k]));
      });
    }),
    { numRuns: 200 },
  );
  const batch = batchFromObjects([{ id: "a", tokens: { x: known } }]).with({ "tokens.x": Float32Array.from(known) });
  expect(textOf(batch)).toContain(
    "[0.1,0.2,1e-7,1.1920929e-7,3.4028235e+38,1e-45,16777216,0.5,-0.3,100.25,1e+21,9.999999e-7]",
  );
});

test("writes levels without columns, columns that some rollouts lack, and columns inside meta", () => {
  const rollouts = [
    { id: "a", turns: {}, meta: { k: 1 } },
    { id: "b", group: "g", tokens: { x: [1, null] } },
    { id: "c" },
  ];
  const batch = batchFromObjects(rollouts);
  expect(
    textOf(batch)
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual(rollouts);
  const more = batch.with({ "meta.score": Float64Array.of(1, 2, 3), "rollout.note": ["x", null, "\ud800"] });
  expect(
    textOf(more)
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { id: "a", note: "x", turns: {}, meta: { k: 1, score: 1 } },
    { id: "b", group: "g", note: null, tokens: { x: [1, null] }, meta: { score: 2 } },
    { id: "c", note: "\ud800", meta: { score: 3 } },
  ]);
  expect(batch.cells("meta")[0]).toEqual({ k: 1 });
});

test("cuts long rollouts into pieces", () => {
  const values = Float64Array.from({ length: 400_000 }, (_, k) => k / 7);
  const batch = batchFromObjects([{ id: "a", tokens: { x: new Array(400_000).fill(0) } }]).with({ "tokens.x": values });
  const pieces = [...new JsonlText().pieces(batch)];
  expect(pieces.length).toBeGreaterThan(4);
  for (const piece of pieces) expect(piece.length).toBeLessThan(2 ** 21);
  expect(JSON.parse(Buffer.concat(pieces).toString()).tokens.x).toEqual(Array.from(values));
});

test("refuses NaN and cells that JSON cannot hold before anything is written", () => {
  const batch = batchFromObjects([
    { id: "a", tokens: { x: [1] } },
    { id: "b", tokens: { x: [1, 2] } },
  ]);
  const bad = batch.with({ "tokens.x": Float32Array.of(1, 2, Number.NaN) });
  expect(() => [...new JsonlText().pieces(bad)]).toThrow(/rollout "b", column tokens.x: .*finite number, got NaN/);
  let deep: unknown = 1;
  for (let k = 0; k < 1_000_000; k++) deep = [deep];
  const nested = batch.with({ "rollout.deep": { json: [1, deep] } });
  expect(() => [...new JsonlText().pieces(nested)]).toThrow(/rollout "b", column rollout.deep/);
});
