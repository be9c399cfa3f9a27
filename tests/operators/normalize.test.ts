import fc from "fast-check";
import { expect, test } from "vitest";
import { type NormalizeSpec, normalizePools, poolMoments } from "../../src/operators/normalize.ts";
import { expectNear, meanOf, numbers, pooled } from "./arbitraries.ts";

const onePool = (rows: number) => ({ of: new Int32Array(rows), count: 1 });
const specs = fc.record({
  ddof: fc.constantFrom<0 | 1>(0, 1),
  eps: fc.constantFrom(0, 1e-6, 0.1),
  varEps: fc.constantFrom(0, 1e-8),
  normByStd: fc.boolean(),
  singleton: fc.constantFrom<"zero" | "raw">("zero", "raw"),
});

/** One value of a pool, straight from the formula. */
function normalized(
  x: number,
  pool: readonly number[],
  spec: Required<Omit<NormalizeSpec, "valid" | "weight">>,
): number {
  const { ddof, eps, varEps, normByStd, singleton } = spec;
  if (pool.length === 1) return singleton === "zero" ? 0 : x / (normByStd ? 1 + eps : 1);
  if (Math.max(...pool) === Math.min(...pool)) return 0;
  const mean = meanOf(pool);
  const squares = pool.reduce((sum, y) => sum + (y - mean) ** 2, 0);
  const divisor = normByStd ? Math.sqrt(squares / (pool.length - ddof) + varEps) + eps : 1;
  return divisor === 0 ? 0 : (x - mean) / divisor;
}

test("values are centred and scaled inside their pool, the others stay out", () => {
  fc.assert(
    fc.property(pooled, specs, fc.boolean(), ({ rows, values, pools, valid }, spec, all) => {
      const counts = rows.map((row) => row.pool >= 0 && (all || row.valid === 1));
      const expected = rows.map((row, i) => {
        const pool = rows.filter((other, j) => other.pool === row.pool && counts[j]).map(({ x }) => x);
        return counts[i] ? normalized(row.x, pool, spec) : 0;
      });
      expectNear(normalizePools(values, pools, { ...spec, valid: all ? null : valid }), expected, 1e-7);
    }),
  );
});

test("equal values give exact zeros, in both precisions", () => {
  fc.assert(
    fc.property(numbers, fc.integer({ min: 2, max: 12 }), specs, (x, n, spec) => {
      for (const values of [new Float64Array(n).fill(x), new Float32Array(n).fill(x)]) {
        expect([...normalizePools(values, onePool(n), spec)]).toEqual(new Array(n).fill(0));
      }
    }),
  );
});

test("shifting all values changes nothing and scaling them only the sign", () => {
  const tens = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(tens, fc.integer({ min: -1000, max: 1000 }), fc.constantFrom(-8, 0.25, 1024), (xs, shift, scale) => {
      const plain = normalizePools(xs, onePool(xs.length));
      const moved = normalizePools(
        xs.map((x) => scale * x + shift),
        onePool(xs.length),
      );
      expectNear(
        moved,
        plain.map((a) => Math.sign(scale) * a),
      );
    }),
  );
});

test("small differences between large numbers survive", () => {
  expectNear(normalizePools([1e9, 1e9 + 1e-5, 1e9 + 2e-5], onePool(3)), [-1, 0, 1], 2e-2);
  expectNear(normalizePools([1e15, 1e15 + 1], onePool(2), { ddof: 0 }), [-1, 1], 1e-12);
});

test("a row of weight k counts as k equal rows, a row of weight 0 is only compared", () => {
  fc.assert(
    fc.property(pooled, specs, ({ rows, values, pools, weights }, spec) => {
      const out = normalizePools(values, pools, { ...spec, weight: weights });
      const times = rows.flatMap((row, i) => new Array<number>(row.weight).fill(i));
      const repeated = { of: Int32Array.from(times, (i) => rows[i].pool), count: pools.count };
      const written = normalizePools(
        times.map((i) => rows[i].x),
        repeated,
        spec,
      );
      expectNear(
        times.map((i) => out[i]),
        written,
        1e-7,
      );
      expect(out.every(Number.isFinite)).toBe(true);
    }),
  );
});

test("moments are those of the members, and the order of rows does not matter", () => {
  fc.assert(
    fc.property(pooled, ({ rows, values, pools, valid }) => {
      const { count, mean, squares, min, max } = poolMoments(values, pools, valid);
      const back = poolMoments(
        values.slice().reverse(),
        { of: pools.of.slice().reverse(), count: pools.count },
        valid.slice().reverse(),
      );
      for (let pool = 0; pool < pools.count; pool++) {
        const xs = rows.filter((row) => row.pool === pool && row.valid === 1).map(({ x }) => x);
        expect(count[pool]).toBe(xs.length);
        expect(back.count[pool]).toBe(xs.length);
        if (xs.length === 0) continue;
        const m = meanOf(xs);
        const expected = [m, xs.reduce((sum, x) => sum + (x - m) ** 2, 0), Math.min(...xs), Math.max(...xs)];
        expectNear([mean[pool], squares[pool], min[pool], max[pool]], expected, 1e-8);
        expectNear([back.mean[pool], back.squares[pool]], expected.slice(0, 2), 1e-8);
      }
    }),
  );
});

test("distances whose squares underflow do not become a division by 0", () => {
  expect([...normalizePools([0, 5e-324], onePool(2))]).toEqual([0, 0]);
  expectNear(normalizePools([0, 5e-324], onePool(2), { normByStd: false, ddof: 0 }), [0, 5e-324], 0);
});

test("no rows and empty pools give nothing", () => {
  expect(normalizePools([], { of: new Int32Array(0), count: 3 })).toHaveLength(0);
  expect([...poolMoments([], { of: new Int32Array(0), count: 1 }).mean]).toEqual([0]);
});
