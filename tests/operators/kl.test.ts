import fc from "fast-check";
import { expect, test } from "vitest";
import { type KlKind, klGradient, klValue } from "../../src/operators/kl.ts";
import { expectNear } from "./arbitraries.ts";

const kinds: readonly KlKind[] = ["k1", "abs", "k2", "k3"];
const small = fc.double({ min: -2, max: 2, noNaN: true });
const distribution = fc
  .array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 })
  .map((logits) => {
    const norm = Math.log(logits.reduce((sum, z) => sum + Math.exp(z), 0));
    return logits.map((z) => z - norm);
  });

test("gradients are the slopes of the values", () => {
  fc.assert(
    fc.property(fc.constantFrom(...kinds), small, (kind, d) => {
      if (kind === "abs" && Math.abs(d) < 1e-4) return;
      const h = 1e-5;
      expectNear([klGradient(kind, d)], [(klValue(kind, d + h) - klValue(kind, d - h)) / (2 * h)], 1e-6);
    }),
  );
});

test("k1 and k3 estimate the KL divergence without bias, and k3 is never negative", () => {
  fc.assert(
    fc.property(distribution, distribution, (p, q) => {
      const expectation = (kind: KlKind) => p.reduce((sum, lp, v) => sum + Math.exp(lp) * klValue(kind, lp - q[v]), 0);
      const kl = p.reduce((sum, lp, v) => sum + Math.exp(lp) * (lp - q[v]), 0);
      expectNear([expectation("k1"), expectation("k3")], [kl, kl], 1e-10);
      for (const [v, lp] of p.entries()) expect(klValue("k3", lp - q[v])).toBeGreaterThanOrEqual(0);
    }),
  );
});

test("k3 is cut at 10 and its slope is 0 wherever a cut is active", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (d) => {
      const value = klValue("k3", d);
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(10);
      if (value === 10 || Math.abs(d) > 20) expect(klGradient("k3", d)).toBe(0);
    }),
  );
  expect(klValue("k3", -3)).toBe(10);
  expect(klValue("k3", 9)).toBeCloseTo(Math.exp(-9) + 8, 12);
  expect(klGradient("k3", 9)).toBeCloseTo(1 - Math.exp(-9), 12);
});

test("no divergence costs nothing and pulls nowhere, except k1, which always pulls by 1", () => {
  expect(kinds.map((kind) => klValue(kind, 0))).toEqual([0, 0, 0, 0]);
  expect(kinds.map((kind) => klGradient(kind, 0))).toEqual([1, 0, 0, 0]);
});
