import fc from "fast-check";
import { expect, test } from "vitest";
import { shapingTerms } from "../../src/methods/shaping/potential-shaping.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const run = (rollouts: readonly RolloutObject[], params: Record<string, unknown>, path: string) =>
  credit("potential-shaping", rollouts, params, path);
const row = fc.record({
  potential: fc.double({ min: -10, max: 10, noNaN: true }),
  reward: fc.double({ min: -10, max: 10, noNaN: true }),
  mask: fc.constantFrom(0, 1),
});
const unit = fc.double({ min: 0, max: 1, noNaN: true });
const weights = fc.double({ min: -3, max: 3, noNaN: true });

test("shaped returns are the plain returns minus the weighted potential, at every level", () => {
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 6 }),
      unit,
      weights,
      fc.constantFrom("turn", "step", "token"),
      (rows, gamma, weight, level) => {
        const key = `${level}s`;
        const table: Record<string, number[]> = {
          potential: rows.map(({ potential }) => potential),
          reward: rows.map(({ reward }) => reward),
        };
        if (level === "token") table.mask = rows.map(({ mask }) => mask);
        const out = run([{ id: "a", [key]: table }], { gamma, weight, level }, `${key}.return`);
        const counted = rows.filter(({ mask }) => level !== "token" || mask === 1);
        const plain = counted.map((_, k) =>
          counted.slice(k).reduce((sum, { reward }, l) => sum + gamma ** l * reward, 0),
        );
        const expected = counted.map(({ potential }, k) => plain[k] - weight * potential);
        let next = 0;
        rows.forEach(({ mask }, t) => {
          if (level === "token" && mask === 0) expect(out[t]).toBe(0);
          else expect(Math.abs(out[t] - expected[next++])).toBeLessThan(1e-9);
        });
      },
    ),
  );
});

const chain = (signals: Record<string, number>, id = "a"): RolloutObject => ({
  id,
  reward: 1,
  signals,
  turns: { potential: [1, 2] },
});

test("the potential after the end follows the rule, and a truncated rollout follows its own", () => {
  const last = (signals: Record<string, number>, terminal: string) =>
    run([chain(signals)], { terminal }, "turns.shaping")[1];
  expect(last({}, "zero")).toBe(-2);
  expect(last({}, "own")).toBe(0);
  expect(last({ potential_final: 5 }, "given")).toBe(3);
  expect(last({ potential_final: 5 }, "zero")).toBe(-2);
  expect(last({ truncated: 1 }, "zero")).toBe(0);
  expect(last({ truncated: 1 }, "given")).toBe(0);
  expect(last({ truncated: 1, potential_final: 5 }, "own")).toBe(3);
  expect(last({ truncated: 0, potential_final: 5 }, "own")).toBe(0);
  expect(() => last({}, "given")).toThrow(/potential_final/);
});

test("a weight of 0 leaves rewards as they are, and an empty level has return 0", () => {
  expect(run([chain({})], { weight: 0 }, "turns.reward_shaped")).toEqual([0, 1]);
  const empty: RolloutObject = { id: "e", reward: 1, turns: { potential: [] } };
  expect(run([empty, chain({})], {}, "rollout.return_shaped")).toEqual([0, 0]);
  expect(run([empty], {}, "turns.shaping")).toEqual([]);
});

test("a potential that is missing or null is named", () => {
  expect(() => run([{ id: "lost", reward: 1, turns: { reward: [1] } }], {}, "turns.return")).toThrow(/lost.*potential/);
  expect(() => run([{ id: "lost", reward: 1, turns: { potential: [1, null] } }], {}, "turns.return")).toThrow(/row 1/);
  expect(() => run([chain({})], { level: "step" }, "steps.return")).toThrow(/steps\.potential/);
  const masked: RolloutObject = { id: "m", reward: 1, tokens: { potential: [1, null], mask: [1, 0] } };
  expect(run([masked], { level: "token" }, "tokens.shaping")).toEqual([-1, 0]);
});

test("the function takes one chain", () => {
  expect(shapingTerms({ potential: [1, 2] })).toEqual([1, -2]);
  expect(shapingTerms({ potential: [] })).toEqual([]);
  expect(() => shapingTerms({ potential: [1], gamma: 2 })).toThrow(InputError);
  expect(() => shapingTerms({ potential: [1, null] as never })).toThrow(/potential\.1/);
});
