import fc from "fast-check";
import { expect, test } from "vitest";
import { traceCredit, traceValues } from "../../src/methods/turn/trace.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const logprobs = fc.array(fc.double({ min: -9, max: 0, noNaN: true }), { minLength: 1, maxLength: 9 });

test("with gamma 1 and a full window the credit is the mean change to come, plus the outcome", () => {
  fc.assert(
    fc.property(logprobs, fc.double({ min: -2, max: 2, noNaN: true }), (gt_logprob, outcome_advantage) => {
      const values = traceValues({ gt_logprob });
      const n = values.length - 1;
      const found = traceCredit({ values, outcome_advantage, horizon: 99, gamma: 1, terminal_scale: 2 });
      expect(found).toHaveLength(n);
      found.forEach((c, t) => {
        expect(c).toBeCloseTo((values[n] - values[t]) / (n - t) + 2 * outcome_advantage, 9);
      });
    }),
  );
});

test("values start at 0 and rise with the belief; positive log-probabilities are refused", () => {
  expect(traceValues({ gt_logprob: [-2, -2, -0.5] })).toEqual([0, 0, Math.log(2.1 / 0.6)]);
  expect(() => traceValues({ gt_logprob: [0.1] })).toThrow(InputError);
});

test("without a horizon only the outcome is left, on the last tool turn", () => {
  const found = traceCredit({ values: [0, 1, 2], outcome_advantage: 1, horizon: 0, gamma: 0.5, terminal_scale: 4 });
  expect(found).toEqual([0, 2]);
});

test("a truncated rollout has tool turns only, and needs their beliefs", () => {
  const rollout = (gt_logprob: (number | null)[]) => ({
    id: "a",
    reward: 0,
    signals: { gt_logprob_0: -1, truncated: 1 },
    turns: { gt_logprob },
  });
  expect(credit("trace", [rollout([-1, -0.45])], { horizon: 1 }, "turns.advantage")).toEqual([
    0,
    expect.closeTo(0.2 * Math.log(2), 12),
  ]);
  expect(() => credit("trace", [rollout([-1, null])])).toThrow(/turns\.gt_logprob/);
  expect(credit("trace", [{ id: "b", reward: 1, turns: { gt_logprob: [null] } }])).toEqual([0]);
  expect(() => credit("trace", [{ id: "c", reward: 1, tokens: { id: [1] } }])).toThrow(InputError);
});
