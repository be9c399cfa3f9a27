import fc from "fast-check";
import { expect, test } from "vitest";
import { quantile, selectPlace } from "../../src/operators/quantile.ts";
import { expectNear } from "./arbitraries.ts";

// Few different values, so that equal ones are common; and any values.
const lists = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 60 }),
  fc.array(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }), { minLength: 1, maxLength: 60 }),
);

test("selection finds what sorting would put there, and parts the list around it", () => {
  fc.assert(
    fc.property(lists, fc.nat(), (list, seed) => {
      const place = seed % list.length;
      const values = Float64Array.from(list);
      const found = selectPlace(values, place);
      expect(found === Float64Array.from(list).sort()[place]).toBe(true);
      expect(values.subarray(0, place).every((x) => x <= found)).toBe(true);
      expect(values.subarray(place).every((x) => x >= found)).toBe(true);
      expect([...values].sort((a, b) => a - b)).toEqual([...list].sort((a, b) => a - b));
    }),
  );
});

test("the quantile lies on the line between neighbours of the sorted list", () => {
  fc.assert(
    fc.property(lists, fc.double({ min: 0, max: 1, noNaN: true }), (list, q) => {
      const sorted = [...list].sort((a, b) => a - b);
      const at = q * (list.length - 1);
      const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
      const given = Float64Array.from(list);
      expectNear([quantile(given, q)], [low + (at - Math.floor(at)) * (high - low)], 2e-9 * Math.max(1, high - low));
      expect([...given]).toEqual([...list]);
    }),
  );
  expect(quantile([4, 1, 3, 2], 0.25)).toBe(1.75);
  expect(quantile([5, 1, 4, 2, 3], 1 - 0.2)).toBe(4.2);
  expect(quantile([3, 1, 2], 1)).toBe(3);
  expect(quantile([7], 0.3)).toBe(7);
  expect(quantile([], 0.5)).toBeNaN();
});

test("long lists with few values, sorted lists and equal ones take no longer than their length asks for", () => {
  const n = 200_000;
  const shapes: ((k: number) => number)[] = [(k) => k % 3, (k) => k, (k) => n - k, () => 1, (k) => Math.min(k, n - k)];
  for (const shape of shapes) {
    const values = Float64Array.from({ length: n }, (_, k) => shape(k));
    const sorted = values.slice().sort();
    for (const place of [0, n >> 1, Math.floor(0.8 * n), n - 1]) {
      expect(selectPlace(values.slice(), place)).toBe(sorted[place]);
    }
  }
}, 5000);
