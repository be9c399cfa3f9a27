import fc from "fast-check";
import { expect, test } from "vitest";
import { equalEnds } from "../../src/operators/segmentation.ts";

test("segments cover all rows, are equally long but for the last, and not too many", () => {
  fc.assert(
    fc.property(fc.nat(200), fc.integer({ min: 1, max: 20 }), (n, most) => {
      const ends = equalEnds(n, most);
      expect(ends.length).toBeLessThanOrEqual(most);
      expect(ends.at(-1) ?? 0).toBe(n);
      const lengths = ends.map((end, k) => end - (k === 0 ? 0 : ends[k - 1]));
      expect(lengths.slice(0, -1).every((length) => length === Math.ceil(n / most))).toBe(true);
      expect(lengths.every((length) => length > 0 && length <= Math.ceil(n / most))).toBe(true);
    }),
  );
});
