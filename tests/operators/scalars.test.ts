import fc from "fast-check";
import { expect, test } from "vitest";
import {
  logMeanExp,
  logSigmoid,
  logSumExp,
  normalCdf,
  normalPdf,
  normalQuantile,
  sigmoid,
  softplus,
} from "../../src/operators/scalars.ts";
import { expectNear } from "./arbitraries.ts";

const moderate = fc.double({ min: -30, max: 30, noNaN: true });
const any = fc.double({ noNaN: true, noDefaultInfinity: true });

test("sigmoid, log-sigmoid and softplus equal their plain forms where those do not overflow", () => {
  fc.assert(
    fc.property(moderate, (x) => {
      expectNear([sigmoid(x)], [1 / (1 + Math.exp(-x))], 1e-15);
      expectNear([logSigmoid(x)], [Math.log(1 / (1 + Math.exp(-x)))], 1e-12);
      expectNear([softplus(x)], [Math.log(1 + Math.exp(x))], 1e-12);
    }),
  );
});

test("they stay finite, and keep their symmetries, for numbers of every size", () => {
  fc.assert(
    fc.property(any, (x) => {
      for (const y of [sigmoid(x), logSigmoid(x), softplus(x)]) expect(Number.isFinite(y)).toBe(true);
      expectNear([sigmoid(x) + sigmoid(-x)], [1], 1e-15);
      expectNear([softplus(x) - softplus(-x)], [x], 1e-15);
      expect(logSigmoid(x)).toBe(0 - softplus(-x));
      expect(logSigmoid(x)).toBeLessThanOrEqual(0);
    }),
  );
});

test("small values are not lost", () => {
  expect(softplus(-50)).toBeCloseTo(Math.exp(-50), 30);
  expect(softplus(-50)).toBeGreaterThan(0);
  expect(sigmoid(-700)).toBeGreaterThan(0);
  expect(logSigmoid(1000)).toBeCloseTo(0, 300);
});

test("log-sum-exp adds what exp would overflow on", () => {
  fc.assert(
    fc.property(
      fc.array(moderate, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: -5000, max: 5000 }),
      (xs, shift) => {
        const plain = Math.log(xs.reduce((sum, x) => sum + Math.exp(x), 0));
        expectNear([logSumExp(xs)], [plain], 1e-12);
        expectNear([logSumExp(xs.map((x) => x + shift))], [plain + shift], 1e-12);
        expectNear([logMeanExp(xs)], [plain - Math.log(xs.length)], 1e-12);
        const around = [9e5, ...xs, 9e5];
        expectNear([logSumExp(around, 1, xs.length + 1)], [plain], 1e-12);
        expectNear([logMeanExp(around, 1, xs.length + 1)], [plain - Math.log(xs.length)], 1e-12);
      },
    ),
  );
});

test("log-sum-exp of nothing is the logarithm of 0, and weights of 0 add nothing", () => {
  expect(logSumExp([])).toBe(Number.NEGATIVE_INFINITY);
  expect(logMeanExp([])).toBe(Number.NEGATIVE_INFINITY);
  expect(logSumExp([Number.NEGATIVE_INFINITY, 2])).toBe(2);
});

/** Reference values to 16 digits. */
const phi: readonly [number, number][] = [
  [-37, 5.725571222524577e-300],
  [-10, 7.619853024160527e-24],
  [-6, 9.865876450376981e-10],
  [-3, 0.0013498980316300946],
  [-1.96, 0.024997895148220435],
  [-1, 0.15865525393145705],
  [0, 0.5],
  [0.5, 0.6914624612740131],
  [1, 0.8413447460685429],
  [2.5, 0.9937903346742238],
  [5, 0.9999997133484281],
  [40, 1],
];

test("the normal distribution function meets tabulated values, in the tails relative to their size", () => {
  for (const [x, p] of phi) {
    expectNear([normalCdf(x)], [p], 1e-15);
    expectNear([normalCdf(x) / p], [1], 1e-12);
  }
});

test("its increase over an interval is the integral of the density", () => {
  fc.assert(
    fc.property(fc.double({ min: -8, max: 8, noNaN: true }), (x) => {
      // Simpson's rule over [x, x + 0.1]: the error is far below 1e-12.
      const h = 0.1 / 16;
      let sum = normalPdf(x) + normalPdf(x + 0.1);
      for (let k = 1; k < 16; k++) sum += (k % 2 === 1 ? 4 : 2) * normalPdf(x + k * h);
      expectNear([normalCdf(x + 0.1) - normalCdf(x)], [(sum * h) / 3], 1e-11);
      expectNear([normalCdf(x) + normalCdf(-x)], [1], 1e-15);
    }),
  );
});

test("the quantile undoes the distribution function", () => {
  fc.assert(
    fc.property(fc.double({ min: -300, max: Math.log10(0.5), noNaN: true }), (exponent) => {
      const p = 10 ** exponent;
      expectNear([normalCdf(normalQuantile(p)) / p], [1], 1e-9);
    }),
  );
  fc.assert(
    fc.property(fc.double({ min: 0.5, max: 1 - 1e-12, noNaN: true }), (p) => {
      expectNear([normalCdf(normalQuantile(p))], [p], 1e-12);
    }),
  );
  expect(normalQuantile(0.85)).toBeCloseTo(1.0364333894937898, 12);
  expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 12);
  expect(normalQuantile(0.5)).toBe(0);
  expect([normalQuantile(0), normalQuantile(1)]).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
  for (const p of [-0.1, 1.1, Number.NaN]) expect(normalQuantile(p)).toBeNaN();
});
