import fc from "fast-check";
import { expect, test } from "vitest";
import { lossKinds } from "../../src/methods/loss/policy-kinds.ts";
import { aggregateLoss, lossWeights, policyLoss } from "../../src/methods/loss/policy-losses.ts";
import { aggregations } from "../../src/operators/aggregation.ts";
import { InputError } from "../../src/rollouts/index.ts";

const token = fc.record({
  logprob: fc.double({ min: -2, max: -0.05, noNaN: true }),
  old: fc.double({ min: -2, max: -0.05, noNaN: true }),
  advantage: fc.double({ min: -2, max: 2, noNaN: true }),
  mask: fc.constantFrom<0 | 1>(0, 1, 1),
  weight: fc.double({ min: 0, max: 2, noNaN: true }),
});
const rows = fc.array(fc.array(token, { maxLength: 4 }), { minLength: 1, maxLength: 3 });
type Token = { logprob: number; old: number; advantage: number; mask: 0 | 1; weight: number };

const input = (list: readonly (readonly Token[])[]) => ({
  logprob: list.map((row) => row.map((t) => t.logprob)),
  old_logprob: list.map((row) => row.map((t) => t.old)),
  advantage: list.map((row) => row.map((t) => t.advantage)),
  mask: list.map((row) => row.map((t) => t.mask)),
  is_weight: list.map((row) => row.map((t) => t.weight)),
});

/** Kinds whose weight is the plain derivative of the loss: in the others a factor counts as a constant. */
const differentiable = ["vanilla", "gpg", "dro", "sapo", "clip_cov", "kl_cov", "geo_mean"] as const;

test("weights are minus the derivative of the loss by the log-probabilities", () => {
  const options = fc.record({ agg: fc.constantFrom(...aggregations), clip_cov_lb: fc.constant(-1) });
  fc.assert(
    fc.property(rows, fc.constantFrom(...differentiable), options, (list, loss, p) => {
      const args = { ...input(list), loss, ...p };
      if (loss === "geo_mean") {
        // The advantage of a row is meant to be one number.
        args.advantage = args.advantage.map((row) => row.map(() => row[0]));
      }
      const { weight } = policyLoss(args);
      list.forEach((row, i) => {
        row.forEach((_, t) => {
          const at = (h: number) =>
            policyLoss({
              ...args,
              logprob: args.logprob.map((r, k) => r.map((l, u) => (k === i && u === t ? l + h : l))),
            });
          const [up, down] = [at(1e-6), at(-1e-6)];
          // At a kink the two one-sided derivatives differ; which tokens are chosen may change too, also elsewhere.
          const kink = up.weight.some((r, k) => r.some((w, u) => Math.abs(w - down.weight[k][u]) > 1e-4));
          if (kink || up.clip_fraction !== down.clip_fraction) return;
          expect(weight[i][t]).toBeCloseTo(-(up.loss - down.loss) / 2e-6, 3);
        });
      });
    }),
    { numRuns: 200 },
  );
});

test("on-policy every kind but the averaged ones is the plain policy gradient", () => {
  fc.assert(
    fc.property(rows, fc.constantFrom(...lossKinds), (list, loss) => {
      const { logprob, advantage, mask } = input(list);
      const one = advantage.map((row) => row.map(() => row[0]));
      const { weight, clip_fraction, approx_kl } = policyLoss({
        loss,
        logprob,
        advantage: one,
        mask,
        clip_cov_lb: 1e9,
        kl_cov_coef: 0,
        agg: loss === "geo_mean" ? null : "seq-mean-token-mean",
      });
      const u = lossWeights({ mask, mode: "seq-mean-token-mean" });
      for (const [i, row] of u.entries()) {
        for (const [t, x] of row.entries()) expect(weight[i][t]).toBeCloseTo(x * one[i][t], 12);
      }
      if (loss !== "kl_cov") expect(clip_fraction).toBe(0);
      expect(approx_kl).toBe(0);
    }),
  );
});

test("what a token of ratio 1.4 and advantage 1 keeps", () => {
  const one = (args: object) =>
    policyLoss({ loss: "vanilla", logprob: [[-1 + Math.log(1.4)]], old_logprob: [[-1]], advantage: [[1]], ...args });
  expect(one({}).weight).toEqual([[0]]);
  expect(one({ loss: "cispo" }).weight[0][0]).toBeCloseTo(1.2, 12);
  expect(one({ clip_high: 10 }).weight[0][0]).toBeCloseTo(1.4, 12);
  const gate = 1 / (1 + Math.exp(-0.4));
  expect(one({ loss: "sapo" }).weight[0][0]).toBeCloseTo(4 * gate * (1 - gate) * 1.4, 12);
});

test("aggregations agree with their weights, and with nothing to average are 0", () => {
  fc.assert(
    fc.property(rows, fc.constantFrom(...aggregations), (list, mode) => {
      const { logprob: token_loss, mask } = input(list);
      const u = lossWeights({ mask, mode });
      const sum = u.flatMap((row, i) => row.map((x, t) => x * token_loss[i][t])).reduce((a, b) => a + b, 0);
      expect(aggregateLoss({ token_loss, mask, mode })).toBeCloseTo(sum, 12);
    }),
  );
  expect(aggregateLoss({ token_loss: [], mode: "token-mean" })).toBe(0);
  expect(policyLoss({ loss: "gspo", logprob: [[-1]], advantage: [[1]], mask: [[0]] })).toEqual({
    loss: 0,
    weight: [[0]],
    clip_fraction: 0,
    clip_fraction_low: 0,
    approx_kl: 0,
  });
});

test("masked tokens are not read, huge ratios stay finite", () => {
  const masked = { loss: "vanilla", logprob: [[-1, null]], advantage: [[2, null]], mask: [[1, 0]] } as const;
  expect(policyLoss({ ...masked, logprob: [[-1, null]], advantage: [[2, null]], mask: [[1, 0]] }).weight).toEqual([
    [2, 0],
  ]);
  for (const loss of lossKinds) {
    const { loss: value } = policyLoss({ loss, logprob: [[-1, -1]], old_logprob: [[-900, -1]], advantage: [[-1, 1]] });
    expect(Number.isFinite(value)).toBe(true);
  }
});

test("rows of different length, unknown kinds and settings out of range are refused", () => {
  const fine = { loss: "vanilla", logprob: [[-1, -1]], advantage: [[1, 1]] } as const;
  const bad = [
    { ...fine, advantage: [[1]] },
    { ...fine, advantage: [] },
    { ...fine, mask: [[1]] },
    { ...fine, mask: [[1, 2]] },
    { ...fine, logprob: [[-1, Number.NaN]] },
    { ...fine, logprob: [[-1, null]] },
    { ...fine, loss: "ppo" },
    { ...fine, clip_c: 1 },
    { ...fine, agg: "mean" },
    { ...fine, is_weight: [[-1, 1]] },
  ];
  for (const args of bad) expect(() => policyLoss(args as never), JSON.stringify(args)).toThrow(InputError);
});
