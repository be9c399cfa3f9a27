import fc from "fast-check";
import { expect, test } from "vitest";
import { gatherSlots, scatterAdd, slots, unitsOf } from "../../src/operators/slots.ts";
import { type Batch, batchFromObjects, InputError } from "../../src/rollouts/index.ts";

interface Rollout {
  mask: number[];
  ends: number[];
}

/** Rollouts with any mask, cut into steps anywhere; some have no tokens at all. */
const rollouts = fc.array(
  fc.array(fc.tuple(fc.constantFrom(0, 1), fc.boolean()), { maxLength: 12 }).map((tokens): Rollout => {
    const ends = tokens.flatMap(([, cut], t) => (cut || t + 1 === tokens.length ? [t + 1] : []));
    return { mask: tokens.map(([m]) => m), ends };
  }),
  { minLength: 1, maxLength: 6 },
);

function batchOf(list: readonly Rollout[]): Batch {
  return batchFromObjects(
    list.map(({ mask, ends }, i) => ({ id: `r${i}`, tokens: { mask }, steps: { end: ends }, turns: { end: ends } })),
  );
}

/** The slot rule as it is said: the last policy token before `end`. */
function slotOf(mask: readonly number[], end: number): number {
  return mask.slice(0, end).lastIndexOf(1);
}

test("a slot is the last policy token before the end of its row", () => {
  fc.assert(
    fc.property(rollouts, (list) => {
      const batch = batchOf(list);
      const first = batch.offsets("token");
      const expected = list.flatMap(({ mask, ends }, i) =>
        ends.map((end) => {
          const at = slotOf(mask, end);
          return at < 0 ? -1 : first[i] + at;
        }),
      );
      expect([...slots(batch, "step")]).toEqual(expected);
      expect([...slots(batch, "turn")]).toEqual(expected);
    }),
  );
});

test("values land on their slots, add up there, and are lost without one", () => {
  fc.assert(
    fc.property(rollouts, (list) => {
      const batch = batchOf(list);
      const units = unitsOf(batch, "step");
      const values = units.slots.map((_, row) => row + 1);
      const out = new Float64Array(batch.count("token"));
      scatterAdd(units, values, out);
      const kept = [...values].reduce((sum, x, row) => sum + (units.slots[row] < 0 ? 0 : x), 0);
      expect(out.reduce((a, b) => a + b, 0)).toBe(kept);
      const mask = list.flatMap((rollout) => rollout.mask);
      expect(out.every((x, t) => x === 0 || mask[t] === 1)).toBe(true);
      const back = new Float64Array(values.length);
      gatherSlots(units, out, back);
      back.forEach((x, row) => {
        if (units.slots[row] < 0) expect(x).toBe(0);
        else expect(x).toBeGreaterThanOrEqual(values[row]);
      });
    }),
  );
});

test("where a rollout has no tokens every row is a unit of its own", () => {
  const batch = batchFromObjects([
    { id: "a", steps: { prm: [1, 2, 3] }, tokens: { id: [1, 2, 3] } },
    { id: "b", steps: { prm: [4] } },
  ]);
  const units = unitsOf(batch, "step");
  expect(units.level).toBe("step");
  expect([...units.slots]).toEqual([0, 1, 2, 3]);
  const out = new Float64Array(4);
  scatterAdd(units, [5, 6, 7, 8], out);
  expect([...out]).toEqual([5, 6, 7, 8]);
});

test("rows without an end are refused by name; a rollout without rows needs none", () => {
  const lacking = [
    { id: "a", tokens: { id: [1] }, steps: { end: [1], prm: [1] } },
    { id: "b", tokens: { id: [1] }, steps: { prm: [1] } },
  ];
  expect(() => slots(batchFromObjects(lacking), "step")).toThrow(InputError);
  expect(() => slots(batchFromObjects(lacking), "step")).toThrow(/"b".*steps\.end/);
  const empty = [lacking[0], { id: "c", tokens: { id: [7] }, steps: { prm: [] } }, { id: "d", tokens: { id: [7] } }];
  expect([...slots(batchFromObjects(empty), "step")]).toEqual([0]);
});
