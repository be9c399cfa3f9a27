import fc from "fast-check";
import { expect, test } from "vitest";
import { trajectoryDpo } from "../../src/methods/implicit/oprl.ts";
import type { RolloutObject } from "../../src/rollouts/index.ts";
import { expectNear } from "../operators/arbitraries.ts";
import { credit, expectTwoPass } from "./credit.ts";
import { mean, slopes, spread } from "./plain.ts";

const step = fc.double({ min: -2, max: 2, noNaN: true });
const rollouts = fc.array(
  fc.record({
    reward: fc.constantFrom(0, 0.5, 1),
    group: fc.constantFrom("p", "q", "r"),
    steps: fc.array(step, { minLength: 1, maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 7 },
);

function given(list: { reward: number; group: string; steps: number[] }[]): RolloutObject[] {
  return list.map(({ reward, group, steps }, i) => ({ id: `r${i}`, group, reward, turns: { prm_reward: steps } }));
}

/** A value against the other values of its pool. */
function compared(value: number, pool: readonly number[], estimator: string): number {
  if (pool.length === 1) return value;
  const apart = value - mean(pool);
  if (estimator === "mean") return apart;
  if (estimator === "rloo") return (apart * pool.length) / (pool.length - 1);
  return pool.every((x) => x === pool[0]) ? 0 : apart / (spread(pool) + 1e-6);
}

test("every estimator and step baseline is its formula", () => {
  const estimators = fc.constantFrom("rloo", "mean", "mean_std");
  fc.assert(
    fc.property(rollouts, estimators, fc.constantFrom("all", "first"), (list, estimator, step_baseline) => {
      const expected = list.flatMap(({ reward, group, steps }) => {
        const mates = list.filter((other) => other.group === group);
        const episode = compared(
          reward,
          mates.map((other) => other.reward),
          estimator,
        );
        const pool = mates.flatMap((other) => (step_baseline === "all" ? other.steps : [other.steps[0]]));
        return steps.map((value) => episode + 0.5 * compared(value, pool, estimator));
      });
      const params = { estimator, step_baseline, reward_norm: "none", alpha: 0.5 };
      expectNear(credit("oprl", given(list), params, "turns.advantage"), expected, 1e-6);
    }),
  );
});

test("step rewards come from log-probabilities or as they are, and from both in one batch", () => {
  const tokens = { mask: [1, 0, 1, 1], prm_logprob: [-1, -9, -2, -3], old_logprob: [-2, 0, -2, -4] };
  const scored = { id: "a", group: "g", reward: 1, tokens, turns: { end: [2, 3, 4] } };
  const direct = { id: "b", group: "g", reward: 0, turns: { end: [1], prm_reward: [0.25] } };
  const params = { beta: 0.5, reward_norm: "none" };
  expectNear(credit("oprl", [scored], params, "turns.reward"), [0.5, 0, 0.5]);
  expectNear(credit("oprl", [scored, direct], params, "turns.reward"), [0.5, 0, 0.5, 0.25]);
  expectNear(credit("oprl", [scored, direct], { beta: 0.5 }, "turns.reward"), [1, 0, 1, 0.5], 1e-5);
  expect(() => credit("oprl", [{ ...scored, tokens: { id: [1, 2, 3, 4] } }])).toThrow(/"a".*prm_logprob/);
});

test("the largest step reward of the whole input is known in the second pass", () => {
  fc.assert(
    fc.property(rollouts, (list) => {
      const pieces = ["p", "q", "r"].map((name) => list.flatMap(({ group }, i) => (group === name ? [i] : [])));
      expectTwoPass(
        "oprl",
        given(list),
        pieces.filter((piece) => piece.length > 0),
        {},
      );
    }),
    { numRuns: 30 },
  );
});

test("the gradient is the slope of the loss", () => {
  const kinds = fc.record({
    reduce: fc.constantFrom("sum" as const, "mean" as const),
    pairing: fc.constantFrom("threshold" as const, "graded" as const),
  });
  fc.assert(
    fc.property(rollouts, kinds, (list, kind) => {
      const rest = { reward: list.map((x) => x.reward), group: list.map((x) => x.group), beta: 0.5, ...kind };
      const shape = list.map(({ steps }) => steps);
      const loss = (flat: readonly number[]) => {
        const values = [...flat];
        return trajectoryDpo({ logratio: shape.map((steps) => values.splice(0, steps.length)), ...rest }).loss;
      };
      expectNear(trajectoryDpo({ logratio: shape, ...rest }).grad.flat(), slopes(loss, shape.flat()), 1e-7);
    }),
  );
  const alone = { logratio: [[1], [2]], reward: [1, 0], group: [null, null] };
  expect(trajectoryDpo(alone)).toEqual({ loss: 0, pairs: 0, grad: [[0], [0]] });
});
