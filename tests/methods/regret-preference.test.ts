import fc from "fast-check";
import { expect, test } from "vitest";
import {
  regretLabel,
  regretLoss,
  regretModelLoss,
  regretPreference,
  regretScaledReturn,
  regretValueIteration,
} from "../../src/methods/preference/regret-preference.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit, warningsOf } from "./credit.ts";
import { sigma, sum } from "./plain.ts";

const number = fc.double({ min: -3, max: 3, noNaN: true });

test("undiscounted regret is V(start) − (return + V(end)), whatever lies between", () => {
  const turns = fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(turns, number, (list, end_value) => {
      const [reward, value] = [list.map(([r]) => r), list.map(([, v]) => v)];
      const rollout = [{ id: "a", turns: { reward, value }, signals: { end_value } }];
      const regret = value[0] - (sum(reward) + end_value);
      expectNear(credit("regret-preference", rollout, {}, "rollout.regret"), [regret]);
      expectNear([sum(credit("regret-preference", rollout, {}, "turns.advantage"))], [-regret]);
    }),
  );
});

/** A random table of states and actions, state 0 terminal. */
const tables = fc.integer({ min: 2, max: 4 }).chain((states) =>
  fc
    .array(fc.array(fc.tuple(fc.nat(states - 1), number), { minLength: 2, maxLength: 2 }), {
      minLength: states,
      maxLength: states,
    })
    .map((rows) => ({
      next: rows.map((actions) => actions.map(([to]) => to)),
      reward: rows.map((actions) => actions.map(([, r]) => r)),
      terminal: rows.map((_, s) => Number(s === 0)),
      gamma: 0.8,
    })),
);

test("values satisfy Bellman's equation, and the optimal actions have no regret", () => {
  fc.assert(
    fc.property(tables, (table) => {
      const { V, Q } = regretValueIteration(table);
      V.forEach((v, s) => {
        const backed = table.next[s].map((to, a) => (s === 0 ? 0 : table.reward[s][a] + table.gamma * V[to]));
        expectNear(Q[s], backed);
        expectNear([v], [s === 0 ? 0 : Math.max(...backed)], 1e-8);
        // One step from s by each action: the regret of the best is 0, that of the other its distance from it.
        table.next[s].forEach((to, a) => {
          if (s === 0) return;
          const segment = { turns: { reward: [table.reward[s][a]], value: [v] }, signals: { end_value: V[to] } };
          const [regret] = credit(
            "regret-preference",
            [{ id: "a", ...segment }],
            { gamma: table.gamma },
            "rollout.regret",
          );
          expectNear([regret], [Math.max(...Q[s]) - Q[s][a]], 1e-8);
        });
      });
    }),
  );
  expect(regretValueIteration({ next: [[0]], reward: [[1]] }).warning).toMatch(/100000 sweeps/);
  const named = regretValueIteration({ next: [[1], [0], [1]], reward: [[1], [5], [2]], terminal: [1] });
  expect(named.V).toEqual([1, 0, 2]);
});

test("preferences by regret and by partial return lean opposite ways on the statistic", () => {
  fc.assert(
    fc.property(number, number, (stat1, stat2) => {
      const given = { stat1, stat2, scale: 2 };
      expectNear([regretPreference(given)], [sigma(2 * (stat2 - stat1))]);
      expectNear([regretPreference({ ...given, model: "partial_return" })], [sigma(2 * (stat1 - stat2))]);
      const [first] = regretLabel({ stat1, stat2 });
      expect(first).toBe(stat1 === stat2 ? 0.5 : Number(stat1 < stat2));
      expectNear(
        [regretLoss({ probs: [sigma(stat1)], labels: [[0.25, 0.75]] })],
        [-0.25 * Math.log(sigma(stat1)) - 0.75 * Math.log(1 - sigma(stat1))],
      );
    }),
  );
});

test("with one candidate policy the regret model is a linear score", () => {
  const vector = fc.tuple(number, number);
  fc.assert(
    fc.property(fc.array(vector, { minLength: 6, maxLength: 6 }), vector, (v, w) => {
      const segment = (k: number) => ({ phi: [...v[k]], psi_start: [[...v[k + 1]]], psi_end: [[...v[k + 2]]] });
      const dot = (x: readonly number[]) => x[0] * w[0] + x[1] * w[1];
      const score = (k: number) => dot(v[k]) + dot(v[k + 2]) - dot(v[k + 1]);
      const { loss, probs } = regretModelLoss({ segments: [[segment(0), segment(3)]], w: [...w], labels: [[1, 0]] });
      expectNear(probs, [sigma(score(0) - score(3))]);
      expectNear([loss], [-Math.log(sigma(score(0) - score(3)))], 1e-7);
    }),
  );
  // Of several policies the best one counts when the temperature is small.
  const many = { phi: [0], psi_start: [[1], [3]], psi_end: [[2], [0]] };
  const none = { phi: [0], psi_start: [[0]], psi_end: [[0]] };
  expectNear(regretModelLoss({ segments: [[many, none]], w: [1], labels: [[1, 0]] }).probs, [sigma(-1)]);
});

test("values that are not optimal are pointed out, and returns are scaled between two policies", () => {
  const better = [{ id: "a", turns: { reward: [1], value: [0] } }];
  expect(warningsOf("regret-preference", better)).toEqual([expect.stringMatching(/1 turns have negative regret/)]);
  expect(regretScaledReturn({ value: [1, 3], optimal: 4, uniform: [0, 0] })).toBe(0.5);
  expect(regretScaledReturn({ value: 1, optimal: 4, uniform: 4 })).toBeNull();
});
