import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { attributeReward, combineDimensions } from "../../src/methods/judge/sotopia-rl.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";
import { expectTwoPass, warningsOf } from "./credit.ts";

const episode = (id: string, goal: number, attribution: (number | null)[]) => ({
  id,
  rewards: { goal, knowledge: 2 },
  turns: { attribution_goal: attribution, attribution_knowledge: attribution.map(() => 3) },
});
const params = { dimensions: ["goal", "knowledge"] };

test("two passes over pieces give what one call gives", () => {
  const episodes = [episode("a", 9, [3, 2, 1]), episode("b", 4, [2, -1]), episode("c", 1, [0])];
  expectTwoPass("sotopia-rl", episodes, [[2], [0, 1]], params);
});

test("shares of the score sum to it, and later utterances earn more by rule", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1 }),
      fc.integer({ min: -5, max: 10 }),
      (a, score) => {
        const shares = attributeReward({ attribution: a, score, mode: "normalized" }) as number[];
        const total = a.some((x) => x > 0) ? score : 0;
        expect(shares.reduce((x, y) => x + y, 0)).toBeCloseTo(total, 9);
      },
    ),
  );
  expect(attributeReward({ attribution: [null, 3], score: 4, mode: "uniform" })).toEqual([4, 4]);
  expect(() => attributeReward({ attribution: [4], score: 4 })).toThrow(InputError);
});

test("dimensions by name or in order, weighted, null where one is missing", () => {
  const channels = { goal: [0, 5, 10], care: [1, 1, null] };
  expect(combineDimensions({ channels })).toEqual([0, 2.5, null]);
  expect(combineDimensions({ channels, weights: { care: 1, goal: 3 } })).toEqual([0, 3.75, null]);
  expect(combineDimensions({ channels: [[2, 4]], weights: [7], normalize: "none" })).toEqual([2, 4]);
  expect(() => combineDimensions({ channels, weights: [1] })).toThrow(InputError);
});

test("missing scores are named, importances out of range refused, a lone utterance warned about", () => {
  const run = (rollout: object) => () => assign(batchFromObjects([rollout]), "sotopia-rl", params);
  expect(run({ id: "x", rewards: { goal: 1 }, turns: { attribution_goal: [1] } })).toThrow(/rewards\.knowledge/);
  expect(run(episode("x", 1, [9]))).toThrow(/attribution_goal/);
  expect(warningsOf("sotopia-rl", [episode("x", 1, [1])], params)).toHaveLength(1);
});
