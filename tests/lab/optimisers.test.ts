import { describe, expect, test } from "vitest";
import { AdamW } from "../../src/lab/optimisers/adamw.ts";
import { globalNorm } from "../../src/lab/optimisers/gradient-norm.ts";
import type { Optimiser } from "../../src/lab/optimisers/optimiser.ts";
import { schedule } from "../../src/lab/optimisers/schedule.ts";
import { Sgd } from "../../src/lab/optimisers/sgd.ts";
import { copied } from "../../src/lab/policies/arrays.ts";
import type { Parameters } from "../../src/lab/policies/policy.ts";
import { Random } from "../../src/lab/random.ts";
import { InputError } from "../../src/rollouts/index.ts";

const constant = (rate: number) => schedule({ rate });

describe("schedule", () => {
  test("rises over the warm-up, then falls as told and stays at its end", () => {
    const linear = schedule({ kind: "linear", rate: 2, warmup: 4, total: 8, end: 0.25 });
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(linear)).toEqual([0.5, 1, 1.5, 2, 2, 1.625, 1.25, 0.875, 0.5, 0.5]);
    const cosine = schedule({ kind: "cosine", rate: 1, total: 4 });
    [1, 0.5 + Math.SQRT1_2 / 2, 0.5, 0.5 - Math.SQRT1_2 / 2, 0, 0].forEach((rate, step) => {
      expect(cosine(step)).toBeCloseTo(rate, 12);
    });
    expect([0, 1, 2, 50].map(schedule({ rate: 3, warmup: 2 }))).toEqual([1.5, 3, 3, 3]);
  });

  test("refuses what makes no sense", () => {
    const wrong = [
      { rate: -1 },
      { rate: NaN },
      { rate: 1, warmup: 0.5 },
      { rate: 1, end: 2 },
      { kind: "linear" as const, rate: 1 },
      { kind: "cosine" as const, rate: 1, warmup: 5, total: 5 },
    ];
    for (const options of wrong) expect(() => schedule(options)).toThrow(InputError);
  });
});

describe("AdamW", () => {
  test("takes the steps of the paper's algorithm", () => {
    const [rate, beta1, beta2, eps, weightDecay] = [0.1, 0.8, 0.9, 1e-3, 0.05];
    const optimiser = new AdamW({ schedule: constant(rate), beta1, beta2, eps, weightDecay, decays: (n) => n === "w" });
    const parameters = { w: Float64Array.of(1, -2), bias: Float64Array.of(0.5) };
    const gradients = [
      { w: [0.3, -0.1], bias: [2] },
      { w: [-0.2, 0.4], bias: [0] },
    ];
    for (const { w, bias } of gradients)
      optimiser.update(parameters, { w: Float64Array.from(w), bias: Float64Array.from(bias) });
    const byHand = (start: number, g: number[], decay: number) => {
      let [theta, m, v] = [start, 0, 0];
      g.forEach((x, k) => {
        m = beta1 * m + (1 - beta1) * x;
        v = beta2 * v + (1 - beta2) * x ** 2;
        const [mHat, vHat] = [m / (1 - beta1 ** (k + 1)), v / (1 - beta2 ** (k + 1))];
        theta = theta - rate * (mHat / (Math.sqrt(vHat) + eps) + decay * theta);
      });
      return theta;
    };
    expect(parameters.w[0]).toBeCloseTo(byHand(1, [0.3, -0.2], weightDecay), 14);
    expect(parameters.w[1]).toBeCloseTo(byHand(-2, [-0.1, 0.4], weightDecay), 14);
    expect(parameters.bias[0]).toBeCloseTo(byHand(0.5, [2, 0], 0), 14);
  });

  test("its first step is the learning rate in every direction, however large the gradient", () => {
    const parameters = { w: new Float64Array(3) };
    new AdamW({ schedule: constant(0.01) }).update(parameters, { w: Float64Array.of(1e-3, -5, 1e6) });
    for (const [k, sign] of [-1, 1, -1].entries()) expect(parameters.w[k]).toBeCloseTo(0.01 * sign, 6);
  });
});

test("SGD follows the gradient, with momentum what is left of the last steps too", () => {
  const parameters = { w: Float64Array.of(1) };
  const optimiser = new Sgd({ schedule: constant(0.5), momentum: 0.5 });
  optimiser.update(parameters, { w: Float64Array.of(2) });
  expect(parameters.w[0]).toBe(0);
  optimiser.update(parameters, { w: Float64Array.of(1) });
  expect(parameters.w[0]).toBe(-1);
});

test("the gradient is scaled down as a whole when its norm is beyond the bound", () => {
  const parameters = { a: new Float64Array(1), b: new Float32Array(2) };
  const optimiser = new Sgd({ schedule: constant(1), maxNorm: 1 });
  const made = optimiser.update(parameters, { a: Float64Array.of(3), b: Float32Array.of(0, 4) });
  expect(made).toEqual({ rate: 1, gradientNorm: 5, clipped: 0.2 });
  expect(parameters.a[0]).toBeCloseTo(-0.6, 12);
  expect(parameters.b[1]).toBeCloseTo(-0.8, 6);
  expect(optimiser.update(parameters, { a: Float64Array.of(0.6), b: Float32Array.of(0, 0.5) }).clipped).toBe(1);
  expect(globalNorm({ w: Float64Array.of(3e200, 4e200) })).toBeCloseTo(5e200, -190);
  expect(globalNorm({ w: new Float64Array(4) })).toBe(0);
});

const makers: Record<string, () => Optimiser> = {
  adamw: () =>
    new AdamW({
      schedule: schedule({ kind: "cosine", rate: 0.1, warmup: 3, total: 20 }),
      weightDecay: 0.01,
      maxNorm: 1,
    }),
  sgd: () => new Sgd({ schedule: schedule({ kind: "linear", rate: 0.1, total: 20 }), momentum: 0.9 }),
};

describe.each(Object.entries(makers))("%s", (_, make) => {
  const gradients = (random: Random, length: number): Parameters => ({
    w: Float32Array.from({ length }, () => random.uniform() - 0.5),
    b: Float64Array.of(random.uniform()),
  });
  const start = (length = 8): Parameters => ({ w: new Float32Array(length).fill(1), b: Float64Array.of(1) });

  test("goes on from its saved state to the same bits", () => {
    const random = new Random(1);
    const all = Array.from({ length: 10 }, () => gradients(random, 8));
    const straight = start();
    const one = make();
    for (const gradient of all) one.update(straight, gradient);
    const halves = start();
    const first = make();
    for (const gradient of all.slice(0, 4)) first.update(halves, gradient);
    const saved = first.state();
    first.update(halves, all[4]);
    const second = make();
    second.restore(saved);
    const resumed = start();
    const again = make();
    for (const gradient of all.slice(0, 4)) again.update(resumed, gradient);
    for (const gradient of all.slice(4)) second.update(resumed, gradient);
    expect(resumed).toEqual(straight);
    expect(second.state()).toEqual(one.state());
  });

  test("a parameter that grows is treated as though its new entries had been there without a gradient", () => {
    const [grown, whole] = [make(), make()];
    const [small, large] = [start(4), start(8)];
    small.w.fill(0);
    large.w.fill(0);
    const g = Float32Array.of(1, 2, 3, 4);
    for (let k = 0; k < 3; k++) {
      grown.update(small, { w: g, b: Float64Array.of(1) });
      whole.update(large, { w: Float32Array.of(...g, 0, 0, 0, 0), b: Float64Array.of(1) });
    }
    const next = { w: Float32Array.of(...g, 5, 6, 7, 8), b: Float64Array.of(1) };
    const wider = { w: Float32Array.of(...small.w, 0, 0, 0, 0), b: small.b };
    grown.update(wider, next);
    whole.update(large, next);
    expect(wider).toEqual(large);
  });

  test("a gradient that does not fit or is not finite changes nothing", () => {
    const optimiser = make();
    const parameters = start();
    optimiser.update(parameters, gradients(new Random(2), 8));
    const before = [copied(parameters), optimiser.state()];
    const wrong: Parameters[] = [
      { w: new Float32Array(8) },
      { w: new Float32Array(7), b: new Float64Array(1) },
      { w: new Float32Array(8), b: new Float64Array(1), c: new Float64Array(1) },
      { w: new Float32Array(8), b: Float64Array.of(NaN) },
      { w: new Float32Array(8), b: Float64Array.of(Number.POSITIVE_INFINITY) },
    ];
    for (const gradient of wrong) expect(() => optimiser.update(parameters, gradient)).toThrow(InputError);
    expect([parameters, optimiser.state()]).toEqual(before);
  });

  test("a state that is not its own is refused", () => {
    const optimiser = make();
    expect(() => optimiser.restore({})).toThrow(/step/);
    expect(() => optimiser.restore({ step: Float64Array.of(0.5) })).toThrow(/step/);
    expect(() => optimiser.restore({ step: Float64Array.of(1), "other.w": new Float64Array(1) })).toThrow(/other\.w/);
    const kind = Object.keys(optimiser.state()).length;
    expect(kind).toBe(1);
  });
});

test("options out of range are refused", () => {
  expect(() => new AdamW({ schedule: constant(1), beta1: 1 })).toThrow(/beta1/);
  expect(() => new AdamW({ schedule: constant(1), eps: 0 })).toThrow(/eps/);
  expect(() => new AdamW({ schedule: constant(1), maxNorm: 0 })).toThrow(/maxNorm/);
  expect(() => new AdamW({ schedule: constant(1), weightDecay: -1 })).toThrow(/weightDecay/);
  expect(() => new Sgd({ schedule: constant(1), momentum: 1 })).toThrow(/momentum/);
});
