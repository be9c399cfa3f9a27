import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { equalSteps, pathFaithfulnessReward, selectGoldCot, stepWeights } from "../../src/methods/process/p2s.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";
import { credit, warningsOf } from "./credit.ts";

test("step weights rise, sum to 1 and are alike for steepness 0", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.double({ min: 0, max: 50, noNaN: true }), (m, k) => {
      const weights = stepWeights({ m, k });
      expect(weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
      expect(weights.every((w, i) => i === 0 || w >= weights[i - 1])).toBe(true);
      expect(stepWeights({ m, k: 0 })).toEqual(weights.map(() => expect.closeTo(1 / m, 12)));
    }),
  );
  expect(stepWeights({ m: 0 })).toEqual([]);
});

const rollout = fc.record({
  reward: fc.constantFrom(0, 0, 1),
  format_ok: fc.constantFrom(0, 1, 1),
  pfr: fc.array(fc.double({ min: -5, max: 2, noNaN: true }), { maxLength: 3 }),
});

test("the reward of each rollout is the first that applies: format, outcome, process", () => {
  fc.assert(
    fc.property(
      fc.array(rollout, { minLength: 1, maxLength: 5 }),
      fc.constantFrom("hierarchical", "sum"),
      (list, integration) => {
        const rollouts = list.map(({ reward, format_ok, pfr }, i) => ({
          id: `r${i}`,
          group: "q",
          reward,
          signals: { format_ok },
          steps: { pfr },
        }));
        const solved = list.some(({ reward, format_ok }) => reward > 0 && format_ok === 1);
        const expected = list.map(({ reward, format_ok, pfr }) => {
          const weights = stepWeights({ m: pfr.length });
          const process = pfr.reduce((sum, r, k) => sum + weights[k] * r, 0);
          if (format_ok === 0) return { source: "format", value: -2 };
          if (integration === "sum") return { source: "sum", value: reward + 0.5 * process };
          return solved ? { source: "outcome", value: reward } : { source: "process", value: process };
        });
        const params = { integration, process_coef: 0.5, format_penalty: -2 };
        const result = assign(batchFromObjects(rollouts), "p2s", params);
        expect(result.strings("rollout.reward_source")).toEqual(expected.map(({ source }) => source));
        expect([...result.numbers("rollout.reward")]).toEqual(expected.map(({ value }) => expect.closeTo(value, 12)));
      },
    ),
  );
});

test("process rewards are needed only where they decide", () => {
  const solved = { id: "a", group: "q", reward: 1, steps: { prm: [0.5] } };
  const failed = { id: "b", group: "q", reward: 0 };
  expect(credit("p2s", [solved, failed], {}, "rollout.reward")).toEqual([1, 0]);
  expect(() => credit("p2s", [{ ...solved, reward: 0 }])).toThrow(/"a".*steps\.pfr/);
  expect(() => credit("p2s", [{ ...solved, reward: 0, steps: { pfr: [null] } }])).toThrow(/"a".*steps\.pfr.*null/);
  const mixed = [failed, { ...failed, id: "c", steps: { pfr: [0.5] } }];
  expect(credit("p2s", mixed, {}, "rollout.reward")).toEqual([0, 0.5]);
  expect(() => credit("p2s", [{ ...solved, signals: { format_ok: 2 } }])).toThrow(/0 or 1/);
});

test("warns when a raw log-probability falls below the format penalty", () => {
  const rollouts = [
    { id: "a", group: "q", reward: 0, steps: { pfr: [-20] } },
    { id: "b", group: "q", reward: 0, steps: { pfr: [-1] }, signals: { format_ok: 0 } },
  ];
  expect(warningsOf("p2s", rollouts)[0]).toContain('"a"');
  expect(warningsOf("p2s", rollouts, { format_penalty: -30 })).toEqual([]);
});

test("gains are maxima over suffixes", () => {
  const cell = fc.constantFrom(-3, -2, -1, -0.5);
  const matrices = fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 3 })).chain(([rows, columns]) => {
    const matrix = fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), {
      minLength: rows,
      maxLength: rows,
    });
    return fc.tuple(matrix, matrix);
  });
  fc.assert(
    fc.property(matrices, ([suffix_logprob, masked_logprob]) => {
      const gains = suffix_logprob.map((row, i) => row.map((x, t) => x - masked_logprob[i][t]));
      expect(pathFaithfulnessReward({ suffix_logprob, masked_logprob, answer_logprob: -0.25 })).toEqual({
        reward: [...gains.map((row) => Math.max(...row)), -0.25],
        best_suffix: gains.map((row) => row.indexOf(Math.max(...row))),
      });
    }),
  );
  const args = { suffix_logprob: [[-1], [-1, -2]], masked_logprob: [[-1], [-1, -2]], answer_logprob: 0 };
  expect(() => pathFaithfulnessReward(args)).toThrow(InputError);
  expect(() => pathFaithfulnessReward({ ...args, suffix_logprob: [[]], masked_logprob: [[]] })).toThrow(InputError);
});

test("the gold chain is the likeliest well-formed one", () => {
  expect(selectGoldCot({ answer_logprob: [-3, -1, -1], format_ok: [1, 1, 1] })).toBe(1);
  expect(selectGoldCot({ answer_logprob: [-3, -1], format_ok: [0, 0] })).toBe(-1);
  expect(selectGoldCot({ answer_logprob: [-3, -1] })).toBe(1);
  expect(equalSteps({ n: 0 })).toEqual([]);
  expect(equalSteps({ n: 23 })).toEqual([3, 6, 9, 12, 15, 18, 21, 23]);
});
