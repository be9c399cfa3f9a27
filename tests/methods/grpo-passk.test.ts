import fc from "fast-check";
import { expect, test } from "vitest";
import { passAtK, passkAdvantage } from "../../src/methods/group/grpo-passk.ts";
import { InputError } from "../../src/rollouts/index.ts";

const rewards = fc.array(fc.oneof(fc.constantFrom(0, 1), fc.double({ min: -1, max: 1, noNaN: true })), {
  minLength: 1,
  maxLength: 7,
});

test("advantages are what the group's best loses without the member, over the spread of the rewards", () => {
  fc.assert(
    fc.property(rewards, fc.boolean(), fc.boolean(), (list, norm_by_std, center) => {
      const out = passkAdvantage({ rewards: list, norm_by_std, center });
      if (list.length === 1) {
        expect(out).toEqual([0]);
        return;
      }
      const best = Math.max(...list);
      const lead = list.map((_, i) => best - Math.max(...list.filter((_, j) => j !== i)));
      const mean = list.reduce((a, b) => a + b, 0) / list.length;
      const spread = Math.sqrt(list.reduce((a, r) => a + (r - mean) ** 2, 0) / (list.length - 1));
      const centre = center ? lead.reduce((a, b) => a + b, 0) / list.length : 0;
      lead.forEach((a, i) => {
        expect(out[i]).toBeCloseTo((a - centre) / (norm_by_std ? spread + 1e-6 : 1), 6);
      });
    }),
  );
});

test("pass@k is the share of k-subsets with a right sample", () => {
  for (let n = 1; n <= 7; n++) {
    for (let c = 0; c <= n; c++) {
      for (let k = 1; k <= n; k++) {
        const subsets = Array.from({ length: 2 ** n }, (_, s) => s).filter(
          (s) => s.toString(2).replaceAll("0", "").length === k,
        );
        const hits = subsets.filter((s) => s % 2 ** c !== 0).length;
        expect(passAtK({ n, c, k })).toBeCloseTo(hits / subsets.length, 12);
      }
    }
  }
});

test("counts that do not fit together are refused", () => {
  for (const args of [
    { n: 3, c: 4, k: 1 },
    { n: 3, c: 1, k: 4 },
    { n: 3, c: 1, k: 0 },
    { n: 3, c: -1, k: 1 },
  ])
    expect(() => passAtK(args)).toThrow(InputError);
});
