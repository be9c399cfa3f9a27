import fc from "fast-check";
import { expect, test } from "vitest";
import { preferenceLoss } from "../../src/operators/preference.ts";
import { expectNear } from "./arbitraries.ts";

const pairs = fc.array(
  fc.record({ z: fc.double({ min: -8, max: 8, noNaN: true }), weight: fc.constantFrom(0, 0.5, 1, 3) }),
  { minLength: 1, maxLength: 6 },
);

test("the loss is the weighted mean of −log σ(z), and the gradient its derivative", () => {
  fc.assert(
    fc.property(pairs, fc.constantFrom(0, 1e-6, 1), (list, eps) => {
      const weights = list.map(({ weight }) => weight);
      const total = weights.reduce<number>((a, b) => a + b, 0);
      const value = (margins: readonly number[]) =>
        total === 0
          ? 0
          : margins.reduce((sum, z, k) => sum - weights[k] * Math.log(1 / (1 + Math.exp(-z))), 0) / (total + eps);
      const margins = list.map(({ z }) => z);
      const { loss, gradient } = preferenceLoss(margins, weights, eps);
      expectNear([loss], [value(margins)]);
      const step = 1e-5;
      const slopes = margins.map((_, k) => {
        const moved = (by: number) => value(margins.map((z, j) => (j === k ? z + by : z)));
        return (moved(step) - moved(-step)) / (2 * step);
      });
      expectNear(gradient, slopes, 1e-7);
    }),
  );
});

test("stays finite for any margin, and is 0 without pairs", () => {
  const { loss, gradient } = preferenceLoss([-1e300, 1e300, 0]);
  expectNear([loss], [1e300 / 3], 1e-6);
  expectNear(gradient, [-1 / 3, 0, -1 / 6]);
  expect(preferenceLoss([])).toEqual({ loss: 0, gradient: new Float64Array(0) });
});
