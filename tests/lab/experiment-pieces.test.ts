import { expect, test } from "vitest";
import { atLeast, atMost, median } from "../../src/lab/experiments/bounds.ts";
import { accumulateDecisions, tailMean } from "../../src/lab/experiments/decisions.ts";
import { DenseNetwork } from "../../src/lab/experiments/dense-network.ts";
import { collapsedShare, search, successOf } from "../../src/lab/experiments/evidence-chain.ts";
import { Summary } from "../../src/lab/experiments/experiment.ts";
import { Random } from "../../src/lab/random.ts";
import { SoftmaxTable } from "../../src/lab/softmax-table.ts";

const summary = new Summary([1, 2, 6].map((x) => ({ measures: { x } })));

test("bounds hold for the worst seed, the mean or the median, as asked", () => {
  expect(atLeast(summary, "x", 1).holds).toBe(true);
  expect(atLeast(summary, "x", 1.5).holds).toBe(false);
  expect(atLeast(summary, "x", 3, { over: "mean" }).holds).toBe(true);
  expect(atLeast(summary, "x", 2.5, { over: "median" }).holds).toBe(false);
  expect(atMost(summary, "x", 5).holds).toBe(false);
  expect(atMost(summary, "x", 3, { over: "mean", kind: "limit" })).toMatchObject({ holds: true, kind: "limit" });
  expect(atMost(summary, "x", 2, { over: "median" }).holds).toBe(true);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test("decisions are credited in the order of their episodes, and rows below 0 are passed over", () => {
  const policy = new SoftmaxTable(2, 2);
  const none = { row: -1, action: 0 };
  accumulateDecisions(policy, [[{ row: 0, action: 0 }, none], [{ row: 1, action: 1 }]], [1, 100, 3], 2);
  expect(Array.from(policy.gradient)).toEqual([1, -1, -3, 3]);
  expect(tailMean([1, 2, 6], 2)).toBe(4);
});

test("the exact success of a search is what episodes show", () => {
  const chain = { pieces: 2, searches: 3, actions: 3, success: [0, 0.3, 0.9], logprob: [-3, -1, -0.1] };
  const policy = new SoftmaxTable(2, 3);
  const random = new Random(5);
  let right = 0;
  for (let n = 0; n < 20000; n++) right += search(chain, policy, random).reward / 20000;
  // Finding nothing, one or two pieces in three searches: (2/3)³, 3 (1/3) (2/3)² and the rest.
  const exact = 0.3 * (12 / 27) + 0.9 * (7 / 27);
  expect(successOf(chain, policy)).toBeCloseTo(exact, 12);
  expect(right).toBeCloseTo(exact, 1.5);
});

test("groups whose numbers are all 0 are counted", () => {
  expect(collapsedShare([0, 0, 0, 1, 0, 0], 3)).toBeCloseTo(2 / 3, 12);
});

test("a dense network learns the product of two numbers", () => {
  const random = new Random(3);
  const network = new DenseNetwork([2, 16, 1], 0.01, random);
  const draw = () => [2 * random.uniform() - 1, 2 * random.uniform() - 1];
  const error = () => {
    let sum = 0;
    for (let n = 0; n < 200; n++) {
      const x = draw();
      sum += (network.predict(x)[0] - x[0] * x[1]) ** 2 / 200;
    }
    return Math.sqrt(sum);
  };
  const before = error();
  for (let step = 0; step < 600; step++) {
    for (let n = 0; n < 32; n++) {
      const x = draw();
      network.accumulate(x, [x[0] * x[1]], 1 / 32);
    }
    network.step();
  }
  expect(before).toBeGreaterThan(0.2);
  expect(error()).toBeLessThan(0.05);
});
