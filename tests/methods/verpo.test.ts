import fc from "fast-check";
import { expect, test } from "vitest";
import { verpoPassRates, verpoTestWeights } from "../../src/methods/verifier/verpo.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const rates = fc.array(
  fc.integer({ min: 0, max: 8 }).map((n) => n / 8),
  { minLength: 1, maxLength: 9 },
);

test("weights equal the definition, summed over all pairs of tests", () => {
  fc.assert(
    fc.property(rates, fc.constantFrom(1e-200, 0.05, 3), (passRates, bandwidth) => {
      const weights = verpoTestWeights({ passRates, bandwidth, alpha: 1.5, delta: 0.01 });
      passRates.forEach((rate, j) => {
        const density = passRates.reduce((sum, other) => sum + Math.exp(-0.5 * ((rate - other) / bandwidth) ** 2), 0);
        expect(weights[j]).toBeCloseTo(Math.exp(-1.5 * rate) / (density + 0.01), 12);
      });
    }),
  );
  expect(verpoTestWeights({ passRates: [0, 0.5], weighting: "difficulty", alpha: 2 })).toEqual([1, Math.exp(-1)]);
  expect(verpoTestWeights({ passRates: [0, 0.5], weighting: "uniform" })).toEqual([0.5, 0.5]);
});

test("pass rates count every program, and a test that was not run failed", () => {
  expect(
    verpoPassRates({
      passed: [
        [[1, null]],
        [
          [1, 1],
          [0, 1],
        ],
      ],
    }),
  ).toEqual([2 / 3, 2 / 3]);
  expect(() => verpoPassRates({ passed: [[[1, 0], [1]]] })).toThrow(InputError);
  expect(() => verpoPassRates({ passed: [[[]]] })).toThrow(InputError);
  expect(() => verpoPassRates({ passed: [[[0.5 as 0]]] })).toThrow(InputError);
});

const program = (id: string, group: string, ...tests_passed: unknown[]) => ({ id, group, turns: { tests_passed } });

test("the outcome is given or worked out, and decays per turn", () => {
  const rollouts = [
    program("a", "g", [1, 0], [1, 1]),
    { ...program("b", "g", [0, 0]), reward: 0.5 },
    { id: "c", group: "g", reward: null, turns: { tests_passed: [] } },
    { id: "d", group: "g", reward: 1 },
  ];
  const outcomes = credit("verpo", rollouts, { gamma: 0.5 }, "rollout.reward");
  expect(outcomes).toEqual([0.25, 0.25, 0, 1]);
});

test("turns are centred over the group, and the two parts can be switched off", () => {
  const rollouts = [program("a", "g", [1, 0], [1, 1]), program("b", "g", [0, 0])];
  const local = credit("verpo", rollouts, { global_weight: 0 }, "turns.advantage");
  expect(local.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 12);
  const global = credit("verpo", rollouts, { local_weight: 0 }, "turns.advantage");
  expect(global[0]).toBe(global[1]);
  const scaled = credit("verpo", rollouts, { local_weight: 0, norm: "std" }, "turns.advantage");
  expect(scaled[0]).toBeCloseTo(Math.SQRT1_2, 5);
});

test("groups with different tests, and cells that are no lists, are refused by name", () => {
  expect(() => credit("verpo", [program("a", "g", [1]), program("b", "g", [1, 1])])).toThrow(/"b".*group "g"/);
  expect(() => credit("verpo", [program("a", "g", 1)])).toThrow(InputError);
  expect(() => credit("verpo", [program("a", "g", [])])).toThrow(InputError);
});
