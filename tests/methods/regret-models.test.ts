import { expect, test } from "vitest";
import { linearScore, linearValue } from "../../src/methods/preference/regret-models.ts";

const psi = [
  [1, 0.5, -2],
  [0.2, 1.5, -1],
  [0.9, 0.1, 0.4],
];
const w = [0.7, 0.4, 0.1];

test.each([0.001, 0.5, 2])("value and slope of a state at temperature %d", (temperature) => {
  const zero = psi.map((row) => row.map(() => 0));
  const valueAt = (weights: number[]) =>
    linearScore({ phi: [0, 0, 0], psi_start: zero, psi_end: psi }, weights, temperature);
  const { value, slope } = linearValue(psi, w, temperature);
  expect(value).toBeCloseTo(valueAt(w), 12);
  slope.forEach((got, f) => {
    const [up, down] = [1e-6, -1e-6].map((h) => valueAt(w.map((x, k) => (k === f ? x + h : x))));
    expect(got).toBeCloseTo((up - down) / 2e-6, 6);
  });
});
