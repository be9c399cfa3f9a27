import fc from "fast-check";
import { expect, test } from "vitest";
import { c2GeneratorLoss, c2Infer, c2Margin, c2SelectPair, c2VerifierReward } from "../../src/methods/preference/c2.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit } from "./credit.ts";

const margin = fc.constantFrom(-2, -1, 0, 0.5, 1, 3, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, null);

test("the pair holds the best helpful and the worst misleading rubric", () => {
  fc.assert(
    fc.property(fc.array(margin, { maxLength: 6 }), fc.constantFrom(-1, 0, 1), (margins, baseMargin) => {
      const known = margins.filter((m) => m !== null);
      const best = Math.max(...known.filter((m) => m > Math.max(0, baseMargin)));
      const worst = Math.min(...known.filter((m) => m < Math.min(0, baseMargin)));
      const both = known.includes(best) && known.includes(worst) && best > 0 && worst < 0;
      const expected = both ? { helpful: margins.indexOf(best), misleading: margins.indexOf(worst) } : null;
      expect(c2SelectPair({ baseMargin, margins })).toEqual(expected);
    }),
  );
  expect(c2Margin({ preferred: "A", logprobs: { A: -1 } })).toBe(Number.POSITIVE_INFINITY);
  expect(c2Margin({ preferred: "A", logprobs: { B: -1 } })).toBe(Number.NEGATIVE_INFINITY);
  expect(c2Margin({ preferred: "A", logprobs: {} })).toBeNull();
});

const free = /^\s*<analyze>(.+?)<\/analyze>\s*<answer>\s*[AB]\s*<\/answer>\s*$/is;
const task =
  /^\s*<analyze>(.+?)<\/analyze>\s*<rubric>\s*(?:helpful|misleading)\s*<\/rubric>\s*<answer>\s*[AB]\s*<\/answer>\s*$/is;

test("the format reward is the regular expression of the source, body without tags", () => {
  const piece = fc.constantFrom(
    ..."<analyze>,</analyze>,<ANSWER>,</answer>,<rubric>,</rubric>,A,b,helpful,misleading, ,\n,x".split(","),
  );
  const shuffled = fc.array(piece, { maxLength: 10 }).map((parts) => parts.join(""));
  const near = fc
    .tuple(piece, piece, fc.constantFrom("", "<rubric>helpful</rubric>"), piece)
    .map(([a, b, rubric, c]) => `<analyze>${a}${b}</analyze>${rubric}<answer> A </answer>${c}`);
  fc.assert(
    fc.property(fc.oneof(shuffled, near), fc.constantFrom("", "helpful" as const), (text, rubricLabel) => {
      const body = (rubricLabel === "" ? free : task).exec(text)?.[1] ?? "";
      const valid = body.trim() !== "" && !/<\/?(analyze|answer|rubric)>/i.test(body);
      expect(c2VerifierReward({ text, target: "A", rubricLabel }).format).toBe(valid ? 1 : -1);
    }),
    { numRuns: 400 },
  );
});

test("the last answer and label count, a bare letter too, and weights mix the three", () => {
  const text = "<answer>B</answer><rubric>Helpful</rubric><answer> a </answer>";
  expect(c2VerifierReward({ text, target: "A", rubricLabel: "helpful" })).toMatchObject({ preference: 1, rubric: 1 });
  expect(c2VerifierReward({ text: " b ", target: "B" })).toMatchObject({ preference: 1, rubric: 0, format: -1 });
  expectNear([c2VerifierReward({ text: "b", target: "B", weights: { format: 1 } }).reward], [0.6 - 1]);
  expect(c2Infer({ augmented: text, fallback: "B" })).toEqual({ answer: "A", fallback: false });
  expect(c2Infer({ augmented: { label: "misleading", answer: "A" }, fallback: "B" })).toEqual({
    answer: "B",
    fallback: true,
  });
});

test("channels that are missing count 0, and one at least has to be there", () => {
  const rollouts = [
    { id: "a", rewards: { preference: 1, format: null } },
    { id: "b", rewards: { rubric: -1 } },
  ];
  expectNear(credit("c2", rollouts, {}, "rollout.verifier_reward"), [0.6, -0.3]);
  expect(() => credit("c2", [{ id: "a" }])).toThrow(/rewards\.preference/);
  const loss = c2GeneratorLoss({ chosen: [-1], rejected: [-3], refChosen: [-2], refRejected: [-2], beta: 0.5 });
  expectNear([loss.loss, loss.accuracy], [Math.log(1 + Math.exp(-1)), 1]);
});
