import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { ndcg, overlapReward } from "../../src/methods/multi-agent/comam.ts";
import { batchFromObjects, rolloutObject } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const rollout = (id: string, reward: number, agent: string[], local: (number | null)[]) => ({
  id,
  group: "g",
  reward,
  turns: { agent, reward: local },
});

test("the right order is fully consistent, and shifting all gains up from below 0 changes nothing", () => {
  const gains = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(gains, (gain) => {
      const least = Math.min(0, ...gain);
      expect(ndcg({ order_by: gain, gain })).toBeCloseTo(gain.some((g) => g > least) ? 1 : 0, 12);
      const reverse = ndcg({ order_by: gain.map((g) => -g), gain });
      expect(reverse).toBeCloseTo(ndcg({ order_by: gain.map((g) => -g), gain: gain.map((g) => g - least) }), 12);
    }),
  );
});

test("weights of a group sum to 1 over its agents, also over one that never had a local reward", () => {
  const rollouts = [
    rollout("a", 1, ["x", "y", "x"], [0.5, null, 1]),
    rollout("b", 0, ["x", "y"], [0.1, null]),
    rollout("c", 0, ["x"], [null]),
  ];
  const out = assign(batchFromObjects(rollouts), "comam");
  const [first, , third] = [0, 1, 2].map((i) => rolloutObject(out, i).turns as Record<string, (number | null)[]>);
  expect((first.weight[0] as number) + (first.weight[1] as number)).toBeCloseTo(1, 12);
  expect(first.consistency).toEqual([1, 0, 1]);
  // The mean of the two turns of x, plus its share of the outcome; y has nothing to be compared.
  expect(first.final_reward).toEqual([0.75 + (first.weight[0] as number), null, 0.75 + (first.weight[0] as number)]);
  expect([first.advantage[1], third.advantage[0]]).toEqual([0, 0]);
  expect(third.final_reward).toEqual([null]);
});

test("a lone agent gets 0 or its integrated reward", () => {
  const lone = [rollout("a", 1, ["x"], [0.25])];
  expect(credit("comam", lone, {}, "turns.advantage")).toEqual([0]);
  expect(credit("comam", lone, { singleton: "raw", weighting: "full" }, "turns.advantage")).toEqual([1.25]);
});

test("overlap favours recall or precision, and nothing wanted is met by nothing chosen", () => {
  const overlap = (selected: string[], evidence: string[], alpha: number) =>
    overlapReward({ selected, evidence, alpha });
  expect(overlap(["a", "b"], ["a"], 1)).toBe(1);
  expect(overlap(["a", "b", "b"], ["a"], 0)).toBe(0.5);
  expect([overlap([], [], 0.5), overlap(["a"], [], 0.5)]).toEqual([1, 0]);
});
