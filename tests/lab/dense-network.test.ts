import { expect, test } from "vitest";
import { DenseNetwork } from "../../src/lab/experiments/dense-network.ts";
import { Random } from "../../src/lab/random.ts";

const input = [0.3, -0.7, 1.1];
const target = [0.5, -0.2];
const rate = 1e-6;

test.each(["tanh", "silu"] as const)("%s: the gradient takes the steepest way down", (activation) => {
  const network = new DenseNetwork([3, 6, 5, 2], rate, new Random(3), { activation });
  const error = () => network.predict(input).reduce((sum, x, k) => sum + (x - target[k]) ** 2, 0);
  network.accumulate(input, target, 1);
  const gradient = network.gradient();
  const before = error();
  // The first step of Adam moves every weight by the rate, against the sign of its slope.
  network.step();
  const foreseen = gradient.reduce((sum, g) => sum - rate * Math.abs(g), 0);
  expect((error() - before) / foreseen).toBeCloseTo(1, 3);
  expect(foreseen).toBeLessThan(-rate);
  expect(network.gradient().every((g) => g === 0)).toBe(true);
});

test("a copy gives the same and goes its own way", () => {
  const network = new DenseNetwork([3, 4, 2], 0.01, new Random(1), { activation: "silu" });
  const twin = network.copy(0.01, { activation: "silu" });
  const start = Array.from(network.predict(input));
  expect(Array.from(twin.predict(input))).toEqual(start);
  twin.accumulate(input, target, 1);
  twin.step();
  expect(Array.from(twin.predict(input))).not.toEqual(start);
  expect(Array.from(network.predict(input))).toEqual(start);
});
