import fc from "fast-check";
import { expect, test } from "vitest";
import { kendallTauB, ndcg, pearson, ranks, signAgreement, spearman } from "../../src/operators/ranking.ts";

const pairsOfLists = fc
  .array(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -3, max: 3 })), { maxLength: 40 })
  .map((rows) => [rows.map(([x]) => x), rows.map(([, y]) => y)]);

test("ties share the mean of their ranks", () => {
  expect([...ranks([10, 20, 10, 5])]).toEqual([2.5, 4, 2.5, 1]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 5 })), (x) => {
      const expected = x.map((a) => x.filter((b) => b < a).length + (x.filter((b) => b === a).length + 1) / 2);
      expect([...ranks(x)]).toEqual(expected);
    }),
  );
});

test("tau-b equals counting pairs", () => {
  fc.assert(
    fc.property(pairsOfLists, ([x, y]) => {
      let score = 0;
      let inX = 0;
      let inY = 0;
      for (let a = 0; a < x.length; a++) {
        for (let b = 0; b < a; b++) {
          score += Math.sign(x[a] - x[b]) * Math.sign(y[a] - y[b]);
          if (x[a] !== x[b]) inX++;
          if (y[a] !== y[b]) inY++;
        }
      }
      const tau = kendallTauB(x, y);
      if (inX === 0 || inY === 0) expect(tau).toBeNull();
      else expect(tau).toBeCloseTo(score / Math.sqrt(inX * inY), 12);
    }),
    { numRuns: 500 },
  );
});

test("correlations worked by hand", () => {
  // Ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4: deviations -1.5 0 0 1.5 and -1.5 .5 -.5 1.5 give 4.5 / sqrt(4.5 · 5).
  expect(spearman([1, 2, 2, 3], [1, 3, 2, 4])).toBeCloseTo(4.5 / Math.sqrt(22.5), 14);
  // Five concordant pairs, none discordant, one tied in x: 5 / sqrt(5 · 6).
  expect(kendallTauB([1, 2, 2, 3], [1, 3, 2, 4])).toBeCloseTo(5 / Math.sqrt(30), 14);
  expect(pearson([1, 2, 3], [2, 4, 7])).toBeCloseTo(5 / Math.sqrt(2 * (38 / 3)), 14);
});

test("rank correlations ignore increasing maps and turn with the order", () => {
  fc.assert(
    fc.property(pairsOfLists, ([x, y]) => {
      const grown = x.map((v) => Math.exp(v));
      const turned = x.map((v) => -v);
      for (const measure of [spearman, kendallTauB]) {
        const value = measure(x, y);
        if (value === null) {
          expect(measure(grown, y)).toBeNull();
          continue;
        }
        expect(Math.abs(value)).toBeLessThanOrEqual(1 + 1e-12);
        expect(measure(grown, y)).toBeCloseTo(value, 12);
        expect(measure(turned, y)).toBeCloseTo(-value, 12);
        expect(measure(y, x)).toBeCloseTo(value, 12);
      }
    }),
  );
});

test("constant or short lists have no correlation; huge and tiny values have one", () => {
  expect(pearson([0.1, 0.1, 0.1], [1, 2, 3])).toBeNull();
  expect(pearson([1], [1])).toBeNull();
  expect(spearman([], [])).toBeNull();
  expect(pearson([1e300, -1e300, 0], [1e-300, -1e-300, 0])).toBeCloseTo(1, 14);
});

test("signs: rows where both are zero say nothing", () => {
  expect(signAgreement([1, -2, 0, 0, 3], [2, 5, 0, 1, 0])).toEqual({ rows: 4, same: 1, opposite: 1 });
  expect(signAgreement([1e-9, -1], [-1, -1], 1e-6)).toEqual({ rows: 2, same: 1, opposite: 0 });
});

test("ndcg worked by hand, with ties and a cutoff", () => {
  const third = 1 / Math.log2(4);
  const second = 1 / Math.log2(3);
  // Order by score: item 1 (gain 0), item 0 (gain 1), item 2 (gain 1).
  expect(ndcg([2, 3, 1], [1, 0, 1])).toBeCloseTo((second + third) / (1 + second), 14);
  // Items 0 and 1 are tied on ranks 1 and 2 and share (1 + second) / 2.
  expect(ndcg([1, 1, 0], [1, 0, 0])).toBeCloseTo((1 + second) / 2, 14);
  expect(ndcg([1, 2], [1, 0], 1)).toBe(0);
  expect(ndcg([1, 2, 3], [0, 0, 0])).toBe(0);
});

test("ndcg is 1 for the order of the gains, at most 1 otherwise, and does not depend on the order of the list", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 })), { minLength: 1 }),
      (rows) => {
        const scores = rows.map(([s]) => s);
        const gains = rows.map(([, g]) => g);
        const value = ndcg(scores, gains);
        expect(value).toBeLessThanOrEqual(1 + 1e-12);
        expect(ndcg(scores.toReversed(), gains.toReversed())).toBeCloseTo(value, 12);
        if (gains.some((g) => g > 0)) expect(ndcg(gains, gains)).toBeCloseTo(1, 12);
      },
    ),
  );
});
