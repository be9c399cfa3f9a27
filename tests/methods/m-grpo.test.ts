import fc from "fast-check";
import { expect, test } from "vitest";
import { mgrpoReward, trajectoryAlignment } from "../../src/methods/multi-agent/m-grpo.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const alignments = fc
  .record({ count: fc.integer({ min: 1, max: 6 }), target: fc.integer({ min: 1, max: 6 }) })
  .chain(({ count, target }) =>
    fc.record({
      count: fc.constant(count),
      target: fc.constant(target),
      order: fc.shuffledSubarray([...Array(count).keys()], { minLength: count }),
      draws: fc.array(fc.nat(20), { minLength: target, maxLength: target }),
    }),
  );

test("an alignment has as many trajectories as asked for, drops or repeats only, and keeps order", () => {
  fc.assert(
    fc.property(alignments, (given) => {
      const kept = trajectoryAlignment(given);
      expect(kept).toHaveLength(given.target);
      const distinct = new Set(kept);
      expect(distinct.size).toBe(Math.min(given.count, given.target));
      const first = kept.slice(0, distinct.size);
      expect(first).toEqual([...first].sort((a, b) => a - b));
    }),
  );
  expect(trajectoryAlignment({ count: 0, target: 3 })).toEqual([]);
  expect(trajectoryAlignment({ count: 3 })).toEqual([0, 1, 2]);
  expect(() => trajectoryAlignment({ count: 3, target: 2, order: [0, 0, 1] })).toThrow(InputError);
  expect(() => trajectoryAlignment({ count: 1, target: 3, draws: [5] })).toThrow(InputError);
});

test("weights are the expected multiplicities of the alignment", () => {
  const subs = (parent: string, n: number) =>
    Array.from({ length: n }, (_, k) => ({
      id: `${parent}${k}`,
      group: "q",
      reward: k,
      signals: { role: "sub", parent },
    }));
  const rollouts = [{ id: "m", group: "q", reward: 1 }, ...subs("m", 4), ...subs("n", 2)];
  const weights = credit("m-grpo", rollouts, { target: 3 }, "rollout.weight");
  expect(weights).toEqual([1, 0.75, 0.75, 0.75, 0.75, 1.5, 1.5]);
});

test("sub-agents of different names are pools of their own; unknown roles and lost parents are refused", () => {
  const sub = (id: string, reward: number, agent: string) => ({
    id,
    group: "q",
    reward,
    signals: { role: "sub", agent },
  });
  expect(credit("m-grpo", [sub("a", 1, "search"), sub("b", 0, "visit")])).toEqual([0, 0]);
  expect(credit("m-grpo", [sub("a", 1, "search"), sub("b", 0, "search")], { norm_by_std: false })).toEqual([0.5, -0.5]);
  expect(() => credit("m-grpo", [sub("a", 1, "search")], { target: 2 })).toThrow(/signals\.parent/);
  expect(() => credit("m-grpo", [{ id: "a", reward: 1, signals: { role: "boss" } }])).toThrow(InputError);
});

test("rewards as a sum and as released", () => {
  expect(mgrpoReward({ role: "main", fmt: 1, correct: 1 })).toBeCloseTo(1, 12);
  expect(mgrpoReward({ role: "sub", fmt: 1, correct: 1, expert: 0.5 })).toBeCloseTo(0.85, 12);
  expect(mgrpoReward({ role: "sub", fmt: 1, correct: 1, expert: 1, weights: { sub: [1, 2, 3] } })).toBe(6);
  expect(() => mgrpoReward({ role: "main", fmt: 1, correct: 1, weights: [1] })).toThrow(InputError);
  const gated = (fmt: number, correct: number) => mgrpoReward({ role: "main", fmt, correct, form: "gated" });
  expect([gated(0, 1), gated(1, 0), gated(1, 1)]).toEqual([0, 0.1, 1]);
});
