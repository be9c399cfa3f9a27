import fc from "fast-check";
import { expect, test } from "vitest";
import {
  emaStdThreshold,
  probabilityReward,
  repetitionPenalty,
  shapeReward,
} from "../../src/methods/likelihood/rlpr.ts";
import type { RolloutObject } from "../../src/rollouts/index.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit, warningsOf } from "./credit.ts";
import { groupNormalised, mean, spread } from "./plain.ts";

const logprob = fc.double({ min: -4, max: 0, noNaN: true });
const answer = fc.array(fc.tuple(logprob, logprob), { maxLength: 4 });
const rollouts = fc
  .array(
    fc.record({
      answer,
      format: fc.constantFrom(0, 1, undefined),
      span: fc.constantFrom(0, 1, undefined),
      repetition: fc.constantFrom(0, -1),
      group: fc.constantFrom("p", "q", "r"),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((list) => list.map((one, i) => ({ id: `r${i}`, ...one })));

test("is the definition, with plain lists", () => {
  fc.assert(
    fc.property(rollouts, fc.constantFrom(0, 0.3), (list, std_threshold) => {
      const given: RolloutObject[] = list.map(({ id, group, answer, format, span, repetition }) => {
        const signals = { repetition, ...(format === undefined ? {} : { format_ok: format }) };
        const reference = { logprob: answer.map(([b]) => b), base_logprob: answer.map(([, a]) => a) };
        return { id, group, signals: span === undefined ? signals : { ...signals, span_ok: span }, reference };
      });
      const rewards = list.map(({ answer, format = 1, span = format, repetition }) => {
        const f = (of: number[]) => (of.length === 0 ? 0 : mean(of.map(Math.exp)));
        const b = span === 1 ? f(answer.map(([x]) => x)) : 0;
        const r = 0.9 * Math.max(b - f(answer.map(([, x]) => x)), 0) + 0.1 * format;
        return r === 0 ? r : r + repetition;
      });
      expectNear(credit("rlpr", given, {}, "rollout.reward"), rewards);
      const groups = list.map(({ group }) => group);
      const stds = groups.map((group) => {
        const pool = rewards.filter((_, j) => groups[j] === group);
        return pool.length === 1 ? 1 : spread(pool);
      });
      fc.pre(stds.every((std) => Math.abs(std - std_threshold) > 1e-9 && !(std > 1e-12 && std < 2e-6)));
      const plain = groupNormalised(rewards, groups, 1e-6, (x) => x / (1 + 1e-6));
      const expected = plain.map((a, i) => (stds[i] >= std_threshold && stds[i] >= 1e-6 ? a : 0));
      expectNear(credit("rlpr", given, { std_threshold }), expected, 1e-6);
      expect(credit("rlpr", given, { std_threshold }, "rollout.keep")).toEqual(
        stds.map((std) => Number(std >= std_threshold)),
      );
    }),
  );
});

test("aggregators and shapings are their formulas", () => {
  const logprobs = [Math.log(0.5), Math.log(0.25)];
  expectNear([probabilityReward({ logprobs, aggregator: "seq_prob" })], [0.125]);
  expectNear([probabilityReward({ logprobs, aggregator: "geo_prob" })], [Math.sqrt(0.125)]);
  expectNear([probabilityReward({ logprobs, aggregator: "mean_log_prob" })], [Math.log(0.125) / 2]);
  expectNear([probabilityReward({ logprobs })], [0.375]);
  expectNear([shapeReward({ x: -0.5, shaping: "leaky" }), shapeReward({ x: 0.5, shaping: "leaky" })], [-0.005, 0.5]);
  expectNear([shapeReward({ x: 0.2, threshold: 0.3 }), shapeReward({ x: -1, shaping: "identity" })], [0, -1]);
  expectNear(
    [shapeReward({ x: 0.5, shaping: "sigmoid" }), shapeReward({ x: 0, shaping: "sigmoid", k: 0 })],
    [0.5, 0.5],
  );
});

test("round_bf16 keeps eight bits of the score", () => {
  const one = (lp: number) => [{ id: "a", reference: { logprob: [lp] } }];
  fc.assert(
    fc.property(logprob, (lp) => {
      const [exact] = credit("rlpr", one(lp), {}, "rollout.pr");
      const [rounded] = credit("rlpr", one(lp), { round_bf16: true }, "rollout.pr");
      const unit = 2 ** (Math.floor(Math.log2(exact)) - 7);
      expect(Number.isInteger(rounded / unit)).toBe(true);
      expect(Math.abs(rounded - exact)).toBeLessThanOrEqual(unit / 2);
    }),
  );
});

test("repetition is seen in any window, and underscores separate words", () => {
  const phrase = "one two_three ";
  expect(repetitionPenalty({ text: phrase.repeat(5), window: 3, limit: 5 })).toBe(-1);
  expect(repetitionPenalty({ text: phrase.repeat(5), window: 3, limit: 6 })).toBe(0);
  expect(repetitionPenalty({ text: ` ${phrase}`, window: 3, limit: 1 })).toBe(0);
});

test("the threshold is a running mean", () => {
  expect(emaStdThreshold({ history: [1, 2, 3, 4] })).toBe(0);
  expectNear([emaStdThreshold({ history: [1, 1, 1, 1, 1, 2, 3], beta: 2, ratio: 0.5 })], [2 * (3 / 2 + 1.5 / 2)]);
});

test("a reference that was not scored is an error, or an empty answer where the base is known", () => {
  expect(() => credit("rlpr", [{ id: "a", tokens: { id: [1] } }])).toThrow(/reference\.logprob/);
  expect(() => credit("rlpr", [{ id: "a", reference: { logprob: [0.1] } }])).toThrow(/at most 0/);
  const known = [{ id: "a", signals: { base_score: 0.5 } }];
  expectNear(credit("rlpr", known, {}, "rollout.reward"), [0.1]);
  expect(warningsOf("rlpr", known)).toHaveLength(1);
});
