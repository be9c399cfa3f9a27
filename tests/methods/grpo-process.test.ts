import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

const step = fc.record({
  prm: fc.option(
    fc.integer({ min: -10, max: 10 }).map((n) => n / 10),
    { freq: 4 },
  ),
  mask: fc.array(fc.constantFrom(1, 1, 0), { minLength: 1, maxLength: 3 }),
});
const responses = fc.array(fc.record({ group: fc.constantFrom("a", "b"), steps: fc.array(step, { maxLength: 4 }) }), {
  minLength: 1,
  maxLength: 6,
});
const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

test("scores of a group are one pool, and tokens get the sum of their own and all later steps", () => {
  fc.assert(
    fc.property(responses, fc.boolean(), fc.constantFrom(0 as const, 1 as const), (list, norm_by_std, ddof) => {
      const batch = batchFromObjects(
        list.map(({ group, steps }, i) => {
          let end = 0;
          const ends = steps.map((s) => {
            end += s.mask.length;
            return end;
          });
          const score = steps.map((s) => s.prm);
          return { id: `r${i}`, group, tokens: { mask: steps.flatMap((s) => s.mask) }, steps: { end: ends, score } };
        }),
      );
      const result = assign(batch, "grpo-process", { step_column: "score", norm_by_std, ddof });
      const norm = result.numbers("steps.reward_norm");
      const credit = result.numbers("tokens.advantage");
      const rows = batch.offsets("step");
      const offsets = batch.offsets("token");
      list.forEach(({ group, steps }, i) => {
        const pool = list
          .filter((other) => other.group === group)
          .flatMap((other) => other.steps.flatMap((s) => (s.prm === null ? [] : [s.prm])));
        const mean = total(pool) / pool.length;
        const spread = Math.sqrt(total(pool.map((x) => (x - mean) ** 2)) / (pool.length - ddof));
        const flat = pool.length < 2 || Math.min(...pool) === Math.max(...pool);
        const own = steps.map(({ prm }) => {
          if (prm === null || flat) return 0;
          return norm_by_std ? (prm - mean) / (spread + 1e-6) : prm - mean;
        });
        let t = offsets[i];
        steps.forEach((s, k) => {
          expect(norm[rows[i] + k]).toBeCloseTo(own[k], 9);
          const ahead = total([...norm.subarray(rows[i] + k, rows[i + 1])]);
          expect(result.numbers("steps.advantage")[rows[i] + k]).toBeCloseTo(ahead, 9);
          for (const m of s.mask) expect(credit[t++]).toBeCloseTo(m === 1 ? ahead : 0, 9);
        });
      });
    }),
  );
});

test("without tokens only the columns of steps are written; steps without a score column are refused", () => {
  const plain = assign(batchFromObjects([{ id: "a", steps: { prm: [0, 1] } }]), "grpo-process", { norm_by_std: false });
  expect([...plain.numbers("steps.advantage")]).toEqual([0, 0.5]);
  expect(plain.has("tokens.advantage")).toBe(false);
  const mixed = [
    { id: "a", steps: { prm: [0, 1] } },
    { id: "b", steps: { other: [1] } },
  ];
  expect(() => assign(batchFromObjects(mixed), "grpo-process")).toThrow(/"b".*steps\.prm/);
  expect(() => assign(batchFromObjects(mixed.slice(1)), "grpo-process")).toThrow(/"b".*steps\.prm/);
});
