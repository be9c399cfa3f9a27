import fc from "fast-check";
import { expect, test } from "vitest";
import {
  bmas,
  chartReward,
  iouReward,
  matchingReward,
  thinkAnswerFormat,
} from "../../src/methods/verifier/mixed-r1.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit } from "./credit.ts";
import { mean, sum } from "./plain.ts";

test("an option is matched by its letter, any other answer as text", () => {
  const match = (prediction: string, reference: string) => matchingReward({ prediction, reference });
  expect(["(B) cat", "b.", "B: it", " b", "<answer>(b</answer>"].map((text) => match(text, "(B)"))).toEqual([
    1, 1, 1, 1, 1,
  ]);
  expect(["banana", "c", "", "a b"].map((text) => match(text, "b"))).toEqual([0, 0, 0, 0]);
  expect([match("<answer>no</answer> <answer>\nYES..</answer>", "yes"), match("two  words", "Two words.")]).toEqual([
    1, 1,
  ]);
  expect(match("", "")).toBe(0);
});

test("a number may be off by the tolerance", () => {
  const number = fc.double({ min: 0.1, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(number, fc.double({ min: -0.2, max: 0.2, noNaN: true }), (reference, off) => {
      fc.pre(Math.abs(Math.abs(off) - 0.05) > 1e-6);
      const found = chartReward({ prediction: `${reference * (1 + off)}`, reference: `${reference}` });
      expect(found).toBe(Math.abs(off) <= 0.05 ? 1 : 0);
    }),
  );
  const chart = (prediction: string, reference: string) => chartReward({ prediction, reference });
  expect([chart("$1,050", "1000"), chart("12%", "0.12"), chart("0.0", "0"), chart("Red.", "red")]).toEqual([
    1, 1, 1, 1,
  ]);
  expect([chart("12", "12%"), chart("1e-9", "0"), chart("cat", "3"), chart("", "x")]).toEqual([0, 0, 0, 0]);
});

test("overlap is what counting unit squares gives", () => {
  const corner = fc.integer({ min: 0, max: 6 });
  const box = fc.tuple(corner, corner, corner, corner);
  const squares = ([x1, y1, x2, y2]: number[]) => {
    const found = new Set<string>();
    for (let x = x1; x < x2; x++) for (let y = y1; y < y2; y++) found.add(`${x},${y}`);
    return found;
  };
  fc.assert(
    fc.property(box, box, fc.constantFrom(1, 1e-170, 1e170), (a, b, unit) => {
      const both = [...squares(a)].filter((square) => squares(b).has(square)).length;
      const union = squares(a).size + squares(b).size - both;
      const [prediction, reference] = [a, b].map((corners) => corners.map((x) => x * unit));
      expectNear([iouReward({ prediction, reference })], [union === 0 ? 0 : both / union]);
    }),
  );
  const reference = [0, 0, 2, 2];
  expect(iouReward({ prediction: [1, 0, 3, 2], reference, threshold: 0.3 })).toBe(1);
  for (const prediction of [null, [0, 0, 1], "box", [0, 0, Number.NaN, 1]])
    expect(iouReward({ prediction, reference })).toBe(0);
});

test("BMAS averages the best matches of both sides", () => {
  const entry = fc.integer({ min: -2, max: 2 });
  const tokens = fc.array(fc.tuple(entry, entry), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(tokens, tokens, (prediction, reference) => {
      const norm = (v: readonly number[]) => Math.hypot(...v);
      const cosine = (u: readonly number[], v: readonly number[]) =>
        norm(u) * norm(v) === 0 ? 0 : sum(u.map((x, k) => x * v[k])) / (norm(u) * norm(v));
      const precision = mean(prediction.map((p) => Math.max(...reference.map((r) => cosine(p, r)))));
      const recall = mean(reference.map((r) => Math.max(...prediction.map((p) => cosine(p, r)))));
      const given = { prediction: prediction.map((p) => [...p]), reference: reference.map((r) => [...r]) };
      expectNear(
        [bmas({ ...given, direction: "precision" }), bmas({ ...given, direction: "recall" })],
        [precision, recall],
      );
      expectNear([bmas(given)], [(precision + recall) / 2]);
    }),
  );
  expect(bmas({ prediction: [], reference: [[1]] })).toBe(0);
  expect(() => bmas({ prediction: [[1, 2]], reference: [[1]] })).toThrow(/reference\.0/);
});

test("the format is the regular expression of the card", () => {
  const pattern = /^\s*<think>.*?<\/think>\s*<answer>.*?<\/answer>\s*$/s;
  const piece = fc.constantFrom("<think>", "</think>", "<answer>", "</answer>", " ", "\n", "x");
  const loose = fc.array(piece, { maxLength: 10 }).map((parts) => parts.join(""));
  const near = fc
    .tuple(piece, piece, piece, piece)
    .map(([a, b, c, d]) => `${a}<think>${b}</think>${c}<answer>${d}</answer>`);
  fc.assert(
    fc.property(fc.oneof(loose, near), (text) => {
      expect(thinkAnswerFormat({ text })).toBe(pattern.test(text) ? 1 : 0);
    }),
    { numRuns: 500 },
  );
});

test("the task type has to be a known one, and a null reward counts 0", () => {
  const rollouts = (task_type: string) => [
    { id: "a", group: "g", rewards: { task: null, format: 1 }, signals: { task_type } },
    { id: "b", group: "g", rewards: { task: 1 } },
  ];
  expectNear(credit("mixed-r1", rollouts("iou"), { format_weight: 0.5 }, "rollout.reward"), [0.5, 1]);
  expect(() => credit("mixed-r1", rollouts("boxes"))).toThrow(/matching, chart, iou, open/);
  expect(() => credit("mixed-r1", [{ id: "a" }])).toThrow(/rewards\.task/);
});
