import fc from "fast-check";
import { expect, test } from "vitest";
import { clippedSurrogate } from "../../src/operators/clipped-surrogate.ts";
import { softmaxPools } from "../../src/operators/softmax.ts";

test("softmax inside pools is that of each pool's own values, huge ones included", () => {
  const rows = fc.array(
    fc.record({
      x: fc.double({ min: -1e300, max: 1e300, noNaN: true }),
      pool: fc.integer({ min: -1, max: 2 }),
      valid: fc.nat(1),
    }),
  );
  fc.assert(
    fc.property(rows, fc.constantFrom(0.5, 1, 1e299), (list, temperature) => {
      const pools = { of: Int32Array.from(list, ({ pool }) => pool), count: 3 };
      const valid = Uint8Array.from(list, (row) => row.valid);
      const found = softmaxPools(
        list.map(({ x }) => x),
        pools,
        temperature,
        valid,
      );
      list.forEach(({ x, pool, valid: counts }, k) => {
        const mates = list.filter((other) => other.pool === pool && other.valid === 1);
        const inPool = pool >= 0 && counts === 1;
        const total = mates.reduce((sum, other) => sum + Math.exp((other.x - x) / temperature), 0);
        expect(found[k]).toBeCloseTo(inPool ? 1 / total : 0, 12);
      });
    }),
  );
});

test("the clipped surrogate is the smaller of the plain and the clipped term", () => {
  const number = fc.double({ min: -5, max: 5, noNaN: true });
  fc.assert(
    fc.property(fc.double({ min: 0, max: 4, noNaN: true }), number, (ratio, advantage) => {
      const clipped = Math.min(Math.max(ratio, 0.8), 1.3) * advantage;
      expect(clippedSurrogate(ratio, advantage, 0.2, 0.3)).toBeCloseTo(Math.min(ratio * advantage, clipped), 12);
    }),
  );
  expect(clippedSurrogate(Number.POSITIVE_INFINITY, 0, 0.2)).toBe(0);
});
