import fc from "fast-check";
import { expect, test } from "vitest";
import { slateObjective } from "../../src/methods/judge/slate.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const candidates = fc
  .array(fc.constantFrom(-2, -1, 0, 1, 2), { minLength: 1, maxLength: 6 })
  .map((scores) => scores.map((r, i) => ({ id: `c${i}`, group: "q", turns: { state: ["s"], reward: [r] } })));

test("advantages sum to 0 and the choice is a distribution that prefers the better", () => {
  fc.assert(
    fc.property(candidates, fc.constantFrom(0, 0.3, 5), (list, eta) => {
      const a = credit("slate", list, { eta }, "turns.advantage");
      const p = credit("slate", list, { eta }, "turns.select_prob");
      expect(a.reduce((x, y) => x + y, 0)).toBeCloseTo(0, 9);
      expect(p.reduce((x, y) => x + y, 0)).toBeCloseTo(1, 12);
      const best = a.indexOf(Math.max(...a));
      if (eta === 0) expect(p.map((x) => x === 1)).toEqual(a.map((_, k) => k === best));
      else expect(p[best]).toBe(Math.max(...p));
    }),
  );
});

test("answers at the first decision earn the whole bonus; the column may count from 1", () => {
  const answer = (step: number) => [{ id: "a", turns: { step: [step], r_answer: [1] } }];
  expect(credit("slate", answer(0), {}, "turns.reward")[0]).toBeCloseTo(1.1, 12);
  expect(credit("slate", answer(1), {}, "turns.reward")[0]).toBeCloseTo(1.075, 12);
  expect(credit("slate", answer(1), { step_base: 1 }, "turns.reward")[0]).toBeCloseTo(1.1, 12);
});

test("a candidate is a search or an answer", () => {
  expect(() => credit("slate", [{ id: "a", turns: { r_query: [1], r_answer: [1] } }])).toThrow(InputError);
  expect(() => credit("slate", [{ id: "a", turns: { state: ["s"] } }])).toThrow(/r_think/);
});

test("the objective clips gains, not losses, and refuses what is not finite", () => {
  const at = (a: number, log_ratio: number, reduce: "mean" | "sum" = "mean") =>
    slateObjective({ advantages: [[a], [a]], log_ratios: [[log_ratio], [log_ratio]], reduce });
  expect(at(1, 5)).toBe(1.2);
  expect(at(-1, -5)).toBe(-0.8);
  expect(at(-1, Math.log(3), "sum")).toBeCloseTo(-6, 12);
  expect(at(1, 1e5)).toBe(1.2);
  expect(() => at(-1, 1e5)).toThrow(InputError);
});
