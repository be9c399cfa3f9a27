import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { flBatchLoss } from "../../src/methods/diffusion/fl-gfn.ts";
import { balanceRewardGradients, balanceSchedule, nftLoss } from "../../src/methods/diffusion/marble.ts";
import { minNormWeights } from "../../src/methods/diffusion/min-norm.ts";
import { soarExample } from "../../src/methods/diffusion/soar-diffusion.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

const real = fc.double({ min: -3, max: 3, noNaN: true });
const gradients = (count: number) =>
  fc.array(fc.array(real, { minLength: 3, maxLength: 3 }), { minLength: 2, maxLength: count });
const dot = (u: readonly number[], v: readonly number[]) => u.reduce((sum, x, c) => sum + x * v[c], 0);

test("no gradient is opposed by the common direction", () => {
  fc.assert(
    fc.property(gradients(6), (grads) => {
      const { combined, alphas, rescale_factor, raw_norms } = balanceRewardGradients({ grads });
      const size = dot(combined, combined);
      if (rescale_factor === 0) return;
      expect(alphas.reduce((sum, a) => sum + a, 0)).toBeCloseTo(1, 9);
      for (const [k, g] of grads.entries()) {
        if (raw_norms[k] <= 1e-12) continue;
        const along = (dot(g, combined) / raw_norms[k]) * rescale_factor;
        expect(along).toBeGreaterThanOrEqual(size - 1e-6 * (1 + rescale_factor ** 2));
      }
    }),
  );
});

test("weights by supports and by descent agree on the length of the direction", () => {
  fc.assert(
    fc.property(gradients(6), fc.double({ min: 0, max: 0.1, noNaN: true }), (grads, floor) => {
      const n = grads.length;
      const gram = Float64Array.from({ length: n * n }, (_, at) => dot(grads[Math.floor(at / n)], grads[at % n]));
      const length = (a: ArrayLike<number>) => {
        const d = [0, 1, 2].map((c) => grads.reduce((sum, g, k) => sum + a[k] * g[c], 0));
        return dot(d, d);
      };
      // Copies of the last one do not change the hull, but they exceed what can be enumerated.
      const many = 12;
      const index = Array.from({ length: many }, (_, k) => Math.min(k, n - 1));
      const wide = Float64Array.from(
        { length: many * many },
        (_, at) => gram[index[Math.floor(at / many)] * n + index[at % many]],
      );
      const folded = new Float64Array(n);
      for (const [k, a] of minNormWeights(wide, many, 0).entries()) folded[index[k]] += a;
      expect(length(folded)).toBeCloseTo(length(minNormWeights(gram, n, 0)), 6);
      const bounded = minNormWeights(gram, n, floor);
      for (const a of bounded) expect(a).toBeGreaterThanOrEqual(floor - 1e-9);
      expect(length(bounded)).toBeGreaterThanOrEqual(length(minNormWeights(gram, n, 0)) - 1e-9);
    }),
    { numRuns: 40 },
  );
  // Twelve gradients of nothing: any weights do, but they must be numbers.
  expect([...minNormWeights(new Float64Array(144), 12, 0)]).toEqual(new Array(12).fill(1 / 12));
});

test("equal gradients share equally", () => {
  const { alphas } = balanceRewardGradients({
    grads: [
      [1, 2],
      [1, 2],
      [2, 4],
    ],
  });
  for (const alpha of alphas) expect(alpha).toBeCloseTo(1 / 3, 9);
});

test("a solve is due at first and then every n updates", () => {
  expect(balanceSchedule({ steps: 5, every_n: 2 })).toEqual([true, false, true, false, true]);
});

test("the loss is affine in the advantage inside the clip", () => {
  fc.assert(
    fc.property(fc.double({ min: -5, max: 5, noNaN: true }), (advantage) => {
      const sample = {
        x0: [0, 1],
        xt: [0.5, 1],
        t: 0.5,
        v: [1, 0],
        v_old: [0.8, 0.2],
        v_ref: [1, 0.2],
        adv_clip_max: 5,
      };
      const [low, high, at] = [-5, 5, advantage].map((a) => nftLoss({ ...sample, advantage: a }).policy_loss);
      expect(at).toBeCloseTo(low + ((advantage + 5) / 10) * (high - low), 9);
    }),
  );
});

test("every correction point leads back to the clean sample", () => {
  fc.assert(
    fc.property(
      fc.array(real, { minLength: 8, maxLength: 8 }),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      (x, u) => {
        const [z0, z1, v_uncond, v_cond] = [0, 2, 4, 6].map((at) => x.slice(at, at + 2));
        const { points } = soarExample({
          z0,
          z1,
          v_uncond,
          v_cond,
          sigma0: 0.6,
          sigma1: 0.4,
          cfg_scale: 2,
          u: [u],
          mode: "cps",
        });
        for (const { sigma, z, target } of points) {
          for (const [c, value] of z.entries()) expect(value - sigma * target[c]).toBeCloseTo(z0[c], 9);
        }
      },
    ),
  );
});

test("sub-trajectory balance goes from detailed balance to trajectory balance", () => {
  fc.assert(
    fc.property(fc.array(real, { minLength: 1, maxLength: 6 }), (d) => {
      const squares = d.reduce((sum, x) => sum + x * x, 0) / d.length;
      const whole = d.reduce((sum, x) => sum + x, 0) ** 2;
      expect(flBatchLoss({ residuals: [d], reduction: "subtb", lam: 1e-9 })).toBeCloseTo(squares, 6);
      expect(flBatchLoss({ residuals: [d], reduction: "subtb", lam: 1e9 })).toBeCloseTo(whole, 5);
    }),
  );
});

test("sub-trajectory balance is the weighted mean over all pairs of states", () => {
  const lams = fc.oneof(fc.double({ min: 0.05, max: 1, noNaN: true }), fc.double({ min: 1, max: 4, noNaN: true }));
  fc.assert(
    fc.property(fc.array(real, { minLength: 1, maxLength: 40 }), lams, (d, lam) => {
      let total = 0;
      let weights = 0;
      for (let i = 0; i < d.length; i++) {
        let sum = 0;
        for (let j = i; j < d.length; j++) {
          sum += d[j];
          total += lam ** (j - i) * sum * sum;
          weights += lam ** (j - i);
        }
      }
      const found = flBatchLoss({ residuals: [d], reduction: "subtb", lam });
      expect(Math.abs(found - total / weights)).toBeLessThan(1e-10 * Math.max(1, found));
    }),
  );
  const long = Array.from({ length: 100_000 }, (_, k) => (k % 2 === 0 ? 1 : -1));
  for (const lam of [1e-3, 0.9, 1, 1.1, 50]) {
    expect(flBatchLoss({ residuals: [long], reduction: "subtb", lam })).toBeGreaterThan(0);
  }
});

test("an unfinished trajectory needs the flow of its last state", () => {
  const steps = { log_pf: [0], log_pb: [0], log_flow: [0], energy: [1] };
  const unfinished = { id: "a", steps, signals: { complete: 0 } };
  expect(() => assign(batchFromObjects([unfinished]), "fl-gfn")).toThrow(/signals\.log_flow_final/);
  const finished = assign(batchFromObjects([{ id: "a", steps }]), "fl-gfn");
  expect(finished.cells("steps.residual")).toEqual([1]);
});

test("driving rewards stop at the first end and count a latch in rows", () => {
  const steps = { route_completion: [1, 2, 3], red_light: [0, 1, 0], ttc_violation: [1, 0, 0] };
  const result = assign(batchFromObjects([{ id: "a", steps }]), "carl-driving", { ttc_steps: 1 });
  expect(result.cells("steps.reward")).toEqual([0.5, 0, 0]);
  expect(result.cells("steps.terminated")).toEqual([0, 1, 0]);
});
