import fc from "fast-check";
import { expect, test } from "vitest";
import { carlEntropy, carlSelect, strategicGramMask } from "../../src/methods/selection/criticality.ts";
import { quantile } from "../../src/operators/quantile.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

test("the quantile is the interpolated value of the sorted list, and at whole positions a value itself", () => {
  const numbers = fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(numbers, fc.double({ min: 0, max: 1, noNaN: true }), (list, q) => {
      const sorted = [...list].sort((a, b) => a - b);
      const at = q * (list.length - 1);
      const low = Math.floor(at);
      const high = sorted[Math.min(low + 1, list.length - 1)];
      expect(quantile(list, q)).toBeCloseTo(sorted[low] + (at - low) * (high - sorted[low]), 7);
    }),
  );
  // 1 − 0.7 is a little above 0.3.
  expect(quantile([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1], 1 - 0.7)).toBe(0.4);
});

const rollouts: RolloutObject[] = [
  { id: "a", group: "p", reward: 1, tokens: { entropy: [3, 1, 2] } },
  { id: "b", group: "q", reward: 0, tokens: { entropy: [9, 8, 7], advantage: [1, 1, 1] } },
  { id: "c", group: "p", reward: 0, tokens: { entropy: [0, 0.5] } },
  { id: "d", group: "q", reward: 1, tokens: { entropy: [0, 0, 0], advantage: [-2, -2, -2] } },
];

test("the threshold is that of the call, or of each group; equal entropies are all kept", () => {
  const weights = (params: object) => credit("entropy-critical", rollouts, { keep: 0.3, ...params }, "tokens.weight");
  expect(weights({})).toEqual([1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]);
  expect(weights({ scope: "group" })).toEqual([1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
  const flat = rollouts.map((r) => ({ ...r, tokens: { entropy: [0.3, 0.3] } }));
  expect(credit("entropy-critical", flat, {}, "tokens.weight")).toEqual(new Array(8).fill(1));
});

test("a group without an advantage in one of its rollouts gets that of the outcome", () => {
  const all = credit("entropy-critical", rollouts, { keep: 1 }, "tokens.advantage");
  expect(all.slice(3, 6)).toEqual([1, 1, 1]);
  expect(all[0]).toBeCloseTo(Math.SQRT1_2, 5);
  const partly = rollouts.map((r) => (r.id === "d" ? { ...r, tokens: { entropy: [0, 0, 0] } } : r));
  expect(credit("entropy-critical", partly, { keep: 1 }, "tokens.advantage")[3]).toBeCloseTo(-Math.SQRT1_2, 5);
});

test("kept turns keep all their policy tokens", () => {
  const turns = { end: [2, 3], entropy: [0.1, 0.9] };
  const one = [{ id: "a", group: "p", tokens: { advantage: [1, 1, 1], mask: [1, 0, 1] }, turns, reward: 0 }];
  expect(credit("entropy-critical", one, { mode: "turn_entropy", keep: 0.5 }, "tokens.weight")).toEqual([0, 0, 1]);
  expect(credit("entropy-critical", one, { mode: "turn_entropy", keep: 1 }, "tokens.weight")).toEqual([1, 0, 1]);
  expect(() => credit("entropy-critical", one, { mode: "top_entropy" }, "tokens.weight")).toThrow(/tokens\.entropy/);
  expect(() => credit("entropy-critical", one, { mode: "hicra" }, "tokens.weight")).toThrow(/tokens\.planning/);
});

test("carl trains the edges out of forks only, and their weighted sum at a fork is 0", () => {
  const paths = [["A", "B"], ["A", "C", "D"], ["A", "C", "E"], ["A"]];
  const tree = paths.map((node, i) => ({ id: `r${i}`, group: "p", reward: [1, 0, 0.5, 0.1][i], turns: { node } }));
  const advantage = credit("entropy-critical", tree, { mode: "carl" }, "turns.advantage");
  const weight = credit("entropy-critical", tree, { mode: "carl" }, "turns.weight");
  // A is the only first step; its children are B, C and the rollout that ends there.
  const value = (1 + 0.25 + 0.1) / 3;
  [0, 1 - value, 0, 0.25 - value, -0.25, 0, 0.25 - value, 0.25, 0].forEach((a, row) => {
    expect(advantage[row]).toBeCloseTo(a, 12);
  });
  expect(weight).toEqual([0, 1, 0, 0.5, 1, 0, 0.5, 1, 0]);
  const twoParents = [
    ["A", "X"],
    ["B", "X"],
  ].map((node, i) => ({ id: `r${i}`, group: "p", reward: i, turns: { node } }));
  expect(() => credit("entropy-critical", twoParents, { mode: "carl" }, "turns.weight")).toThrow(/two parents/);
});

test("functions of the card", () => {
  expect(carlEntropy({ logprobs: [-1, -2] })).toBe(1.5);
  expect(carlSelect({ entropy: [1, 2, 2 + 1e-13], count: [1, 1, 1] })).toBe(1);
  expect(strategicGramMask({ words: ["A", "b", "c", "a", "B", "c", "d"], grams: ["a b c", "b c d"] })).toEqual([
    1, 1, 1, 1, 1, 1, 1,
  ]);
  expect(strategicGramMask({ words: ["a", "b"], grams: ["a b", "a b c"] })).toEqual([0, 0]);
  for (const call of [() => carlEntropy({ logprobs: [] }), () => carlSelect({ entropy: [1], count: [0] })])
    expect(call).toThrow(InputError);
});
