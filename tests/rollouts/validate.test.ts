import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Batch, batchFaults, batchFromObjects, type Column } from "../../src/rollouts/index.ts";
import { batches } from "../formats/columnar-batches.ts";

test("batches made of objects that conform have no faults", () => {
  fc.assert(
    fc.property(batches, (batch) => {
      expect(batchFaults(batch)).toEqual(new Map());
    }),
    { numRuns: 200 },
  );
});

const sound = batchFromObjects([
  { id: "a", tokens: { id: [1, 2], mask: [1, 0] }, turns: { end: [1, 2], parent: [-1, 0] }, messages: [], meta: {} },
  { id: "b", rewards: { x: 1 }, turns: { note: ["n"] }, edges: { src: [0], dst: [0] } },
  { id: "c", tokens: { id: [3], mask: [1] }, turns: { end: [1], parent: [-1] } },
]);

/** The batch with something else in the values of one column. */
function changed(path: string, change: Partial<Column> & { values: unknown }): Batch {
  const columns = new Map(sound.parts.columns);
  columns.set(path, { ...(sound.find(path) as Column), ...change } as Column);
  return new Batch({ ...sound.parts, columns });
}

test.each<[string, Partial<Column> & { values: unknown }, [number, RegExp][]]>([
  [
    "tokens.mask",
    { values: Uint8Array.of(1, 2, 1) },
    [[0, /rollout "a", column tokens\.mask: .*0 or 1 \(row 1\), got 2/]],
  ],
  [
    "tokens.mask",
    { values: Uint8Array.from({ length: 3 }, () => 7) },
    [
      [0, /got 7/],
      [2, /rollout "c".*got 7/],
    ],
  ],
  [
    "tokens.id",
    { values: Float64Array.of(1, 2, 2 ** 31) },
    [[2, /rollout "c", column tokens\.id: .*below 2\^31 \(row 0\)/]],
  ],
  [
    "tokens.id",
    { values: Int32Array.of(1, 0, 3), valid: Uint8Array.of(1, 0, 1) },
    [[0, /a whole number \(row 1\), got null/]],
  ],
  [
    "tokens.id",
    { kind: "string", values: ["x", "y", "z"] },
    [
      [0, /got "x"/],
      [2, /got "z"/],
    ],
  ],
  ["turns.end", { values: Int32Array.of(2, 2, 0, 1) }, [[0, /ends must increase strictly \(row 1\)/]]],
  [
    "turns.end",
    { values: Int32Array.of(1, 3, 0, 1) },
    [[0, /the last end must be the number of tokens; expected 2, got 3/]],
  ],
  ["turns.parent", { values: Int32Array.of(-1, 1, 0, -1) }, [[0, /row number out of range \(row 1\)/]]],
  ["edges.dst", { values: Int32Array.of(1) }, [[1, /rollout "b", column edges\.dst: row number out of range/]]],
  [
    "rewards.x",
    { values: Float64Array.of(0, Number.NaN, 0) },
    [[1, /rollout "b", column rewards\.x: .*a finite number, got NaN/]],
  ],
  ["rewards.x", { kind: "string", values: [null, "1", null] }, [[1, /or null, got "1"/]]],
  ["messages", { kind: "json", values: [{}, null, null] }, [[0, /column messages: .*expected a list, got an object/]]],
  [
    "meta",
    { kind: "number", values: Float64Array.of(1, 0, 0), valid: null },
    [[0, /column meta: .*expected an object, got 1/]],
  ],
])("%s (%#)", (path, change, expected) => {
  const faults = batchFaults(changed(path, change));
  expect([...faults.keys()]).toEqual(expected.map(([rollout]) => rollout));
  for (const [rollout, message] of expected) expect(faults.get(rollout)?.message).toMatch(message);
});

test("what stands in rows of rollouts that lack the column is of no account", () => {
  expect(batchFaults(changed("turns.end", { values: Int32Array.of(1, 2, -9, 1) })).size).toBe(0);
  expect(batchFaults(changed("rewards.x", { values: Float64Array.of(Number.NaN, 1, Number.NaN) })).size).toBe(0);
});

test("ids must be there, and once", () => {
  const faults = batchFaults(new Batch({ ...sound.parts, ids: ["a", "a", ""] }));
  expect(faults.get(1)?.message).toMatch(/rollout "a": this id was already used/);
  expect(faults.get(2)?.message).toMatch(/rollout without an id/);
  expect(faults.size).toBe(2);
});
