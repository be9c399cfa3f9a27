import fc from "fast-check";
import { expect, test } from "vitest";
import {
  cooperHybridLabels,
  cooperPairLoss,
  cooperPositives,
  cooperShorten,
  cooperVerifierLoss,
} from "../../src/methods/verifier/cooper.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit } from "./credit.ts";
import { groupNormalised, mean, sigma, slopes } from "./plain.ts";

const logit = fc.double({ min: -4, max: 4, noNaN: true });

test("scores are probabilities, compared inside the group", () => {
  const rollouts = fc.array(fc.tuple(fc.constantFrom("p", "q", "r"), logit), { minLength: 1, maxLength: 7 });
  fc.assert(
    fc.property(rollouts, fc.boolean(), fc.boolean(), (list, binarize, normalize_std) => {
      const given = list.map(([group, rm_logit], i) => ({ id: `r${i}`, group, signals: { rm_logit } }));
      const scores = list.map(([, x]) => (binarize ? Number(sigma(x) > 0.5) : sigma(x)));
      const groups = list.map(([group]) => group);
      const expected = groupNormalised(scores, groups, normalize_std ? 1e-6 : null, (x) =>
        normalize_std ? x / (1 + 1e-6) : x,
      );
      expectNear(credit("cooper", given, { binarize, normalize_std }), expected, 1e-6);
    }),
  );
});

test("gradients are the slopes of the pair loss", () => {
  const pairs = fc.array(fc.tuple(logit, logit, fc.constantFrom(0 as const, 1 as const)), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(pairs, (list) => {
      const n = list.length;
      const valid = list.map(([, , v]) => v);
      const loss = (flat: readonly number[]) =>
        cooperPairLoss({ positive: flat.slice(0, n), negative: flat.slice(n), valid }).loss;
      const at = [...list.map(([s]) => s), ...list.map(([, s]) => s)];
      const { grad_positive, grad_negative } = cooperPairLoss({
        positive: at.slice(0, n),
        negative: at.slice(n),
        valid,
      });
      expectNear([...grad_positive, ...grad_negative], slopes(loss, at), 1e-8);
    }),
  );
});

test("the positive of a group is its first accepted rollout", () => {
  const rollouts = fc.array(fc.tuple(fc.constantFrom("x", "y", "z"), fc.constantFrom(0, 0.5, 1, null)), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(rollouts, (list) => {
      const groups = list.map(([group]) => group);
      const expected = [...new Set(groups)].map((group) => {
        const right = list.findIndex(([g, score]) => g === group && score === 1);
        return { group, index: right < 0 ? groups.indexOf(group) : right, has_positive: right >= 0 };
      });
      expect(cooperPositives({ groups, ruleScores: list.map(([, score]) => score) })).toEqual(expected);
    }),
  );
  expect(cooperHybridLabels({ rule: [1, null, 0], judge: [0, null, 0] })).toEqual([null, null, 0]);
});

test("long texts keep both ends, counted in code points", () => {
  const long = `${"😀".repeat(600)}${"b".repeat(901)}`;
  expect(cooperShorten({ text: long })).toBe(`${"😀".repeat(500)}${"😀".repeat(99)}${"b".repeat(901)}`);
  expect(cooperShorten({ text: "😀".repeat(1500) })).toBe("😀".repeat(1500));
});

test("the verifier's loss is the mean cross-entropy", () => {
  const data = fc.array(fc.tuple(logit, fc.constantFrom(0, 1)), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(data, (list) => {
      const expected = mean(list.map(([x, y]) => -(y * Math.log(sigma(x)) + (1 - y) * Math.log(1 - sigma(x)))));
      const found = cooperVerifierLoss({ logits: list.map(([x]) => x), labels: list.map(([, y]) => y) });
      expectNear([found], [expected]);
    }),
  );
});
