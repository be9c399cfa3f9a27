import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import {
  buildInterventionTarget,
  interventionSftLoss,
  numberSteps,
  parseIntervention,
  passAtK,
  selectInterventions,
} from "../../src/methods/judge/int.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const piece = fc.constantFrom(
  "x = 2",
  "\\frac{1}{2}",
  'say "so"',
  "it's",
  "\n",
  " location 7 ",
  "\\sqrt",
  "é",
  "{",
  ",",
);
const contents = fc.array(piece, { maxLength: 6 }).map((list) => list.join(""));

test("a block written as JSON is read back, whatever it holds", () => {
  fc.assert(
    fc.property(contents, fc.integer({ min: 1, max: 99 }), (content, location) => {
      const block = `<intervention>\n${JSON.stringify({ content, location })}\n</intervention>`;
      expect(parseIntervention({ text: `thought <intervention>{}</intervention> ${block} end` })).toEqual({
        content,
        location,
      });
    }),
  );
});

test("blocks are read leniently, but not without block, key or number", () => {
  const parse = (inside: string) => parseIntervention({ text: `<intervention>${inside}</intervention>` });
  expect(parse(`{"content": "he said "no" and \\alpha", "location": "Substep7"}`)).toEqual({
    content: 'he said "no" and \\alpha',
    location: 7,
  });
  expect(parse(`{'content': 'don\\'t', 'location': -1}`)).toEqual({ content: "don't", location: -1 });
  expect(parse(`{"content": "", "location": 0}`)).toEqual({ content: "", location: 0 });
  expect(parse(`{"location": 2}`)).toBeNull();
  expect(parse(`{"content": "x"}`)).toBeNull();
  expect(parse(`{"content": "x", "location": "none"}`)).toBeNull();
  expect(parseIntervention({ text: `<intervention>{"content": "x", "location": 1}` })).toBeNull();
});

test("targets keep the steps before the location and double the breaks of the content", () => {
  const attempt = "a\n\nb\n\nc";
  expect(buildInterventionTarget({ attempt, content: "x\ny", location: 1 })).toBe("x\n\ny");
  expect(buildInterventionTarget({ attempt, content: "x\n\ny", location: 9 })).toBe("a\n\nb\n\nc\n\nx\n\n\n\ny");
  expect(numberSteps({ text: attempt })).toBe("**Substep 1:** a\n\n**Substep 2:** b\n\n**Substep 3:** c");
  expect(() => buildInterventionTarget({ attempt, content: "x", location: 0 })).toThrow(InputError);
});

test("pass@k is the share of draws of k attempts that hold a right one", () => {
  const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(20), fc.nat(20), (n, a, b) => {
      const [c, k] = [a % (n + 1), (b % n) + 1];
      expect(passAtK({ n, c, k })).toBeCloseTo(1 - (n - c < k ? 0 : choose(n - c, k) / choose(n, k)), 12);
    }),
  );
  expect(() => passAtK({ n: 2, c: 3, k: 1 })).toThrow(InputError);
});

test("losses are means or sums over prefix and intervention", () => {
  const args = { prefix_logprobs: [-1], intervention_logprobs: [-2, -3] };
  expect(interventionSftLoss(args)).toBe(2);
  expect(interventionSftLoss({ ...args, reduction: "sum" })).toBe(6);
  expect(interventionSftLoss({ prefix_logprobs: [], intervention_logprobs: [] })).toBe(0);
  expect(() => interventionSftLoss({ prefix_logprobs: [0.5], intervention_logprobs: [] })).toThrow(InputError);
});

test("a row that leaks, repeats an attempt or never succeeds is not selected", () => {
  const row = { problem: 1, attempt: 1, answer: 12, content: "try again", guided_scores: [0, 1] };
  const rows = [{ ...row, content: "it is 12" }, row, row, { ...row, attempt: 2, guided_scores: [0.5] }];
  expect(selectInterventions({ rows })).toEqual([1]);
});

const failed = { id: "a", reward: 0, tokens: { id: [1, 2, 3, 4], mask: [1, 0, 1, 1] }, steps: { end: [2, 4] } };
const weights = (rollout: object, params = {}) => credit("int", [{ ...failed, ...rollout }], params, "tokens.weight");

test("the policy tokens before the step are trained, if the intervention is kept", () => {
  const signals = { intervention_step: 2, guided_successes: 1 };
  expect(weights({ signals })).toEqual([1, 0, 0, 0]);
  expect(weights({ signals: { ...signals, intervention_step: 3 } })).toEqual([1, 0, 1, 1]);
  expect(weights({ signals: { ...signals, intervention_step: 1 } })).toEqual([0, 0, 0, 0]);
  expect(weights({ signals }, { clone_prefix: false })).toEqual([0, 0, 0, 0]);
  expect(weights({ signals }, { min_successes: 2 })).toEqual([0, 0, 0, 0]);
  expect(weights({ signals: { ...signals, answer_leak: 1 } })).toEqual([0, 0, 0, 0]);
  expect(weights({ signals: { intervention_step: 2 } }, { min_successes: 0 })).toEqual([1, 0, 0, 0]);
  expect(weights({ signals, reward: 1 })).toEqual([0, 0, 0, 0]);
});

test("roles say what stands before, at and after the step", () => {
  const role = (intervention_step: number | null) => {
    const rollout = { ...failed, signals: { intervention_step } };
    return assign(batchFromObjects([rollout]), "int").strings("steps.role");
  };
  expect(role(2)).toEqual(["prefix", "error"]);
  expect(role(1)).toEqual(["error", "suffix"]);
  expect(role(9)).toEqual(["prefix", "prefix"]);
  expect(role(null)).toEqual(["none", "none"]);
  expect(role(-1)).toEqual(["none", "none"]);
});

test("a location needs steps to point into", () => {
  expect(() => weights({ steps: {}, signals: { intervention_step: 2 } })).toThrow(/"a".*steps\.end/);
  expect(() => weights({ signals: { intervention_step: 1.5 } })).toThrow(/"a".*whole number/);
  expect(weights({ tokens: { id: [] }, steps: {}, signals: { intervention_step: 1, guided_successes: 1 } })).toEqual(
    [],
  );
});
