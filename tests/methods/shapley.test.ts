import fc from "fast-check";
import { expect, test } from "vitest";
import {
  leaveOneOut,
  owenExact,
  shapleyExact,
  shapleyPermutation,
} from "../../src/methods/counterfactual/coalitions.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const games = fc.integer({ min: 0, max: 5 }).chain((n) =>
  fc.record({
    n: fc.constant(n),
    values: fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 2 ** n, maxLength: 2 ** n }),
  }),
);

function orders(n: number): number[][] {
  if (n === 0) return [[]];
  return orders(n - 1).flatMap((order) => Array.from({ length: n }, (_, at) => order.toSpliced(at, 0, n - 1)));
}

const near = (actual: readonly number[], expected: readonly number[]) => {
  expect(actual.length).toBe(expected.length);
  for (const [p, x] of expected.entries()) expect(actual[p]).toBeCloseTo(x, 12);
};

test("exact, all orders, unions of one and one union agree; the credits add up to the whole", () => {
  fc.assert(
    fc.property(games, ({ n, values }) => {
      const exact = shapleyExact({ n, values });
      near(shapleyPermutation({ n, values, permutations: orders(n) }), exact);
      near(owenExact({ n, values, unions: Array.from({ length: n }, (_, p) => [p]) }), exact);
      near(owenExact({ n, values, unions: [Array.from({ length: n }, (_, p) => p)] }), exact);
      expect(exact.reduce((a, b) => a + b, 0)).toBeCloseTo(n === 0 ? 0 : values[values.length - 1] - values[0], 12);
    }),
  );
});

test("Owen's value is the mean over the orders in which unions stay together", () => {
  fc.assert(
    fc.property(games, fc.array(fc.nat(2), { minLength: 5, maxLength: 5 }), ({ n, values }, labels) => {
      const union = labels.slice(0, n);
      const unions = [0, 1, 2].map((u) => union.flatMap((label, p) => (label === u ? [p] : [])));
      const together = orders(n).filter((order) => {
        const seen = order.map((p) => union[p]).filter((u, k, all) => k === 0 || u !== all[k - 1]);
        return new Set(seen).size === seen.length;
      });
      near(owenExact({ n, values, unions }), shapleyPermutation({ n, values, permutations: together }));
    }),
  );
});

test("truncation stops an order once the coalition is worth nearly all", () => {
  const values = [0, 0.95, 0, 1];
  expect(shapleyPermutation({ n: 2, values, permutations: [[0, 1]], truncate_tol: 0.1 })).toEqual([0.95, 0]);
  expect(leaveOneOut({ n: 2, values })).toEqual([1, 1 - 0.95]);
});

test("games, orders and unions that do not fit are refused", () => {
  const values = [0, 1, 1, 2];
  const bad = [
    () => shapleyExact({ n: 2, values: [0, 1] }),
    () => shapleyExact({ n: 1, values: [0, Number.NaN] }),
    () => shapleyPermutation({ n: 2, values, permutations: [[0, 0]] }),
    () => shapleyPermutation({ n: 2, values, permutations: [[0, 2]] }),
    () => shapleyPermutation({ n: 2, values, permutations: [] }),
    () => owenExact({ n: 2, values, unions: [[0, 1], [1]] }),
    () => owenExact({ n: 2, values, unions: [[0]] }),
    () => owenExact({ n: 2, values, unions: [[0, 5]] }),
  ];
  for (const call of bad) expect(call).toThrow(InputError);
});

test("sharp: an agent's reward is a sum of means over its turns, compared with the agent in other rollouts", () => {
  const rollouts = [
    { reward: 1, agent: ["p", "w", "p"], shapley: [0.2, 0.5, 0.4], process: [null, 1, 0.5] },
    { reward: 0, agent: ["p"], shapley: [0.1], process: [null] },
    { reward: 1, agent: ["w"], shapley: [0.3], process: [0] },
  ].map(({ reward, agent, shapley, process }, i) => ({
    id: `${i}`,
    group: "g",
    reward,
    turns: { agent, shapley, reward: process },
  }));
  const weights = { broadcast_weight: 2, credit_weight: 3, process_weight: 4 };
  const final = credit("shapley", rollouts, weights, "turns.final_reward");
  near(final, [2 + 0.9 + 2, 2 + 1.5 + 4, 2 + 0.9 + 2, 0.3, 2 + 0.9]);
  const centred = credit("shapley", rollouts, { ...weights, norm_by_std: false }, "turns.advantage");
  near(centred, [2.3, 2.3, 2.3, -2.3, -2.3]);
});

test("share: the credit of a turn, the rest of the outcome at the end; a rollout without credit is refused", () => {
  const one = [{ id: "a", reward: 2, turns: { shapley: [1, 0.5] } }];
  near(credit("shapley", one, { mode: "share", mix: 0.5, gamma: 0.5 }, "turns.redistributed_reward"), [0.5, 1.25]);
  near(credit("shapley", one, { mode: "share", mix: 0.5, gamma: 0.5 }, "turns.advantage"), [1.125, 1.25]);
  const without = [{ id: "a", reward: 2, turns: { agent: ["x"] } }];
  expect(() => credit("shapley", without, {}, "turns.credit")).toThrow(/turns\.reward_without/);
});
