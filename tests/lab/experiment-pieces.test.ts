import { expect, test } from "vitest";
import { allRight, continuations, logitOf } from "../../src/lab/experiments/decision-chain.ts";
import { distance, GradientMoments, norm } from "../../src/lab/experiments/gradient-moments.ts";
import { advantagesOf } from "../../src/lab/experiments/group-rewards.ts";
import { bestOf, search } from "../../src/lab/experiments/step-search.ts";
import { practise, success } from "../../src/lab/experiments/teacher-student.ts";
import { gaussian } from "../../src/lab/gaussian.ts";
import { Random } from "../../src/lab/random.ts";
import { SoftmaxTable } from "../../src/lab/softmax-table.ts";

test("normal draws have mean 0, variance 1 and the right share beyond 1.96", () => {
  const random = new Random(1);
  const draws = Array.from({ length: 40_000 }, () => gaussian(random));
  const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
  const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
  expect(Math.abs(mean)).toBeLessThan(0.02);
  expect(Math.abs(variance - 1)).toBeLessThan(0.03);
  expect(draws.filter((x) => Math.abs(x) > 1.959964).length / draws.length).toBeCloseTo(0.05, 2);
});

test("moments of weighted gradients", () => {
  const moments = new GradientMoments(2);
  moments.add([1, 0], 0.25);
  moments.add([-1, 2], 0.75);
  expect([...moments.mean]).toEqual([-0.5, 1.5]);
  expect(moments.variance).toBeCloseTo(0.75 + 0.75, 12);
  expect(norm(Float64Array.of(3, 4))).toBe(5);
  expect(distance(Float64Array.of(3, 4), [0, 0])).toBe(5);
});

test("advantages of groups come in the order of the groups, with signals where they belong", () => {
  const groups = [
    [1, 0, 0],
    [2, 4],
  ];
  expect([...advantagesOf("rloo", groups)]).toEqual([1, -0.5, -0.5, -2, 2]);
  const greedy = advantagesOf("remax", groups, {}, (group, member) => ({ greedy_reward: group + member }));
  expect([...greedy]).toEqual([1, -1, -2, 1, 2]);
});

test("a chain starts with the wanted success, and its continuations succeed as often as they should", () => {
  const logit = logitOf(0.3, 2, 4);
  const policy = new SoftmaxTable(2, 4, [logit, 0, 0, 0, logit, 0, 0, 0]);
  expect(allRight(policy, [0, 1])).toBeCloseTo(0.3, 12);
  const random = new Random(3);
  const rewards = continuations(policy, [0, 1], true, 20_000, random);
  expect(rewards.reduce((sum, r) => sum + r, 0) / rewards.length).toBeCloseTo(0.3, 1);
  expect(continuations(policy, [0, 1], false, 5, random)).toEqual([0, 0, 0, 0, 0]);
  expect(continuations(policy, [], true, 2, random)).toEqual([1, 1]);
});

test("a search solves more with a larger budget, and nothing when a solution cannot be finished", () => {
  const random = new Random(5);
  const solved = (budget: number) => Array.from({ length: 150 }, () => search(budget, random)).filter(Boolean).length;
  expect(solved(4)).toBe(0);
  expect(solved(120)).toBeGreaterThan(solved(20));
  expect(bestOf(0, random)).toBe(false);
});

test("practice teaches the skills that questions ask for, and only those", () => {
  const question = { features: [0, 1, 0, 0, 0], offset: 0 };
  const start = new Float64Array(5);
  const after = practise(start, [question], 50, new Random(2));
  expect(success(after, question)).toBeGreaterThan(0.8);
  expect([...after].filter((x) => x !== 0)).toHaveLength(1);
  expect(start.every((x) => x === 0)).toBe(true);
  expect([...practise(start, [{ features: [], offset: -1 }], 5, new Random(2))]).toEqual([0, 0, 0, 0, 0]);
});
