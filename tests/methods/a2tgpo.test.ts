import fc from "fast-check";
import { expect, test } from "vitest";
import { clipScale, turnClippedLoss } from "../../src/methods/turn/a2tgpo.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const rollouts = fc
  .array(
    fc.record({
      group: fc.constantFrom("a", "b"),
      reward: fc.constantFrom(0, 0.5, 1),
      gain: fc.array(fc.option(fc.integer({ min: -4, max: 4 }).map((x) => x / 2)), { maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((list) =>
    list.map(({ group, reward, gain }, i) => ({ id: `r${i}`, group, reward, turns: { info_gain: [...gain, null] } })),
  );

function z(x: number, pool: readonly number[]): number {
  if (pool.every((y) => y === pool[0])) return 0;
  const mean = pool.reduce((a, b) => a + b, 0) / pool.length;
  const variance = pool.reduce((sum, y) => sum + (y - mean) ** 2, 0) / pool.length;
  return (x - mean) / (Math.sqrt(variance + 1e-8) + 1e-6);
}

test("credit equals the definition, written with plain lists", () => {
  fc.assert(
    fc.property(rollouts, fc.constantFrom(1, 0.5), (list, gamma) => {
      const expected = list.flatMap(({ group, reward, turns: { info_gain } }) => {
        const mates = list.filter((other) => other.group === group);
        const outcome = z(
          reward,
          mates.map((other) => other.reward),
        );
        const normalised = info_gain.map((gain, t) => {
          const pool = mates.flatMap((other) => other.turns.info_gain.slice(t, t + 1).filter((x) => x !== null));
          return gain === null ? null : z(gain, pool);
        });
        return info_gain.map((_, t) => {
          const rest = normalised.slice(t).map((x, k) => (x === null ? null : x * gamma ** k));
          const terms = rest.filter((x) => x !== null);
          const sum = terms.reduce((a, b) => a + b, 0);
          return outcome + (terms.length === 0 ? 0 : (0.3 * sum) / Math.sqrt(terms.length));
        });
      });
      credit("a2tgpo", list, { gamma }, "turns.advantage").forEach((a, k) => {
        expect(a).toBeCloseTo(expected[k], 9);
      });
    }),
  );
});

test("clip scale rises with the gain, is 1 at 0, and stays inside its bounds for huge gains", () => {
  expect([clipScale({ z: 0 }), clipScale({ z: null })]).toEqual([1, 1]);
  expect(clipScale({ z: 1e4 })).toBeCloseTo(1.3, 12);
  expect(clipScale({ z: -1e4 })).toBeCloseTo(0.7, 12);
  expect(clipScale({ z: 2 })).toBeGreaterThan(clipScale({ z: 1 }));
});

test("a turn without policy tokens has ratio 1 and no weight; a huge ratio is cut", () => {
  const given = { turn_end: [1, 2], advantage: [-1, 5], clip_low: [0.2, 0.2], clip_high: [0.2, 0.2] };
  const { ratio, loss } = turnClippedLoss({ ...given, logprob: [0, 0], old_logprob: [-900, 0], mask: [1, 0] });
  expect(ratio[1]).toBe(1);
  expect(ratio[0]).toBeCloseTo(Math.exp(10), 6);
  expect(loss).toBe(ratio[0]);
  expect(() => turnClippedLoss({ ...given, turn_end: [2, 2], logprob: [0, 0], old_logprob: [0, 0] })).toThrow(
    InputError,
  );
});
