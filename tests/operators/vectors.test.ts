import fc from "fast-check";
import { expect, test } from "vitest";
import { cosine } from "../../src/operators/vectors.ts";
import { expectNear } from "./arbitraries.ts";

const entry = fc.double({ min: -100, max: 100, noNaN: true });
const vectors = fc.array(fc.tuple(entry, entry), { minLength: 1, maxLength: 5 });

test("is u·v / |u||v|, whatever the scale of the vectors", () => {
  fc.assert(
    fc.property(vectors, fc.constantFrom(1, 1e200, 1e-200), (rows, scale) => {
      const u = rows.map(([x]) => x);
      const v = rows.map(([, y]) => y);
      fc.pre(Math.hypot(...u) > 1e-3 && Math.hypot(...v) > 1e-3);
      const dot = u.reduce((sum, x, k) => sum + x * v[k], 0);
      const expected = dot / (Math.hypot(...u) * Math.hypot(...v));
      expectNear(
        [
          cosine(
            u.map((x) => x * scale),
            v,
          ),
        ],
        [expected],
      );
    }),
  );
  expect(cosine([0, 0], [1, 2])).toBe(0);
  expect(cosine([], [])).toBe(0);
});
