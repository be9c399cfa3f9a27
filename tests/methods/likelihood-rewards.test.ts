import fc from "fast-check";
import { expect, test } from "vitest";
import {
  jepoAdvantages,
  likelihoodMetrics,
  likelihoodReward,
} from "../../src/methods/likelihood/likelihood-rewards.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit, warningsOf } from "./credit.ts";
import { mean, slopes, sum } from "./plain.ts";

const logprobs = fc.array(fc.double({ min: -3, max: -0.01, noNaN: true }), { minLength: 1, maxLength: 4 });
const variants = ["log_prob", "avg_log_prob", "prob", "avg_prob", "geo_prob"] as const;

test("the weight of a reference token is the slope of the reward", () => {
  fc.assert(
    fc.property(logprobs, fc.constantFrom(...variants), (logprob, variant) => {
      const weight = credit(
        "likelihood-rewards",
        [{ id: "a", reference: { logprob } }],
        { variant },
        "reference.weight",
      );
      const slope = slopes((at) => likelihoodReward({ variant, logprobs: [...at] }), logprob, 1e-6);
      expectNear(weight, slope, 1e-6);
    }),
  );
});

test("jepo rewards the mean likelihood of the group, against that of the others", () => {
  const sums = fc.array(fc.double({ min: -5, max: 0, noNaN: true }), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(sums, (list) => {
      const p = list.map(Math.exp);
      const others = (i: number) => p.filter((_, j) => j !== i);
      const expected = list.map((_, i) => Math.log(mean(p)) - Math.log(mean(others(i))));
      expectNear(jepoAdvantages({ sums: list }), expected);
      const group = list.map((lp, i) => ({ id: `r${i}`, group: "g", reference: { logprob: [lp] } }));
      expectNear(credit("likelihood-rewards", group, { variant: "jepo" }), expected);
      const shares = credit("likelihood-rewards", group, { variant: "jepo" }, "reference.weight");
      expectNear(
        shares,
        p.map((x) => x / sum(p)),
      );
    }),
  );
  // Far below what e^x can hold.
  expectNear(jepoAdvantages({ sums: [-2000, -2001, -2003] }), jepoAdvantages({ sums: [-3, -4, -6] }), 1e-9);
});

test("nover ranks by perplexity and pays for being shorter and better", () => {
  const group = fc.array(fc.record({ lp: logprobs, cot: fc.nat(50), ok: fc.constantFrom(0, 1) }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(group, (list) => {
      const ppl = list.map(({ lp, cot }) => Math.exp(-mean(lp) / (cot === 0 ? 1 : Math.max(1, 1 + Math.log10(cot)))));
      fc.pre(new Set(ppl).size === ppl.length);
      const valid = list.flatMap(({ ok }, i) => (ok === 1 ? [i] : []));
      const expected = list.map(({ ok, cot }, i) => {
        if (ok === 0) return 0;
        const rank = valid.filter((j) => ppl[j] < ppl[i]).length;
        const beaten = valid.filter((j) => cot < list[j].cot && ppl[i] < ppl[j]).length;
        return 1 + 2 * ((valid.length - rank) / valid.length) + 3 * (beaten / Math.max(valid.length - 1, 1));
      });
      const rollouts = list.map(({ lp, cot, ok }, i) => {
        return { id: `r${i}`, group: "g", reference: { logprob: lp }, signals: { cot_tokens: cot, format_ok: ok } };
      });
      const params = { variant: "nover", reasoning_weight: 2, efficiency_weight: 3 };
      expectNear(credit("likelihood-rewards", rollouts, params, "rollout.reward"), expected);
      expectNear(
        credit("likelihood-rewards", rollouts, params),
        expected.map((r) => (list.length === 1 ? 0 : r - mean(expected))),
      );
    }),
  );
});

test("a short reasoning is charged, in jepo beside the group's own advantage", () => {
  const rollouts = [
    { id: "a", group: "g", tokens: { mask: [1, 1, 0] }, reference: { logprob: [-1] } },
    { id: "b", group: "g", tokens: { mask: [1, 1, 1, 1] }, reference: { logprob: [-1] } },
  ];
  const params = { length_floor: 3, length_floor_coef: 0.5 };
  expectNear(credit("likelihood-rewards", rollouts, params, "rollout.reward"), [-1.5, -1]);
  expectNear(credit("likelihood-rewards", rollouts, { ...params, variant: "jepo" }), [-0.5, 0.5]);
  expectNear(credit("likelihood-rewards", rollouts, { ...params, baseline: "none" }), [-1.5, -1]);
});

test("metrics of one sample per prompt are those of the sample", () => {
  const metrics = likelihoodMetrics({ samples: [[[-1, -3]], [[-2]]] });
  expectNear([metrics.per_answer, metrics.per_token, metrics.perplexity], [-2, -2, Math.exp(2)]);
  expect(() => likelihoodMetrics({ samples: [[[-1], [-1, -2]]] })).toThrow(/several lengths/);
  expect(() => likelihoodMetrics({ samples: [[[-1000]]] })).toThrow(/too large/);
});

test("says when no reasoning makes the reference likely enough to learn from", () => {
  const flat = [{ id: "a", reference: { logprob: [-20] } }];
  expect(warningsOf("likelihood-rewards", flat, { variant: "prob" })).toHaveLength(1);
  expect(warningsOf("likelihood-rewards", flat)).toEqual([]);
});
