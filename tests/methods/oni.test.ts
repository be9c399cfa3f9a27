import fc from "fast-check";
import { expect, test } from "vitest";
import { oniNextBatch, oniParseLabel, oniRankingLoss, oniRunningNorm } from "../../src/methods/exploration/oni.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

test("running moments follow the recursion, whatever the sizes of the batches", () => {
  const batches = fc.array(fc.array(fc.integer({ min: -9, max: 9 }), { maxLength: 4 }), { maxLength: 4 });
  fc.assert(
    fc.property(batches, (list) => {
      let [mean, variance, count] = [0, 1, 1e-4];
      const found = oniRunningNorm({ batches: list, threshold: 0 });
      list.forEach((batch, k) => {
        const n = batch.length;
        if (n > 0) {
          const b = batch.reduce((x, y) => x + y, 0) / n;
          const v = n === 1 ? 0 : batch.reduce((sum, x) => sum + (x - b) ** 2, 0) / (n - 1);
          const d = b - mean;
          variance = (variance * count + v * n + (d * d * count * n) / (count + n)) / (count + n);
          mean += (d * n) / (count + n);
          count += n;
        }
        expect(found[k].mean).toBeCloseTo(mean, 9);
        expect(found[k].var).toBeCloseTo(variance, 9);
        expect(found[k].count).toBeCloseTo(count, 9);
        expect(found[k].rewards.every((z) => z >= 0)).toBe(true);
      });
    }),
  );
});

test("a variance of 0 is not divided by and pays nothing", () => {
  expect(oniRunningNorm({ batches: [[3]], stats: [3, 0, 5] })).toEqual([{ mean: 3, var: 0, count: 6, rewards: [0] }]);
});

test("pairs: ties have no accuracy, and a sure mistake stays finite", () => {
  expect(oniRankingLoss({ rewards: [[1, 1]], labels: [5] })).toEqual({
    loss: expect.closeTo(Math.LN2, 12),
    accuracy: null,
  });
  expect(oniRankingLoss({ rewards: [[1e6, 0]], labels: [1] })).toEqual({ loss: 1e6, accuracy: 0 });
  expect(() => oniRankingLoss({ rewards: [[0, 0]], labels: [] })).toThrow(InputError);
});

test("the newest entries leave the queue first", () => {
  expect(oniNextBatch({ queue: [1, 2, 3], batchSize: 2 })).toEqual({ batch: [2, 3], queue: [1] });
  expect(oniNextBatch({ queue: [1, 2], batchSize: 0 })).toEqual({ batch: [], queue: [1, 2] });
  expect(oniNextBatch({ queue: [1], batchSize: 9 })).toEqual({ batch: [1], queue: [] });
  expect(["FOO", "BAR then FOO", "BAR", ""].map((text) => oniParseLabel({ text }))).toEqual([1, 1, 0, 0]);
});

test("a caption fades with every repetition, and a null probability pays nothing", () => {
  const rollouts = [{ id: "a", reward: 1, turns: { message: ["m", "m", "k"], helpful_prob: [0.9, 0.9, null] } }];
  const p = { variant: "classification", count_exponent: 1, llm_coeff: 1, ext_coeff: 1 };
  expect(credit("oni", rollouts, p, "turns.intrinsic_reward")).toEqual([1, 0.5, 0]);
  expect(credit("oni", rollouts, p, "turns.mixed_reward")).toEqual([1, 0.5, 1]);
  expect(credit("oni", rollouts, { ...p, align: "current" }, "turns.intrinsic_reward")).toEqual([0, 1, 0.5]);
  const hostile = [{ id: "a", reward: 0, turns: { message: ["constructor"] } }];
  expect(credit("oni", hostile, {}, "turns.intrinsic_reward")).toEqual([0]);
  expect(() => credit("oni", [{ id: "a", reward: 0, turns: { reward: [1] } }])).toThrow(/turns\.message/);
});
