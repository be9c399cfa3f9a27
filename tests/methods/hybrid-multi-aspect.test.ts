import fc from "fast-check";
import { expect, test } from "vitest";
import {
  embeddingReward,
  groupLengthPenalty,
  hybridAccuracy,
  modelScore,
} from "../../src/methods/verifier/hybrid-multi-aspect.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit, warningsOf } from "./credit.ts";
import { groupNormalised, mean, sigma } from "./plain.ts";

const value = fc.double({ min: -2, max: 2, noNaN: true });
const raw = fc.option(fc.oneof(value, fc.array(value, { maxLength: 3 })));
const transforms = fc.constantFrom("raw" as const, "sigmoid" as const, "clip" as const, "cosine01" as const);
const cut = (x: number) => Math.min(Math.max(x, 0), 1);

test("a model score is the mean of its scaled outputs", () => {
  fc.assert(
    fc.property(raw, transforms, (output, transform) => {
      const scale = { raw: (x: number) => x, sigmoid: sigma, clip: cut, cosine01: (x: number) => cut((1 + x) / 2) };
      const entries = output === null ? [] : [output].flat();
      const found = modelScore({ raw: output, transform });
      if (entries.length === 0) expect(found).toBeNull();
      else expectNear([found as number], [mean(entries.map(scale[transform]))]);
    }),
  );
  expectNear([embeddingReward({ u: [1, 0], v: [3, 4] })], [0.6]);
  expectNear([hybridAccuracy({ rule: 1, model: 0, confidence: 0.3, blend: true })], [0.3]);
  expect(hybridAccuracy({ rule: 0, model: 1, confidence: 0.3 })).toBe(0);
});

test("length penalties lie between 0 and −P_max and start at the tolerance", () => {
  const samples = fc.array(fc.record({ n: fc.nat(40), right: fc.constantFrom(0 as const, 1 as const) }), {
    minLength: 1,
  });
  const kinds = fc.constantFrom("short" as const, "long" as const, "both" as const);
  fc.assert(
    fc.property(samples, kinds, fc.constantFrom(0, 0.2, 0.9), (list, direction, tau) => {
      const lengths = list.map(({ n }) => n);
      const found = groupLengthPenalty({ lengths, correct: list.map(({ right }) => right), pMax: 2, tau, direction });
      const right = list.filter(({ right }) => right === 1).map(({ n }) => n);
      const reference = right.length === 0 ? 0 : mean(right);
      const expected = lengths.map((n) => {
        if (reference === 0) return 0;
        const d = { short: (reference - n) / reference, long: (n - reference) / reference, both: 0 };
        d.both = Math.abs(d.short);
        return -2 * cut((d[direction] - tau) / (1 - tau));
      });
      expectNear(found, expected);
    }),
  );
});

test("the credit is accuracy, length and aspects, centred in the group", () => {
  const rollout = fc.record({
    group: fc.constantFrom("p", "q"),
    rule: fc.option(fc.constantFrom(0, 0.5, 1)),
    model: raw,
    format: fc.option(value),
    style: value,
    confidence: fc.option(fc.double({ min: -1, max: 2, noNaN: true })),
    n: fc.nat(4),
  });
  fc.assert(
    fc.property(fc.array(rollout, { minLength: 1, maxLength: 6 }), fc.boolean(), fc.boolean(), (list, blend, byStd) => {
      const rollouts = list.map(({ group, rule, model, format, style, confidence, n }, i) => ({
        id: `r${i}`,
        group,
        rewards: { rule, model, format, style },
        signals: confidence === null ? {} : { rule_confidence: confidence },
        tokens: { id: new Array(n).fill(1) },
      }));
      const accuracy = list.map(({ rule, model, confidence }) =>
        hybridAccuracy({ rule, model: modelScore({ raw: model }), confidence, blend }),
      );
      const groups = list.map(({ group }) => group);
      const penalty = list.map(({ group }, i) => {
        const members = groups.flatMap((g, j) => (g === group ? [j] : []));
        const correct = members.map((j) => accuracy[j] >= 0.5);
        return groupLengthPenalty({ lengths: members.map((j) => list[j].n), correct })[members.indexOf(i)];
      });
      const rewards = list.map(({ format, style }, i) => accuracy[i] + 3 * penalty[i] + (format ?? 0) - style);
      const params = {
        length_weight: 3,
        aspect_weights: { format: 1, style: -1 },
        confidence_blend: blend,
        norm: byStd ? "std" : "mean",
      };
      expectNear(credit("hybrid-multi-aspect", rollouts, params, "rollout.accuracy"), accuracy);
      expectNear(credit("hybrid-multi-aspect", rollouts, params, "rollout.reward"), rewards);
      const expected = groupNormalised(rewards, groups, byStd ? 1e-6 : null, () => 0);
      if (!byStd) expectNear(credit("hybrid-multi-aspect", rollouts, params), expected);
      // Rewards that differ by rounding alone are noise over a small eps.
      else if (expected.every((a) => a === 0 || Math.abs(a) > 1e-3))
        expectNear(credit("hybrid-multi-aspect", rollouts, params), expected, 1e-6);
    }),
  );
});

test("refuses impossible rules, and says what it could not judge", () => {
  const one = (rewards: Record<string, unknown>) => [{ id: "a", rewards, tokens: { id: [1] } }];
  expect(() => credit("hybrid-multi-aspect", one({ rule: 2 }))).toThrow(/0 to 1/);
  expect(() => credit("hybrid-multi-aspect", one({ model: ["x"] }))).toThrow(/a list of numbers/);
  expect(warningsOf("hybrid-multi-aspect", one({ rule: null }))).toEqual([expect.stringMatching(/neither rule nor/)]);
  expect(warningsOf("hybrid-multi-aspect", [{ id: "a", rewards: { rule: 1 } }])).toHaveLength(1);
});

test("without a rule and a model anywhere the accuracy is 0 and the aspects alone decide", () => {
  const rollouts = [1, 0].map((format, k) => ({ id: `${k}`, group: "g", rewards: { format }, tokens: { id: [1] } }));
  expect(credit("hybrid-multi-aspect", rollouts, {}, "rollout.accuracy")).toEqual([0, 0]);
  expect(credit("hybrid-multi-aspect", rollouts)).toEqual([0.5, -0.5]);
  expect(warningsOf("hybrid-multi-aspect", rollouts)).toEqual([expect.stringMatching(/^2 of 2 rollouts have neither/)]);
});
