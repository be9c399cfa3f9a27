import fc from "fast-check";
import { expect, test } from "vitest";
import { opmdLoss, pivotMask, validateReflection } from "../../src/methods/judge/r3l.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit, warningsOf } from "./credit.ts";

const masks = fc.array(fc.constantFrom<0 | 1>(0, 1), { maxLength: 12 });

test("the first policy segments lose their weight, runs of mask 1 where there are no turns", () => {
  fc.assert(
    fc.property(masks, fc.integer({ min: -1, max: 5 }), (mask, pivot) => {
      let segment = 0;
      const expected = mask.map((m, t) => {
        if (m === 1 && (t === 0 || mask[t - 1] === 0)) segment++;
        return m === 1 && segment > pivot ? 1 : 0;
      });
      expect(pivotMask({ mask, pivot })).toEqual(pivot <= 0 ? mask : expected);
      const end = mask.map((_, t) => t + 1);
      expect(pivotMask({ mask, pivot, end })).toEqual(mask.map((m, t) => (t < pivot ? 0 : m)));
    }),
  );
});

const member = fc.record({
  reward: fc.constantFrom(0, 0.25, 0.5, 1),
  role: fc.constantFrom("base", "distill", "retry"),
});

test("advantages are those of the rules, role by role", () => {
  const settings = fc.record({
    alpha: fc.constantFrom(1, 3),
    baseline_kind: fc.constantFrom("mean", "logavgexp"),
    tau: fc.constantFrom(0.5, 2),
    positive_amplification: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(member, { minLength: 1, maxLength: 6 }), settings, (list, p) => {
      const explore = list.filter(({ role }) => role !== "retry").map(({ reward }): number => reward);
      const mean = explore.reduce((a, b) => a + b, 0) / explore.length;
      const soft = p.tau * Math.log(explore.reduce((sum, r) => sum + Math.exp(r / p.tau), 0) / explore.length);
      const b = explore.length < 2 ? 0 : p.baseline_kind === "mean" ? mean : soft;
      const expected = list.map(({ reward, role }) => {
        const a = reward - (role === "retry" ? 0 : b);
        if (!p.positive_amplification) return a;
        if (reward >= 1) return 1;
        return a >= 0 ? p.alpha * a : a;
      });
      const rollouts = list.map(({ reward, role }, i) => ({ id: `r${i}`, group: "q", reward, signals: { role } }));
      expect(credit("r3l", rollouts, p)).toEqual(expected.map((x) => expect.closeTo(x, 12)));
    }),
  );
});

test("turns say where the shared prefix ends; a pivot beyond the last leaves nothing", () => {
  const run = (pivot: number | null, turns: Record<string, number[]> = { end: [2, 3, 4] }) =>
    credit(
      "r3l",
      [{ id: "a", reward: 1, signals: { pivot }, tokens: { mask: [1, 1, 1, 1] }, turns }],
      {},
      "tokens.weight",
    );
  expect(run(2)).toEqual([0, 0, 0, 1]);
  expect(run(2, {})).toEqual([0, 0, 0, 0]);
  expect(run(null)).toEqual([1, 1, 1, 1]);
  expect(run(9)).toEqual([0, 0, 0, 0]);
  expect(() => run(-1)).toThrow(/"a".*signals\.pivot/);
  expect(() => run(0.5)).toThrow(/whole number/);
  expect(() => credit("r3l", [{ id: "a", reward: 1, signals: { role: "other" } }])).toThrow(/"a".*base, distill/);
});

test("warns where a partial success overtakes a full one", () => {
  const rollouts = [0.9, 1, 0, 0].map((reward, i) => ({ id: `r${i}`, group: "q", reward }));
  expect(warningsOf("r3l", rollouts)[0]).toContain('"r0"');
  expect(warningsOf("r3l", rollouts, { max_advantage: 3 })).toEqual([]);
  expect(warningsOf("r3l", rollouts, { positive_amplification: false })).toEqual([]);
});

test("the loss is a token mean over the mask, as lists of tokens or of rollouts", () => {
  const args = { logprob: [[-1, -2], [-3]], advantages: [2, -1], mask: [[1, 0], [1]], tau: 1 };
  expect(opmdLoss(args)).toBeCloseTo((2 * 1 - 1 * 3) / 2 / 2, 6);
  expect(opmdLoss({ ...args, advantages: [[2, 7], [-1]] })).toBeCloseTo(opmdLoss(args), 12);
  const flat = { logprob: [-1, -3], advantages: [2, -1], mask: [1, 1] };
  expect(opmdLoss(flat)).toBeCloseTo(opmdLoss(args), 12);
  const pulled = opmdLoss({ ...flat, ref_logprob: [-2, -3], kl_coef: 0.1 });
  expect(pulled - opmdLoss(flat)).toBeCloseTo((0.1 * 0.5) / 2, 6);
  expect(opmdLoss({ ...flat, mask: [0, 0] })).toBeCloseTo(0, 12);
  expect(() => opmdLoss({ ...flat, mask: [1] })).toThrow(InputError);
  expect(() => opmdLoss({ ...args, advantages: [1] })).toThrow(InputError);
});

test("reflections are usable only when complete and pointing into the run", () => {
  const full = {
    trajectory_summary: "s",
    root_cause_analysis: "c",
    trajectory_outcome: "failure",
    improvement_suggestion: "i",
    retry_from_step: 1,
  };
  const check = (change: object) => validateReflection({ report: { ...full, ...change }, total_steps: 3 });
  const invalid = { valid: 0, perfect: 0, pivot: null };
  expect(check({ trajectory_outcome: "success", retry_from_step: null })).toEqual({
    valid: 1,
    perfect: 1,
    pivot: null,
  });
  for (const step of [2, 2.9, "2", " 2 ", "+2"]) expect(check({ retry_from_step: step }).pivot).toBe(2);
  expect(check({ retry_from_step: -0.5 })).toEqual({ valid: 1, perfect: 0, pivot: 0 });
  for (const step of [3, -1, "2.5", "two", null, true, [1]]) expect(check({ retry_from_step: step })).toEqual(invalid);
  expect(check({ improvement_suggestion: null })).toEqual(invalid);
  expect(check({ trajectory_outcome: "unclear" })).toEqual(invalid);
  const { root_cause_analysis, ...rest } = full;
  expect(root_cause_analysis).toBe("c");
  expect(validateReflection({ report: rest, total_steps: 3 })).toEqual(invalid);
  for (const report of [null, "text", []]) expect(validateReflection({ report, total_steps: 3 })).toEqual(invalid);
});
