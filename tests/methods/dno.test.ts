import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import {
  dnoExploitability,
  dnoIterate,
  dnoLoss,
  dnoPairs,
  dnoPrctLoss,
  dnoReplay,
  dnoReward,
  dnoTarget,
} from "../../src/methods/preference/dno.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { slopes, sum } from "./plain.ts";

const share = fc.double({ min: 0.05, max: 1, noNaN: true });
/** A policy and a preference over as many responses. */
const games = fc.integer({ min: 2, max: 4 }).chain((n) =>
  fc
    .record({
      weights: fc.array(share, { minLength: n, maxLength: n }),
      above: fc.array(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: n, maxLength: n }), {
        minLength: n,
        maxLength: n,
      }),
    })
    .map(({ weights, above }) => ({
      policy: weights.map((w) => w / sum(weights)),
      preference: above.map((row, i) => row.map((p, j) => (i === j ? 0.5 : i < j ? p : 1 - above[j][i]))),
    })),
);

test("win rates count each other scored candidate once, ties by half", () => {
  const scores = fc.array(fc.tuple(fc.constantFrom("p", "q"), fc.option(fc.integer({ min: 0, max: 3 }))), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(scores, (list) => {
      fc.pre(list.some(([, score]) => score !== null));
      const rollouts = list.map(([group, judge_score], i) => ({ id: `r${i}`, group, signals: { judge_score } }));
      const found = assign(batchFromObjects(rollouts), "dno").cells("rollout.win_rate");
      list.forEach(([group, score], i) => {
        if (score === null) {
          expect(found[i]).toBeNull();
          return;
        }
        const others = list.flatMap(([g, s], j) => (g === group && j !== i && s !== null ? [s] : []));
        const wins = sum(others.map((s) => (s < score ? 1 : s === score ? 0.5 : 0)));
        expectNear([found[i] as number], [others.length === 0 ? 0.5 : wins / others.length]);
      });
    }),
  );
});

test("the target wins against the policy by at least one half, and the regression is at rest there", () => {
  fc.assert(
    fc.property(games, ({ policy, preference }) => {
      const rewards = dnoReward({ policy, preference });
      expectNear([sum(policy.map((p, y) => p * rewards[y]))], [0.5]);
      const target = dnoTarget({ policy, rewards, eta: 0.5 });
      expectNear([sum(target)], [1]);
      expect(sum(target.map((p, y) => p * rewards[y]))).toBeGreaterThanOrEqual(0.5 - 1e-12);
      // All pairs of responses: the loss has slope 0 at log(target / policy), the solution of the regression.
      const all = policy.flatMap((_, i) => policy.map((_, j) => [i, j]));
      const loss = (ratio: readonly number[]) =>
        dnoLoss({
          ratio1: all.map(([i]) => ratio[i]),
          ratio2: all.map(([, j]) => ratio[j]),
          reward1: all.map(([i]) => rewards[i]),
          reward2: all.map(([, j]) => rewards[j]),
          eta: 0.5,
        });
      const solution = target.map((p, y) => Math.log(p / policy[y]));
      expectNear(
        slopes(loss, solution),
        policy.map(() => 0),
        1e-8,
      );
    }),
  );
});

test("with tau the reference is mixed in, and with tau = eta it takes the place of the policy", () => {
  const given = { policy: [0.5, 0.5], rewards: [1, 0], eta: 0.5, ref: [0.9, 0.1] };
  expectNear(dnoTarget({ ...given, tau: 0.5 }), dnoTarget({ ...given, policy: given.ref }));
  expect(() => dnoTarget({ ...given, tau: 0.6 })).toThrow(/tau/);
  expect(() => dnoTarget({ ...given, policy: [1, 0] })).toThrow(/above 0/);
});

test("only the average converges in a cyclic game; a transitive one is won by the better arm", () => {
  const preference = [
    [0.5, 0.9, 0.2],
    [0.1, 0.5, 0.8],
    [0.8, 0.2, 0.5],
  ];
  const { average, last, improvement } = dnoIterate({ preference, eta: 1, steps: 200, policy: [0.6, 0.3, 0.1] });
  expect(dnoExploitability({ policy: average, preference })).toBeLessThan(0.03);
  expect(dnoExploitability({ policy: last, preference })).toBeGreaterThan(0.1);
  expect(Math.min(...improvement)).toBeGreaterThanOrEqual(0.5);
  const transitive = [
    [0.5, 0.9],
    [0.1, 0.5],
  ];
  expect(dnoIterate({ preference: transitive, eta: 0.1, steps: 50 }).last[0]).toBeGreaterThan(0.99);
});

test("pairs are those with a large margin", () => {
  const score = fc.option(fc.integer({ min: 0, max: 6 }));
  const candidates = fc.array(fc.tuple(score, fc.constantFrom("gold" as const, "policy" as const)), { maxLength: 6 });
  fc.assert(
    fc.property(candidates, fc.boolean(), (list, restrictive) => {
      const pairs = dnoPairs({ scores: list.map(([s]) => s), sources: list.map(([, from]) => from), restrictive });
      const expected = list.flatMap(([a, from], i) =>
        list.flatMap(([b, other], j) => {
          const allowed = !restrictive || (from === "gold" && other === "policy");
          const far = a !== null && b !== null && a >= 5 && a - b >= (from === "gold" ? 2 : 1);
          return i !== j && allowed && far ? [[i, j]] : [];
        }),
      );
      expect(pairs).toEqual(expected);
    }),
  );
  expect(dnoReplay({ previous: [100, 100, 7] })).toEqual([30, 15, 0]);
  expectNear([dnoPrctLoss({ positive: [2], negative: [0], eta: 0.5 })], [Math.log(1 + Math.exp(-1))]);
});
