import fc from "fast-check";
import { expect, test } from "vitest";
import { normalizePools } from "../../src/operators/normalize.ts";
import { pooled } from "./arbitraries.ts";

test("a row with weight n stands in its pool as n equal rows do", () => {
  fc.assert(
    fc.property(
      pooled,
      fc.constantFrom(0, 1),
      fc.constantFrom("zero", "raw"),
      ({ rows, values, pools, weights }, ddof, singleton) => {
        const spec = { ddof, singleton, eps: 1e-3 } as const;
        const weighted = normalizePools(values, pools, { ...spec, weight: weights });
        const copies = rows.flatMap(({ x, pool, weight }) => new Array(weight).fill([x, pool]));
        const of = Int32Array.from(copies, ([, pool]) => pool);
        const repeated = normalizePools(
          copies.map(([x]) => x),
          { of, count: pools.count },
          spec,
        );
        let at = 0;
        rows.forEach(({ weight }, row) => {
          if (weight > 0) expect(weighted[row]).toBeCloseTo(repeated[at], 8);
          at += weight;
        });
      },
    ),
    { numRuns: 300 },
  );
});

test("a row of weight 0 is compared with its pool and does not change it", () => {
  const pools = { of: Int32Array.of(0, 0, 0, 1), count: 2 };
  const out = normalizePools([1, 3, 6, 5], pools, { ddof: 0, weight: [1, 1, 0, 0] });
  // Mean 2, spread 1; the pool of the last row is empty.
  expect([...out]).toEqual([-1, 1, 4, 0]);
});
