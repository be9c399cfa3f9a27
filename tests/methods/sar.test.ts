import fc from "fast-check";
import { expect, test } from "vitest";
import {
  alphaSchedule,
  efficientReasonerReward,
  o1PrunerReward,
  selfAlignedReward,
} from "../../src/methods/likelihood/sar.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit } from "./credit.ts";
import { mean, sigma, spread } from "./plain.ts";

const logprob = fc.double({ min: -3, max: 0, noNaN: true });

test("the score is 1 − e^(−mean gain of the tokens), cut at −1", () => {
  const tokens = fc.array(fc.tuple(logprob, logprob), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(tokens, (list) => {
      const table = { logprob: list.map(([q]) => q), logprob_no_prompt: list.map(([, a]) => a) };
      const rollout = [{ id: "a", reward: 0, tokens: table }];
      const gains = credit("sar", rollout, {}, "tokens.sar_gain");
      expectNear(credit("sar", rollout, {}, "rollout.sar"), [Math.max(1 - Math.exp(-mean(gains)), -1)], 1e-8);
    }),
  );
});

test("perplexities beyond a number are compared all the same", () => {
  const rollout = (q: number, a: number) => [{ id: "a", reward: 1, tokens: { logprob: [q], logprob_no_prompt: [a] } }];
  expectNear(credit("sar", rollout(-1000, -1001), {}, "rollout.sar"), [1 - Math.exp(-1)]);
  expectNear(credit("sar", rollout(-1001, -1000), {}, "rollout.reward"), [0.8]);
});

test("the options of the score", () => {
  const ppl = { ppl_given_query: 2, ppl_alone: 8 };
  expectNear([selfAlignedReward(ppl)], [0.75]);
  expectNear([selfAlignedReward({ ...ppl, use_denominator: false })], [6]);
  expectNear([selfAlignedReward({ ...ppl, use_denominator: false, use_comparison: false })], [3]);
  expectNear([selfAlignedReward({ ...ppl, clip_value: 4 })], [0.5]);
  expectNear([selfAlignedReward({ ...ppl, use_log: true, clip_value: 1.5 })], [(1.5 - Math.log(2)) / 1.5]);
  expect(() => selfAlignedReward({ ...ppl, ppl_alone: 0 })).toThrow(/ppl_alone/);
});

test("length rewards are their formulas", () => {
  const responses = fc.array(
    fc.record({ n: fc.integer({ min: 1, max: 50 }), right: fc.constantFrom(0 as const, 1 as const) }),
    {
      minLength: 1,
      maxLength: 6,
    },
  );
  fc.assert(
    fc.property(responses, (group) => {
      const list = group.map(({ n }) => n);
      const correct = group.map(({ right }) => right);
      expectNear(
        o1PrunerReward({ lengths: list }),
        list.map((n) => -Math.min(Math.max((n - mean(list)) / n, -1), 1)),
      );
      const right = list.filter((_, i) => correct[i] === 1);
      expectNear(
        efficientReasonerReward({ lengths: list, correct }),
        list.map((n, i) => {
          if (correct[i] === 0 || right.length < 2) return 0;
          return -2 * (sigma((n - mean(right)) / (spread(right, 0) + 1e-5)) - 0.5);
        }),
      );
    }),
  );
  expect(o1PrunerReward({ lengths: [0, 0] })).toEqual([0, 0]);
});

test("the schedule rises to 1 and falls back", () => {
  const at = (progress: number) => alphaSchedule({ progress, bottom: 0.2, peak_pos: 0.25 });
  expectNear([0, 0.125, 0.25, 0.625, 1].map(at), [0.2, 0.6, 1, 0.6, 0.2]);
  expect(alphaSchedule({ progress: 0.9, decrease: false })).toBe(1);
});
