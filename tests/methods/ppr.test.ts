import fc from "fast-check";
import { expect, test } from "vitest";
import { judgeRatio, parseFinalScore, renorm } from "../../src/methods/turn/ppr.ts";
import { credit, expectTwoPass, warningsOf } from "./credit.ts";

const share = fc.option(fc.double({ min: -0.5, max: 1.5, noNaN: true }));

test("ReNorm makes the sign of every process reward follow the outcome", () => {
  fc.assert(
    fc.property(fc.array(share), fc.constantFrom(0, 1), (process, outcome) => {
      const rewards = renorm({ process, outcome });
      expect(rewards).toHaveLength(process.length + 1);
      for (const r of rewards) expect(outcome === 1 ? r >= 0 && r <= 1 : r <= 0 && r >= -1).toBe(true);
    }),
  );
});

test("judge replies", () => {
  expect(parseFinalScore({ text: "<final_score>1,6</final_score> … <final_score>5,6</final_score>" })).toEqual({
    score: 5,
    max_score: 6,
  });
  expect(parseFinalScore({ text: "<final_score>five,6</final_score>" })).toBeNull();
  const ratios = [
    [3, 6],
    [7, 6],
    [-1, 6],
    [0, 0],
    [null, 6],
  ] as const;
  expect(ratios.map(([score, max_score]) => judgeRatio({ score, max_score }))).toEqual([0.5, null, null, null, null]);
});

const turn = { end: [2, 3], prm: [0.5, null] };
const rollouts = [
  {
    id: "a",
    reward: 1,
    tokens: { id: [1, 2, 3], old_logprob: [-1, -1, -1], ref_logprob: [-1.5, -1, -2] },
    turns: turn,
  },
  { id: "b", reward: 0, tokens: { id: [1, 2, 3], old_logprob: [-2, -1, -1], ref_logprob: [-1, -1, -1] }, turns: turn },
];

test("the KL estimate is taken off every policy token", () => {
  const p = { kl_coef: 0.5, whiten_advantage: false };
  expect(credit("ppr", rollouts, p, "tokens.reward")).toEqual([-0.25, 0.5, 0.5, 0.5, -0.5, 0]);
});

test("two passes over pieces give what one call gives", () => {
  expectTwoPass("ppr", rollouts, [[1], [0]], {});
});

test("outcomes outside 0 to 1 are allowed with a warning, a single policy token is whitened to 0", () => {
  const one = [{ id: "a", reward: 2, tokens: { id: [1] }, turns: { end: [1] } }];
  expect(warningsOf("ppr", one)).toHaveLength(1);
  expect(credit("ppr", one, {}, "tokens.advantage")).toEqual([0]);
  expect(credit("ppr", [{ id: "a", reward: 1, turns: { prm: [0.25, 9] } }], {}, "turns.reward")).toEqual([0.25, 1]);
});
