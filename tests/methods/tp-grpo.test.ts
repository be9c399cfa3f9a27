import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { mergeThoughts, thoughtAdvantage } from "../../src/methods/judge/tp-grpo.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const labels = fc.array(fc.constantFrom<0 | 1>(0, 1), { minLength: 1, maxLength: 20 });
const number = fc.double({ min: 0, max: 2, noNaN: true });

test("with merging, good thoughts keep the outcome; erroneous ones lose r_c, detours of wrong rollouts get 0", () => {
  fc.assert(
    fc.property(labels, number, fc.double({ min: 0, max: 1, noNaN: true }), (label, outcome, acc) => {
      const forced = label.map((x, k) => (k === label.length - 1 ? 1 : x));
      const right = thoughtAdvantage({ label, correct: true, outcome, acc, alpha: 0.5 });
      const wrong = thoughtAdvantage({ label, correct: false, outcome: -outcome, acc });
      forced.forEach((x, k) => {
        expect(right[k]).toBeCloseTo(x === 1 ? outcome : outcome - 0.5 * acc, 12);
        expect(wrong[k]).toBeCloseTo(x === 1 ? -outcome : 0, 12);
      });
    }),
  );
});

test("without merging every step is paid by itself and returns add up", () => {
  fc.assert(
    fc.property(labels, number, (label, outcome) => {
      const args = { label, correct: true, outcome, acc: 0.25, merge_steps: false, adaptive: false };
      const paid = label.map((x, k) => (k === label.length - 1 ? outcome : x === 1 ? 1 : -1));
      const sums = label.map((_, k) => paid.slice(k).reduce((a, b) => a + b, 0));
      expect(thoughtAdvantage(args)).toEqual(sums.map((x) => expect.closeTo(x, 9)));
    }),
  );
});

test("thoughts are runs of equal labels", () => {
  fc.assert(
    fc.property(labels, (label) => {
      const thought = mergeThoughts({ label });
      label.forEach((x, k) => {
        if (k > 0) expect(thought[k] - thought[k - 1]).toBe(x === label[k - 1] ? 0 : 1);
      });
      expect(thought[0]).toBe(0);
    }),
  );
  expect(mergeThoughts({ label: [] })).toEqual([]);
});

const tokens = { id: [1, 2], mask: [1, 1] };
const right = { id: "a", group: "q", reward: 1, tokens, steps: { end: [1, 2], valid: [0, 1] } };
const wrong = { id: "b", group: "q", reward: -1, tokens, steps: { end: [1, 2], adopted: [0, 1] } };

test("rollouts without labels or steps get the normalised outcome; labels of the other kind are ignored", () => {
  const unit = Math.SQRT2 / 2;
  const close = (x: number) => expect.closeTo(x, 3);
  const other = { ...right, steps: { end: [1, 2], adopted: [7, null] } };
  const bare = { ...wrong, steps: undefined };
  expect(credit("tp-grpo", [right, { ...wrong, steps: { end: [1, 2] } }], {}, "tokens.advantage")).toEqual(
    [unit - 0.5, unit, -unit, -unit].map(close),
  );
  const { steps, ...plain } = bare;
  expect(steps).toBeUndefined();
  expect(credit("tp-grpo", [other, plain], {}, "tokens.advantage")).toEqual([unit, unit, -unit, -unit].map(close));
});

test("kept marks rollouts with a process reward; alone or all wrong nothing is left of a wrong rollout", () => {
  const result = assign(batchFromObjects([wrong, { ...wrong, id: "c" }]), "tp-grpo");
  expect([...result.numbers("rollout.kept")]).toEqual([0, 0]);
  expect([...result.numbers("tokens.advantage")]).toEqual([0, 0, 0, 0]);
  expect(credit("tp-grpo", [{ ...right, group: "alone" }], {}, "tokens.advantage")).toEqual([-1, 0]);
  expect(credit("tp-grpo", [{ ...right, group: "alone" }], {}, "rollout.kept")).toEqual([1]);
});

test("bad labels are refused", () => {
  const run = (valid: (number | null)[]) => credit("tp-grpo", [{ ...right, steps: { end: [1, 2], valid } }]);
  expect(() => run([2, 1])).toThrow(/"a".*0 or 1, got 2/);
  expect(() => run([null, 1])).toThrow(/"a".*0 or 1, got null/);
});
