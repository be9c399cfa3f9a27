import fc from "fast-check";
import { expect, test } from "vitest";
import { durationWeights, instrumentationReward, parseMilestones } from "../../src/methods/turn/duration-aware.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

test("known weights average to 1, unknown ones are 1", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 50 })), { minLength: 1 }), (durations) => {
      const weights = durationWeights({ durations });
      const known = weights.filter((_, k) => durations[k] !== null);
      expect(weights.every((w, k) => durations[k] !== null || w === 1)).toBe(true);
      expect(known.reduce((a, b) => a + b, 0)).toBeCloseTo(known.length, 9);
    }),
  );
  expect(durationWeights({ durations: [1, 9], maxWeight: 1.5 })).toEqual([0.2, 1.5]);
  expect(() => durationWeights({ durations: [-1] })).toThrow(InputError);
});

test("what programs earn", () => {
  const failed = { reached: 3, submitted: false };
  expect(instrumentationReward(failed)).toBeCloseTo(-9.7, 12);
  expect(instrumentationReward({ ...failed, partial: "replace_failure" })).toBeCloseTo(0.3, 12);
  expect(instrumentationReward({ ...failed, reached: 0, partial: "replace_failure" })).toBe(-10);
  expect(instrumentationReward({ reached: 1, submitted: true, score: null })).toBeCloseTo(-9.9, 12);
});

test("milestones are found line by line, in any order", () => {
  const stdout = "loading\nMILESTONE trained\nMILESTONE data";
  expect(parseMilestones({ stdout, patterns: ["^MILESTONE data$", "^trained", "MILESTONE trained"] })).toEqual([
    1, 0, 1,
  ]);
  expect(() => parseMilestones({ stdout, patterns: ["("] })).toThrow(InputError);
});

test("rewards come from what the program printed, and given advantages need no reward", () => {
  const turns = { duration_s: [2] };
  const rollouts = [
    { id: "a", signals: { milestones: 2, submitted: 0 }, turns },
    { id: "b", signals: { submitted: 1, score: 0.5 }, turns },
  ];
  expect(credit("duration-aware", rollouts, {}, "rollout.reward")).toEqual([expect.closeTo(-9.8, 12), 0.5]);
  expect(credit("duration-aware", rollouts, { baseline: "none" }, "turns.advantage")[1]).toBe(0.5);
  const batch = credit("duration-aware", rollouts, { baseline: "batch" }, "turns.advantage");
  expect(batch[0] + batch[1]).toBeCloseTo(0, 12);
  const given = [{ id: "c", turns: { duration_s: [1, 3], advantage: [1, 1] } }];
  expect(credit("duration-aware", given, {}, "turns.advantage")).toEqual([0.5, 1.5]);
  expect(credit("duration-aware", given, { weighted: false }, "turns.advantage")).toEqual([1, 1]);
  expect(() => credit("duration-aware", [{ id: "d", turns }])).toThrow(/rollout\.reward/);
  expect(() => credit("duration-aware", [{ id: "d", reward: 1, turns: { x: [1] } }])).toThrow(/duration_s/);
});
