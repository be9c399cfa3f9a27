import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../src/lab/random.ts";
import { lareFitLinear, lareMaLoss, lareRdLoss, lareRrdLoss } from "../../src/methods/redistribution/lare.ts";
import { pearson } from "../../src/operators/ranking.ts";
import type { RolloutObject } from "../../src/rollouts/index.ts";
import { credit, expectTwoPass, warningsOf } from "./credit.ts";

const number = fc.integer({ min: -16, max: 16 }).map((x) => x / 8);
const episodes = (factors: number) =>
  fc.array(
    fc.record({
      rows: fc.array(fc.array(number, { minLength: factors, maxLength: factors }), { minLength: 1, maxLength: 4 }),
      reward: number,
    }),
    { minLength: 1, maxLength: 6 },
  );

const lossOf = (args: { x: number[][]; y: number[] }, w: readonly number[], bias: number) =>
  args.x.reduce((sum, row, i) => sum + (row.reduce((s, v, k) => s + v * w[k], bias) - args.y[i]) ** 2, 0) /
  args.y.length;

test("the fitted decoder minimises the loss with its ridge: no direction leads down", () => {
  fc.assert(
    fc.property(episodes(2), fc.constantFrom(0, 0.001, 0.5), (given, ridge) => {
      const latents = given.map(({ rows }) => rows);
      const lengths = latents.map((rows) => rows.length);
      const returns = given.map(({ reward }) => reward);
      const { weights, bias, loss } = lareFitLinear({ latents, lengths, returns, ridge });
      const x = latents.map((rows) => rows[0].map((_, k) => rows.reduce((sum, row) => sum + row[k], 0) / rows.length));
      const y = returns.map((r, i) => r / lengths[i]);
      expect(lossOf({ x, y }, weights, bias)).toBeCloseTo(loss, 9);
      const goal = (w: number[], b: number) => lossOf({ x, y }, w, b) + ridge * w.reduce((sum, v) => sum + v * v, 0);
      const least = goal(weights, bias);
      for (const [k, by] of [0, 1, 2].flatMap((k) => [0.01, -0.01].map((by) => [k, by]))) {
        const moved = weights.map((w, j) => (j === k ? w + by : w));
        expect(goal(moved, k === 2 ? bias + by : bias)).toBeGreaterThan(least - 1e-12);
      }
    }),
  );
});

test("without a ridge, factors that repeat each other share the weight", () => {
  const latents = [[[1, 2]], [[2, 4]], [[4, 8]]];
  const { weights, bias, loss } = lareFitLinear({ latents, lengths: [1, 1, 1], returns: [6, 11, 21], ridge: 0 });
  expect([weights[0], weights[1], bias].map((v) => v.toFixed(9))).toEqual([
    "1.000000000",
    "2.000000000",
    "1.000000000",
  ]);
  expect(loss).toBeLessThan(1e-18);
  const flat = lareFitLinear({ latents, lengths: [1, 1, 1], returns: [2, 2, 2], ridge: 0 });
  expect([...flat.weights, flat.bias]).toEqual([0, 0, 2]);
  expect(lareFitLinear({ latents: [[[3], [1]]], lengths: [2], returns: [5] })).toEqual({
    weights: [0],
    bias: 2.5,
    loss: 0,
  });
});

test("the randomised loss is unbiased: its mean over all samples is the full loss", () => {
  fc.assert(
    fc.property(fc.array(number, { minLength: 3, maxLength: 6 }), number, fc.constantFrom(2, 3), (rewards, R, K) => {
      const T = rewards.length;
      const subsets = Array.from({ length: 2 ** T }, (_, set) =>
        [...rewards.keys()].filter((t) => (set >> t) & 1),
      ).filter((rows) => rows.length === K);
      const one = { rewards: [rewards], lengths: [T], returns: [R] };
      const mean = subsets.reduce((sum, rows) => sum + lareRrdLoss({ ...one, sampled: [rows] }) / subsets.length, 0);
      expect(mean).toBeCloseTo(lareRdLoss(one), 9);
      const all = { ...one, sampled: [[...rewards.keys()]] };
      expect(lareRrdLoss(all)).toBeCloseTo(lareRrdLoss({ ...all, unbiased: false }), 12);
    }),
  );
});

test("the loss over agents is in units of the return", () => {
  expect(
    lareMaLoss({
      rewards: [
        [
          [1, 2, 9],
          [3, 4, 9],
        ],
        [[1], [1]],
      ],
      lengths: [2, 1],
      returns: [12, 3],
    }),
  ).toBe((4 + 1) / 2);
});

const rollout = (id: string, rows: number[][], reward: number | null): RolloutObject => ({
  id,
  reward,
  // Out of order on purpose: factors are ordered by their number.
  turns: { latent_10: rows.map((row) => row[1]), latent_2: rows.map((row) => row[0]) },
});

test("credit of the fitted decoder adds up to the return where the fit is exact, in one call and in pieces", () => {
  const rollouts = [
    [1, 2],
    [0, 1],
    [3, 3],
    [2, 5],
  ].map(([a, b], i) =>
    rollout(
      `r${i}`,
      [
        [a, b],
        [b, a],
        [a, a],
      ].slice(0, 1 + (i % 3)),
      0,
    ),
  );
  for (const one of rollouts) {
    const { latent_2, latent_10 } = one.turns as Record<string, number[]>;
    one.reward = latent_2.reduce((sum, z, t) => sum + 2 * z - latent_10[t] + 0.5, 0);
  }
  const [first] = credit("lare", rollouts, { ridge: 0 }, "turns.return");
  expect(first).toBeCloseTo(rollouts[0].reward as number, 9);
  expectTwoPass("lare", rollouts, [[0], [1, 3], [2]], { ridge: 0.01 });
  expectTwoPass("lare", rollouts, [[2, 0, 1], [3]], { ridge: 0 });
});

test("a decoder of its own needs no reward and takes rollouts without turns", () => {
  const decoder = { weights: [[[1], [-1]]], biases: [[0.5]] };
  const rollouts = [rollout("a", [[2, 1]], null), rollout("empty", [], null)];
  expect(credit("lare", rollouts, { decoder }, "turns.proxy_reward")).toEqual([1.5]);
  expect(() => credit("lare", rollouts, {}, "turns.return")).toThrow(/"a".*rollout\.reward/);
  expect(() => credit("lare", [rollout("empty", [], 1)], {}, "turns.return")).toThrow(/empty.*no turns/);
  const narrow = { weights: [[[1]]], biases: [[0]] };
  expect(() => credit("lare", rollouts, { decoder: narrow }, "turns.return")).toThrow(
    /weights\.0 has the wrong length/,
  );
  const open = {
    weights: [
      [
        [1, 1],
        [1, 1],
      ],
    ],
    biases: [[0, 0]],
  };
  expect(() => credit("lare", rollouts, { decoder: open }, "turns.return")).toThrow(/biases\.0/);
});

test("faults", () => {
  const none: RolloutObject = { id: "n", reward: 1, turns: { reward: [1] } };
  expect(() => credit("lare", [none], {}, "turns.return")).toThrow(/latent_0/);
  const hole = rollout(
    "h",
    [
      [1, 1],
      [1, 1],
    ],
    1,
  );
  (hole.turns as Record<string, unknown[]>).latent_2[1] = null;
  expect(() => credit("lare", [hole], {}, "turns.return")).toThrow(/row 1.*"h".*latent_2|"h".*latent_2.*row 1/);
  const one = { rewards: [[1, 2]], lengths: [2], returns: [1] };
  expect(() => lareRrdLoss({ ...one, sampled: [[0]] })).toThrow(/sampled\.0/);
  expect(lareRrdLoss({ ...one, sampled: [[0]], unbiased: false })).toBe(0.25);
  expect(() => lareRrdLoss({ ...one, sampled: [[2, 0]] })).toThrow(/sampled\.0/);
  expect(() => lareRdLoss({ ...one, lengths: [3] })).toThrow(/rewards\.0 is too short/);
  expect(() => lareRdLoss({ ...one, lengths: [0] })).toThrow(/lengths\.0/);
  expect(() => lareFitLinear({ latents: [[[1], [1, 2]]], lengths: [2], returns: [1] })).toThrow(/latents\.0\.1/);
});

test("a factor that never changes is pointed out", () => {
  const rollouts = [rollout("a", [[1, 3]], 1), rollout("b", [[2, 3]], 0)];
  expect(warningsOf("lare", rollouts)).toEqual([expect.stringContaining("turns.latent_10")]);
});

test("two good factors find the hidden reward of steps, forty raw numbers do not", () => {
  const random = new Random(4);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  const sample = (count: number) =>
    Array.from({ length: count }, () => Array.from({ length: 20 }, () => Array.from({ length: 40 }, normal)));
  const reward = (o: number[]) => 1.5 * Math.tanh(o[0]) - Math.abs(o[1]);
  const [train, fresh] = [sample(60), sample(100)];
  const agreement = (features: (o: number[]) => number[]) => {
    const { weights, bias } = lareFitLinear({
      latents: train.map((rows) => rows.map(features)),
      lengths: train.map(() => 20),
      returns: train.map((rows) => rows.reduce((sum, o) => sum + reward(o), 0)),
    });
    const steps = fresh.flat();
    const proxy = steps.map((o) => features(o).reduce((sum, z, k) => sum + z * weights[k], bias));
    return pearson(proxy, steps.map(reward));
  };
  expect(agreement((o) => [Math.tanh(o[0]), Math.abs(o[1])])).toBeGreaterThan(0.99);
  expect(agreement((o) => o)).toBeLessThan(0.75);
});
