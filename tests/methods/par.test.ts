import fc from "fast-check";
import { expect, test } from "vitest";
import { parReward, shapeReward, shapeRewardStream } from "../../src/methods/shaping/par.ts";
import { sigmoidPolynomial } from "../../src/methods/shaping/reward-shapings.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit, expectTwoPass, warningsOf } from "./credit.ts";

const sigma = (x: number) => 1 / (1 + Math.exp(-x));
const mean = (list: readonly number[]) => list.reduce((sum, x) => sum + x, 0) / list.length;
const near = (actual: readonly number[], expected: readonly number[], tolerance = 1e-12) => {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((x, k) => {
    expect(Math.abs(x - expected[k]), `[${k}] ${x} ${expected[k]}`).toBeLessThan(tolerance);
  });
};
const shaped = (rollouts: readonly RolloutObject[], params: Record<string, unknown> = {}) =>
  credit("par", rollouts, params, "rollout.reward_shaped");

test("every shaping is its formula", () => {
  const r = 1.25;
  const refs = [0, 1, -2];
  const poly = (x: number) => sigmoidPolynomial().reduce((sum, c, power) => sum + c * x ** power, 0);
  const centre = mean(refs);
  const spread = Math.sqrt(refs.reduce((sum, m) => sum + (m - centre) ** 2, 0) / 2);
  const formulas: Record<string, number> = {
    par: mean(refs.map((m) => sigma(2 * (r - m)))),
    centered: r - centre,
    par_tanh: mean(refs.map((m) => Math.tanh(r - m))),
    par_arctan: mean(refs.map((m) => Math.atan(r - m))),
    par_poly: mean(refs.map((m) => poly(r - m))),
    sgfc: mean(refs.map((m) => sigma(2 * (r - m - 3)))),
    lsc: Math.log(sigma(r - centre - 1.0364333895 * (spread + 1e-5))),
    none: r,
    sigmoid: sigma(2 * r),
    tanh: Math.tanh(r),
    poly: poly(r),
  };
  for (const [method, value] of Object.entries(formulas)) {
    near(shapeReward({ reward: [r], refs: [refs], method: method as "par", k: 2 }), [value]);
    const signals = Object.fromEntries(refs.map((m, k) => [`ref_reward_${k + 1}`, m]));
    near(shaped([{ id: "a", reward: r, signals }], { method, k: 2 }), [value]);
  }
  near(parReward({ reward: [r], refs: [refs], k: 2 }), [formulas.par]);
  near(shapeReward({ reward: [r], refs: [[0.5]], method: "lsc" }), [Math.log(sigma(r - 0.5 - 1.0364333895e-5))]);
});

test("the polynomial is the least-squares fit: its residuals are orthogonal to every power", () => {
  const coefficients = sigmoidPolynomial();
  expect(coefficients).toHaveLength(6);
  for (let power = 0; power < 6; power++) {
    let dot = 0;
    let scale = 0;
    for (let i = 0; i < 100; i++) {
      const x = -5 + i / 9.9;
      const fit = coefficients.reduce((sum, c, k) => sum + c * x ** k, 0);
      dot += x ** power * (fit - sigma(x));
      scale += Math.abs(x) ** power;
    }
    expect(Math.abs(dot / scale)).toBeLessThan(1e-13);
  }
  expect(shapeReward({ reward: [-5, 5, -1000, 1000], method: "poly" })).toEqual([0, 1, 0, 1]);
});

test("a stream carries its statistics: the last batch is shaped by all rewards so far", () => {
  const batches = fc.array(fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { maxLength: 5 }), { maxLength: 4 });
  fc.assert(
    fc.property(batches, (list) => {
      const all = list.flat();
      const centre = all.length === 0 ? 0 : mean(all);
      const spread = all.length === 0 ? 0 : Math.sqrt(mean(all.map((r) => (r - centre) ** 2)));
      const [low, high] = [Math.min(...all), Math.max(...all)];
      const flat = low === high;
      const last = list.at(-1) ?? [];
      const expected = {
        meanstd: last.map((r) => (flat ? 0 : (r - centre) / spread)),
        clip: last.map((r) => Math.min(Math.max(r, centre - spread), centre + spread)),
        minmax: last.map((r) => (flat ? 0.5 : (r - low) / (high - low))),
      };
      for (const method of ["meanstd", "clip", "minmax"] as const) {
        if (!flat && spread < 1e-6) continue;
        near(shapeRewardStream({ batches: list, method }).at(-1) ?? [], expected[method], 1e-9);
      }
    }),
  );
});

test("rewards of ±1000 become 1 and 0, and every shaping stays finite", () => {
  near(parReward({ reward: [1000, -1000], refs: [[0], [0]] }), [1, 0]);
  near(shapeReward({ reward: [-1000], refs: [[0]], method: "lsc" }), [-1000], 1e-3);
  expect(shapeReward({ reward: [0.1, 0.1, 0.1], method: "meanstd" })).toEqual([0, 0, 0]);
  expect(shapeReward({ reward: [7], method: "clip" })).toEqual([7]);
});

test("the ceiling comes before the length penalty, and both before the shaping", () => {
  const rollouts: RolloutObject[] = [
    { id: "a", reward: 9, signals: { ref_reward_1: 1 }, tokens: { id: [1, 2, 3, 4], mask: [1, 1, 0, 1] } },
    { id: "b", reward: 2, signals: { ref_reward_1: 1 }, tokens: { id: [1] } },
  ];
  const params = { method: "centered", ceil: 3, length_penalty: 0.5, length_threshold: 1 };
  near(shaped(rollouts, params), [3 - 0.5 * 2 - 1, 1]);
  near(shapeReward({ reward: [9, 2], method: "none", ceil: 3 }), [3, 2]);
});

test("references are consecutive from 1 and at most max_refs", () => {
  const rollout = (signals: Record<string, unknown>, id = "a"): RolloutObject => ({ id, reward: 0, signals });
  const three = { ref_reward_1: 1, ref_reward_2: 2, ref_reward_3: 6 };
  near(shaped([rollout(three)], { method: "centered" }), [-3]);
  near(shaped([rollout(three)], { method: "centered", max_refs: 2 }), [-1.5]);
  const gaps = [
    rollout(three),
    rollout({ ref_reward_1: 1, ref_reward_3: 6 }, "b"),
    rollout({ ref_reward_1: 1, ref_reward_2: null, ref_reward_3: 6 }, "c"),
  ];
  near(shaped(gaps, { method: "centered" }), [-3, -1, -1]);
  expect(warningsOf("par", gaps)).toEqual([expect.stringContaining('"b"')]);
  expect(warningsOf("par", gaps.slice(0, 1))).toEqual([]);
  expect(() => shaped([rollout({ ref_reward_2: 1 }, "lost")])).toThrow(/no reference reward/);
  expect(() => shaped([rollout(three), rollout({}, "lost")])).toThrow(/lost.*no reference reward/);
  expect(shaped([rollout({}, "fine")], { method: "tanh" })).toEqual([0]);
});

test("running shapings over pieces with statistics collected first give what the whole gives", () => {
  const rollouts = [1, 2, 6, 2, -1].map(
    (reward, i): RolloutObject => ({ id: `${i}`, group: i < 2 ? "p" : "q", reward }),
  );
  for (const method of ["meanstd", "clip", "minmax"]) {
    expectTwoPass("par", rollouts, [[0], [3, 2], [1, 4]], { method });
    expectTwoPass(
      "par",
      rollouts,
      [
        [0, 1],
        [2, 3, 4],
      ],
      { method, advantage: "group" },
    );
  }
});

test("a batch whose rewards are saturated is worth a warning", () => {
  const rollouts = (reward: number): RolloutObject[] => [{ id: "a", reward, signals: { ref_reward_1: 0 } }];
  expect(warningsOf("par", rollouts(9))).toEqual([expect.stringContaining("100 %")]);
  expect(warningsOf("par", rollouts(2))).toEqual([]);
  expect(warningsOf("par", rollouts(2), { length_penalty: 1 })).toEqual([expect.stringContaining("length_penalty")]);
});

test("functions refuse what does not fit", () => {
  expect(() => parReward({ reward: [1, 2], refs: [[1]] })).toThrow(/refs/);
  expect(() => parReward({ reward: [1], refs: [[]] })).toThrow(/no reference reward/);
  expect(() => shapeReward({ reward: [1], method: "par" })).toThrow(/no reference reward/);
  expect(() => shapeReward({ reward: [1], method: "best" as never })).toThrow(/method/);
  expect(() => shapeReward({ reward: [null] as never, method: "none" })).toThrow(InputError);
  expect(() => shapeRewardStream({ batches: [[1]], method: "par" as never })).toThrow(/method/);
  expect(() => parReward({ reward: [1], refs: [[1]], k: 0 })).toThrow(/k/);
});
