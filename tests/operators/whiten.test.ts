import fc from "fast-check";
import { expect, test } from "vitest";
import { maskRuns } from "../../src/operators/runs.ts";
import { mergeMoments, type RunMoments, runMoments, whitenRuns } from "../../src/operators/whiten.ts";
import { chains, expectNear, meanOf, numbers } from "./arbitraries.ts";

const specs = fc.record({
  ddof: fc.constantFrom<0 | 1>(0, 1),
  eps: fc.constantFrom(1e-8, 1e-3),
  scale: fc.boolean(),
});
const wholeOf = (n: number) => maskRuns(Int32Array.of(0, n), null);

test("values inside runs are centred and scaled over all runs, rows outside are left alone", () => {
  fc.assert(
    fc.property(chains, specs, ({ offsets, values, mask }, { ddof, eps, scale }) => {
      const inside = [...values].filter((_, t) => mask[t] === 1);
      const mean = meanOf(inside);
      const squares = inside.reduce((sum, x) => sum + (x - mean) ** 2, 0);
      const flat = inside.length < 2 || Math.max(...inside) === Math.min(...inside);
      const divisor = scale ? Math.sqrt(squares / (inside.length - ddof) + eps) : 1;
      const out = values.slice();
      whitenRuns(out, maskRuns(offsets, mask), { ddof, eps, scale });
      const expected = [...values].map((x, t) => {
        if (mask[t] === 0) return x;
        return flat ? 0 : (x - mean) / divisor;
      });
      expectNear(out, expected, 1e-7);
    }),
  );
});

test("equal values give exact zeros in both precisions, also with moments merged from parts", () => {
  fc.assert(
    fc.property(numbers, fc.integer({ min: 1, max: 20 }), fc.nat(20), (x, n, cut) => {
      for (const values of [new Float64Array(n).fill(x), new Float32Array(n).fill(x)]) {
        const parts = [values.slice(0, Math.min(cut, n)), values.slice(Math.min(cut, n))];
        const merged = parts.reduce<RunMoments | null>(
          (state, part) => mergeMoments(state, runMoments(part, wholeOf(part.length))),
          null,
        );
        whitenRuns(values, wholeOf(n), {}, merged as RunMoments);
        expect([...values]).toEqual(new Array(n).fill(0));
      }
    }),
  );
});

test("moments of parts merge to the moments of the whole", () => {
  fc.assert(
    fc.property(fc.array(fc.array(numbers, { maxLength: 6 }), { maxLength: 5 }), (parts) => {
      const of = (list: readonly number[]) => runMoments(Float64Array.from(list), wholeOf(list.length));
      const whole = of(parts.flat());
      const merged = parts.reduce<RunMoments | null>((state, part) => mergeMoments(state, of(part)), null) ?? of([]);
      expect([merged.count, merged.flat]).toEqual([whole.count, whole.flat]);
      expectNear([merged.mean, merged.squares], [whole.mean, whole.squares], 1e-8);
    }),
  );
});

test("sums that are already known give the same moments, near 0 and far from it", () => {
  fc.assert(
    fc.property(fc.array(numbers, { minLength: 1, maxLength: 30 }), fc.constantFrom(0, 10, 1e6), (xs, shift) => {
      const values = Float64Array.from(xs, (x) => x + shift);
      const sum = values.reduce((s, x) => s + x, 0);
      const squares = values.reduce((s, x) => s + x * x, 0);
      const plain = runMoments(values, wholeOf(values.length));
      const known = runMoments(values, wholeOf(values.length), { sum, squares });
      expect([known.count, known.flat]).toEqual([plain.count, plain.flat]);
      expectNear([known.mean, known.squares], [plain.mean, plain.squares], 1e-9);
    }),
  );
});

test("a small spread far from 0 survives whitening", () => {
  const values = Float64Array.from({ length: 101 }, (_, t) => 1e9 + (t - 50) * 1e-3);
  whitenRuns(values, wholeOf(101), { ddof: 0 });
  expectNear([values[0], values[50], values[100]], [-Math.sqrt(3) * (50 / Math.sqrt(2550)), 0, 1.715], 2e-3);
});

test("whitened values have mean 0 and spread 1", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 2, maxLength: 50 }), (xs) => {
      const values = Float32Array.from([...xs, 3, -3]);
      whitenRuns(values, wholeOf(values.length), { ddof: 0 });
      const sum = values.reduce((s, x) => s + x, 0);
      const squares = values.reduce((s, x) => s + x * x, 0);
      expectNear([sum / values.length, squares / values.length], [0, 1], 1e-5);
    }),
  );
});

test("nothing to whiten stays nothing", () => {
  const values = new Float64Array(0);
  whitenRuns(values, maskRuns(Int32Array.of(0), null));
  expect(runMoments(values, maskRuns(Int32Array.of(0, 0), null))).toEqual({
    count: 0,
    mean: 0,
    squares: 0,
    flat: true,
  });
});
