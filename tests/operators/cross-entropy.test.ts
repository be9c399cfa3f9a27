import fc from "fast-check";
import { expect, test } from "vitest";
import { binaryCrossEntropy } from "../../src/operators/cross-entropy.ts";

const p = fc.double({ min: 0, max: 1, noNaN: true });

test("cross-entropy is the expected surprise, least where the probability is the label", () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 0.99, noNaN: true }), p, (q, y) => {
      const loss = binaryCrossEntropy(q, y);
      expect(loss).toBeCloseTo(-y * Math.log(q) - (1 - y) * Math.log(1 - q), 12);
      expect(loss).toBeGreaterThanOrEqual(binaryCrossEntropy(y, y) - 1e-12);
    }),
  );
});

test("certain mistakes are finite and bounded by eps", () => {
  expect(binaryCrossEntropy(0, 1)).toBeCloseTo(-Math.log(1e-12), 9);
  expect(binaryCrossEntropy(1, 0, 1e-3)).toBeCloseTo(-Math.log(1e-3), 9);
  expect(binaryCrossEntropy(1, 1)).toBeCloseTo(0, 9);
});
