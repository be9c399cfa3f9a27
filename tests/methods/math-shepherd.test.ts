import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { prmAggregate, prmLoss, weightedVote } from "../../src/methods/process/math-shepherd.ts";
import { batchFromObjects, InputError, rolloutObject } from "../../src/rollouts/index.ts";

function credit(rollouts: object[], params = {}) {
  const result = assign(batchFromObjects(rollouts), "math-shepherd", params);
  return rollouts.map((_, i) => rolloutObject(result, i));
}

const counts = fc
  .tuple(fc.nat(8), fc.nat(8))
  .map(([a, b]) => ({ correct: Math.min(a, b), total: Math.max(a, b) }))
  .map((x) => (x.total === 0 ? { correct: null, total: null } : x));

test("labels are what the completions after each step say", () => {
  fc.assert(
    fc.property(fc.array(counts, { maxLength: 6 }), fc.boolean(), fc.constantFrom(0, 1), (list, byOutcome, reward) => {
      const steps = { mc_correct: list.map((x) => x.correct), mc_total: list.map((x) => x.total) };
      const params = { final_label: byOutcome ? "outcome" : "none", kind: "soft" };
      const [{ steps: out }] = credit([{ id: "a", reward, steps }], params);
      const soft = list.map(({ correct, total }, k) =>
        byOutcome && k === list.length - 1 ? reward : total === null ? null : (correct ?? 0) / total,
      );
      expect((out as Record<string, unknown>).label_soft).toEqual(soft);
      expect((out as Record<string, unknown>).reward).toEqual(soft);
      expect((out as Record<string, unknown>).label_hard).toEqual(soft.map((x) => (x === null ? null : Math.ceil(x))));
    }),
  );
});

test("a trained reward model pays at the end of each step and needs no completions", () => {
  const rollout = {
    id: "a",
    reward: 1,
    tokens: { id: [1, 2, 3, 4], mask: [1, 1, 0, 1] },
    steps: { end: [3, 4], prm: [0.25, 0.75] },
  };
  const [{ tokens, steps }] = credit([rollout], { reward_from: "prm" });
  expect(tokens).toMatchObject({ reward: [0, 0.25, 0, 0.75] });
  expect(steps).toMatchObject({ reward: [0.25, 0.75], label_hard: [null, 1] });
});

test("a step without a policy token of its own pays on no token", () => {
  const tokens = { id: [1, 2, 3, 4], mask: [1, 0, 0, 1] };
  const steps = { end: [2, 3, 4], prm: [0.25, 0.5, 0.75] };
  const [out] = credit([{ id: "a", reward: 1, tokens, steps }], { reward_from: "prm" });
  expect(out.tokens).toMatchObject({ reward: [0.25, 0, 0, 0.75] });
  expect(out.steps).toMatchObject({ reward: [0.25, 0.5, 0.75] });
});

test("nothing measured and no label by the outcome: no reward, and 0 on every token", () => {
  const rollout = { id: "a", tokens: { id: [1, 2] }, steps: { end: [1, 2], mc_correct: [0, 0], mc_total: [0, null] } };
  const [{ tokens, steps }] = credit([rollout], { final_label: "none" });
  expect(steps).toMatchObject({ label_hard: [null, null], reward: [null, null] });
  expect(tokens).toMatchObject({ reward: [0, 0] });
});

test("bad input is refused", () => {
  const good = { id: "a", reward: 1, steps: { mc_correct: [2], mc_total: [8] } };
  expect(() => credit([{ ...good, steps: { mc_correct: [9], mc_total: [8] } }])).toThrow(/"a".*mc_correct/);
  expect(() => credit([{ ...good, steps: { mc_correct: [null], mc_total: [8] } }])).toThrow(/"a".*mc_correct/);
  expect(() => credit([{ ...good, steps: { mc_total: [8] } }])).toThrow(/mc_correct/);
  expect(() => credit([good], { reward_from: "prm" })).toThrow(/steps\.prm/);
  expect(() => credit([{ ...good, reward: null }])).toThrow(/have no reward/);
  expect(() => prmLoss({ scores: [null], label: [1] })).toThrow(InputError);
  expect(() => prmLoss({ scores: [0.5], label: [1, 0] })).toThrow(InputError);
  expect(() => weightedVote({ answers: ["a"], scores: [Number.NaN] })).toThrow(InputError);
});

test("solution scores skip null steps", () => {
  const scores = [0.5, null, 0.8, 0.4];
  expect(prmAggregate({ scores })).toBe(0.4);
  expect(prmAggregate({ scores, form: "product" })).toBeCloseTo(0.16, 12);
  expect(prmAggregate({ scores, form: "last" })).toBe(0.4);
  expect(prmAggregate({ scores: [0.5, null], form: "last" })).toBe(0.5);
  expect(prmAggregate({ scores, form: "mean" })).toBeCloseTo(1.7 / 3, 12);
  expect(prmAggregate({ scores: [null] })).toBeNull();
  expect(prmLoss({ scores: [0.3], label: [null] })).toBe(0);
  expect(weightedVote({ answers: [], scores: [] })).toEqual({ answer: null, weight: 0 });
});
