import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import {
  earlyRejectCost,
  earlyRejectSelect,
  partialFinalCorrelation,
  rejectionRiskBound,
} from "../../src/methods/search/early-rejection.ts";
import { batchFromObjects, InputError, rolloutObject } from "../../src/rollouts/index.ts";
import { credit, warningsOf } from "./credit.ts";

const score = fc.option(fc.constantFrom(0, 0.25, 0.5, 0.75, 1));
const candidates = fc.array(fc.array(score, { maxLength: 5 }), { minLength: 1, maxLength: 9 });

test("scores, ranks and survivors are those of the definition", () => {
  const sizes = fc.integer({ min: 1, max: 5 });
  fc.assert(
    fc.property(candidates, sizes, sizes, (list, tau, beam_width) => {
      const rollouts = list.map((prm, i) => ({ id: `c${i}`, group: "q", tokens: { prm } }));
      const partial = list.map((prm) =>
        prm.length === 0 ? null : (prm.slice(0, tau).findLast((x) => x !== null) ?? 0.5),
      );
      const kept = earlyRejectSelect({ scores: partial, beam_width });
      const known = partial.flatMap((x, i) => (x === null ? [] : [i]));
      const order = known.sort((a, b) => (partial[b] as number) - (partial[a] as number));
      expect(kept).toEqual(order.slice(0, Math.max(1, Math.floor(list.length / beam_width))));
      const result = assign(batchFromObjects(rollouts), "early-rejection", { tau, beam_width });
      list.forEach((prm, i) => {
        expect(rolloutObject(result, i)).toMatchObject({
          partial_score: partial[i],
          rank: partial[i] === null ? null : order.indexOf(i),
          keep: kept.includes(i) ? 1 : 0,
          tokens_saved: kept.includes(i) ? 0 : Math.max(0, prm.length - tau),
        });
      });
    }),
  );
});

test("scores of whole candidates stand in where tokens have none; unscored ones are never kept", () => {
  const rollouts = [0.2, 0.9, null].map((partial_score, i) => ({
    id: `c${i}`,
    group: "q",
    signals: { partial_score },
  }));
  expect(credit("early-rejection", rollouts, {}, "rollout.keep")).toEqual([0, 1, 0]);
  expect(() => credit("early-rejection", [{ id: "a", tokens: { id: [1] } }])).toThrow(/tokens\.prm or signals/);
  expect(() => credit("early-rejection", rollouts, { tau: 0 })).toThrow(InputError);
});

test("the cost of keeping all is the full cost, and of keeping none that of the short phase", () => {
  const lengths = fc.array(fc.nat(300), { maxLength: 8 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 200 }), fc.nat(5), (list, tau, score_cost) => {
      const shared = { lengths: list, tau, gen_cost: 2, score_cost };
      const all = earlyRejectCost({ ...shared, kept: list.map((_, i) => i) });
      expect(all.early).toBe(all.full);
      expect(all.speedup).toBe(1);
      const none = earlyRejectCost({ ...shared, kept: [] });
      expect(none.early).toBe(list.reduce((sum, n) => sum + 2 * Math.min(n, tau) + score_cost, 0));
      expect(none.full).toBe(all.full);
    }),
  );
  expect(() => earlyRejectCost({ lengths: [1], kept: [1], tau: 1, gen_cost: 1, score_cost: 0 })).toThrow(InputError);
});

test("the risk falls with the tokens read and is at most 1", () => {
  const risk = (tau: number) => rejectionRiskBound({ n: 16, k: 4, gap: 0.2, sigma: 0.5, tau });
  expect(risk(1)).toBe(1);
  expect(risk(128) / risk(64)).toBeCloseTo(risk(192) / risk(128), 9);
  expect(rejectionRiskBound({ n: 1, k: 1, gap: 0, sigma: 1, tau: 1 })).toBe(0);
  expect(() => rejectionRiskBound({ n: 2, k: 1, gap: 0, sigma: 0, tau: 1 })).toThrow(InputError);
});

test("correlations are 0 where there is nothing to compare", () => {
  expect(partialFinalCorrelation({ partial: [1], final: [2] })).toEqual({ pearson: 0, kendall: 0 });
  expect(partialFinalCorrelation({ partial: [1, 1], final: [2, 3] })).toEqual({ pearson: 0, kendall: 0 });
  expect(partialFinalCorrelation({ partial: [1, 2, 3], final: [2, 4, 6] })).toEqual({
    pearson: expect.closeTo(1, 12),
    kendall: expect.closeTo(1, 12),
  });
});

test("warns when most candidates are too short to save anything", () => {
  const rollouts = [{ id: "a", tokens: { prm: [0.5] } }];
  expect(warningsOf("early-rejection", rollouts)[0]).toContain("tau = 64");
  expect(warningsOf("early-rejection", [{ id: "a", tokens: { prm: [0.5, 0.5] } }], { tau: 1 })).toEqual([]);
});
