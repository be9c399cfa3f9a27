import fc from "fast-check";
import { expect, test } from "vitest";
import { mcValue } from "../../src/methods/tree/vineppo.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit, expectTwoPass } from "./credit.ts";

const value = fc.double({ min: 0, max: 1, noNaN: true });
const rollouts = fc
  .array(
    fc.record({
      group: fc.constantFrom("a", "b"),
      reward: value,
      root: value,
      steps: fc.array(value, { maxLength: 5 }),
      cut: fc.nat(5),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((list) =>
    list.map(({ steps, cut, root, ...rest }, i) => ({
      id: `r${i}`,
      ...rest,
      signals: { mc_value_0: root },
      tokens: { id: steps.flatMap(() => [1, 2]), mask: steps.flatMap(() => [1, 0]) },
      steps: { end: steps.map((_, k) => 2 * k + 2), mc_value: steps.map((v, k) => (k < cut ? v : null)) },
    })),
  );

test("steps add up to the outcome minus the root; unmeasured tail steps get 0", () => {
  fc.assert(
    fc.property(rollouts, fc.constantFrom("given", "group_mean"), (list, root_value) => {
      const advantage = credit("vineppo", list, { whiten_advantage: false, root_value }, "steps.advantage");
      const before = credit("vineppo", list, { root_value }, "steps.value");
      let row = 0;
      for (const { group, reward, signals, steps } of list) {
        const mates = list.filter((other) => other.group === group);
        const mean = mates.reduce((sum, other) => sum + other.reward, 0) / mates.length;
        const root = root_value === "given" ? signals.mc_value_0 : mean;
        const values = steps.mc_value.map((_, k) => (k === 0 ? root : (steps.mc_value[k - 1] ?? reward)));
        values.forEach((v, k) => {
          expect(before[row + k]).toBeCloseTo(v, 12);
          expect(advantage[row + k]).toBeCloseTo((values[k + 1] ?? reward) - v, 12);
        });
        row += values.length;
      }
    }),
  );
});

test("two passes over pieces give what one call gives", () => {
  fc.assert(
    fc.property(rollouts, (list) => {
      expectTwoPass(
        "vineppo",
        list,
        list.map((_, i) => [i]),
        {},
      );
    }),
  );
});

test("a gap in the measured values, a missing root and a missing column are refused; one step needs no values", () => {
  const one = (mc_value: (number | null)[], signals: object = { mc_value_0: 0.5 }) => [
    { id: "a", reward: 1, signals: signals as Record<string, unknown>, steps: { mc_value } },
  ];
  expect(() => credit("vineppo", one([null, 0.5, 0.1]), {}, "steps.value")).toThrow(/later step/);
  expect(() => credit("vineppo", one([0.5, 0.1], {}), {}, "steps.value")).toThrow(/mc_value_0/);
  expect(() =>
    credit("vineppo", [{ id: "a", reward: 1, signals: { mc_value_0: 0 }, steps: { prm: [1, 1] } }], {}, "steps.value"),
  ).toThrow(/steps\.mc_value/);
  expect(credit("vineppo", one([null, 0.5]), {}, "steps.advantage")).toEqual([0.5, 0]);
  expect(
    credit(
      "vineppo",
      [{ id: "a", reward: 1, signals: { mc_value_0: 0.25 }, steps: { prm: [1] } }],
      {},
      "steps.advantage",
    ),
  ).toEqual([0.75]);
});

test("a continuation that was cut off counts as unfinished", () => {
  expect(mcValue({ rewards: [1, 1, 0], truncated: [false, true, false], unfinished_reward: -1 })).toBe(0);
  expect(() => mcValue({ rewards: [1], truncated: [] })).toThrow(InputError);
});
