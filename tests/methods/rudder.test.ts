import fc from "fast-check";
import { expect, test } from "vitest";
import { linearReturnDecomposition } from "../../src/methods/redistribution/linear-decomposition.ts";
import { redistributeReturn } from "../../src/methods/redistribution/rudder.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const value = fc.double({ min: -2, max: 2, noNaN: true });
const rollouts = fc
  .array(
    fc.record({
      reward: value,
      base: value,
      rows: fc.array(fc.record({ g: value, r: value }), { minLength: 1, maxLength: 5 }),
      given: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((list) =>
    list.map(({ reward, base, rows, given }, i) => ({
      id: `r${i}`,
      reward,
      signals: { return_prediction_0: base },
      turns: { return_prediction: rows.map((x) => x.g), ...(given ? { reward: rows.map((x) => x.r) } : {}) },
    })),
  );

test("credit equals the definition; with a correction the rewards add up to the return", () => {
  const params = fc.record({
    correction: fc.constantFrom("equal", "last", "none"),
    mix: fc.constantFrom(0, 0.5, 1),
    credit: fc.constantFrom("reward", "return"),
    gamma: fc.constantFrom(1, 0.9),
  });
  fc.assert(
    fc.property(rollouts, params, (list, p) => {
      const redistributed = credit("rudder", list, p, "turns.redistributed_reward");
      const advantage = credit("rudder", list, p, "turns.advantage");
      let row = 0;
      for (const { reward, signals, turns } of list) {
        const g = turns.return_prediction;
        const r = turns.reward ?? g.map((_, t) => (t === g.length - 1 ? reward : 0));
        const total = r.reduce((a, b) => a + b, 0);
        const paid = g.map((x, t) => x - (t === 0 ? signals.return_prediction_0 : g[t - 1]));
        const error = total - paid.reduce((a, b) => a + b, 0);
        const fixed = paid.map((x, t) => {
          if (p.correction === "equal") return x + error / g.length;
          return p.correction === "last" && t === g.length - 1 ? x + error : x;
        });
        const mixed = fixed.map((x, t) => p.mix * x + (1 - p.mix) * r[t]);
        mixed.forEach((x, t) => {
          expect(redistributed[row + t]).toBeCloseTo(x, 9);
          const toGo = mixed.slice(t).reduce((sum, y, k) => sum + p.gamma ** k * y, 0);
          expect(advantage[row + t]).toBeCloseTo(p.credit === "return" ? toGo : x, 9);
        });
        if (p.correction !== "none") {
          const sum = redistributed.slice(row, row + g.length).reduce((a, b) => a + b, 0);
          expect(sum).toBeCloseTo(total, 9);
        }
        row += g.length;
      }
    }),
  );
});

test("one row gets the whole return; tokens of the environment are no rows", () => {
  expect(redistributeReturn({ prediction: [0.3], ret: 2 })).toEqual([2]);
  expect(redistributeReturn({ prediction: [], ret: 2 })).toEqual([]);
  const tokens = { mask: [1, 0, 1], return_prediction: [0.5, null, 0.75] };
  const out = credit("rudder", [{ id: "a", reward: 1, tokens }], { level: "tokens" }, "tokens.advantage");
  expect(out).toEqual([0.625, 0, 0.375]);
  expect(() => credit("rudder", [{ id: "a", reward: 1, turns: { agent: ["x"] } }])).toThrow(/return_prediction/);
});

test("the linear form solves its normal equations and its steps add up to the prediction", () => {
  const features = fc.array(fc.array(fc.array(value, { minLength: 2, maxLength: 2 }), { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(features, fc.array(value, { minLength: 6, maxLength: 6 }), fc.boolean(), (list, all, intercept) => {
      const returns = all.slice(0, list.length);
      const {
        weights,
        intercept: b,
        reward,
        prediction,
      } = linearReturnDecomposition({
        features: list,
        returns,
        ridge: 0.1,
        intercept,
      });
      if (!intercept) expect(b).toBe(0);
      const sums = list.map((steps) => [0, 1].map((k) => steps.reduce((sum, phi) => sum + phi[k], 0)));
      // The derivative of the squared error plus ridge · |w|² by every weight is 0, and by b if there is one.
      const error = sums.map((x, i) => returns[i] - x[0] * weights[0] - x[1] * weights[1] - b);
      for (const k of [0, 1])
        expect(error.reduce((sum, e, i) => sum + e * sums[i][k], 0)).toBeCloseTo(0.1 * weights[k], 8);
      if (intercept) expect(error.reduce((a, e) => a + e, 0)).toBeCloseTo(0, 8);
      for (const [i, row] of reward.entries()) {
        expect(row.reduce((a, x) => a + x, 0)).toBeCloseTo(prediction[i], 12);
        expect(prediction[i]).toBeCloseTo(returns[i] - error[i], 9);
      }
    }),
  );
  for (const bad of [
    { features: [[[1]], [[1, 2]]], returns: [1, 2] },
    { features: [[[1]]], returns: [] },
  ])
    expect(() => linearReturnDecomposition(bad)).toThrow(InputError);
  expect(() => linearReturnDecomposition({ features: [[[1]]], returns: [1], ridge: 0 })).toThrow(InputError);
});
