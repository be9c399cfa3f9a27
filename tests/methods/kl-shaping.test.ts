import fc from "fast-check";
import { expect, test } from "vitest";
import { adaptiveKlCoef, fullKl, klLoss, klPenalty } from "../../src/methods/shaping/kl-shaping.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit, warningsOf } from "./credit.ts";

const kinds = ["k1", "abs", "k2", "k3", "k1+", "k3+"] as const;
const logits = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 5, maxLength: 5 });
const logSoftmax = (z: readonly number[]) => {
  const norm = Math.log(z.reduce((sum, x) => sum + Math.exp(x), 0));
  return z.map((x) => x - norm);
};
const near = (actual: readonly number[], expected: readonly number[], tolerance: number) => {
  actual.forEach((x, k) => {
    expect(Math.abs(x - expected[k]), `[${k}] ${x} ${expected[k]}`).toBeLessThan(tolerance);
  });
};

test("on-policy, each way of using an estimator optimises what the card says", () => {
  fc.assert(
    fc.property(logits, logits, (ours, theirs) => {
      const p = logSoftmax(ours);
      const q = logSoftmax(theirs);
      const pi = p.map(Math.exp);
      // Gradient by the logits of E_π[w(a)], where the weight w stands in front of ∇ log π(a).
      const pull = (w: readonly number[]) => {
        const mean = pi.reduce((sum, x, a) => sum + x * w[a], 0);
        return pi.map((x, a) => x * (w[a] - mean));
      };
      const used = (kind: (typeof kinds)[number]) => klPenalty({ logprob: p, ref_logprob: q, kind });
      const forward = pull(p.map((x, a) => x - q[a]));
      const backward = pi.map((x, a) => x - Math.exp(q[a]));
      near(pull(used("k1").value), forward, 1e-12);
      near(pull(used("k2").grad), forward, 1e-12);
      near(pull(used("k3+").grad), forward, 1e-12);
      near(pull(used("k3").grad), backward, 1e-12);
      near(pull(used("k1").grad), [0, 0, 0, 0, 0], 1e-12);
      near(
        [pi.reduce((sum, x, a) => sum + x * used("k3").value[a], 0)],
        fullKl({ logits: [ours], ref_logits: [theirs] }),
        1e-9,
      );
    }),
  );
});

test("the weights of the loss are minus its slopes by the log-probabilities", () => {
  const rows = fc.array(
    fc.array(fc.tuple(fc.double({ min: -2, max: 0, noNaN: true }), fc.constantFrom<0 | 1>(0, 1)), { maxLength: 4 }),
    { maxLength: 4 },
  );
  const aggs = [
    "token-mean",
    "token-sum",
    "seq-mean-token-sum",
    "seq-mean-token-mean",
    "seq-mean-token-sum-norm",
  ] as const;
  fc.assert(
    fc.property(rows, fc.constantFrom("k1", "k2", "k3"), fc.constantFrom(...aggs), (list, kind, agg) => {
      const logprob = list.map((row) => row.map(([x]) => x));
      const args = {
        ref_logprob: logprob.map((row) => row.map((x, t) => x / 2 - 0.1 * t)),
        mask: list.map((row) => row.map(([, m]) => m)),
        kind: kind as "k1",
        agg,
      };
      const { loss, weight } = klLoss({ logprob, ...args });
      expect(Number.isFinite(loss)).toBe(true);
      logprob.forEach((row, i) => {
        row.forEach((_, t) => {
          const h = 1e-6;
          const moved = (by: number) =>
            klLoss({ logprob: logprob.map((r, j) => r.map((x, s) => (i === j && s === t ? x + by : x))), ...args })
              .loss;
          near([weight[i][t]], [(moved(-h) - moved(h)) / (2 * h)], 1e-5);
        });
      });
    }),
    { numRuns: 40 },
  );
});

test("the loss is k3 over the mean of tokens unless told otherwise, and 0 where nothing counts", () => {
  const args = { logprob: [[-0.1, -9], [-0.5]], ref_logprob: [[-0.3, -1], [-0.2]], mask: [[1, 0], [1]] as (0 | 1)[][] };
  const k3 = klPenalty({ logprob: [-0.1, -0.5], ref_logprob: [-0.3, -0.2], kind: "low_var_kl" }).value;
  near([klLoss(args).loss], [(k3[0] + k3[1]) / 2], 1e-12);
  near([klLoss({ ...args, agg: "seq-mean-token-sum-norm", loss_scale: 4 }).loss], [(k3[0] + k3[1]) / 8], 1e-12);
  expect(klLoss({ ...args, mask: [[0, 0], [0]] })).toEqual({ loss: 0, weight: [[0, 0], [0]] });
});

test("log-probabilities of −1000 stay finite, and k3 bounded", () => {
  for (const kind of kinds) {
    const { value, grad } = klPenalty({ logprob: [-1000, 0], ref_logprob: [0, -1000], kind });
    for (const x of [...value, ...grad]) expect(Number.isFinite(x)).toBe(true);
  }
  expect(klPenalty({ logprob: [-1000, 0], ref_logprob: [0, -1000], kind: "k3" }).value).toEqual([10, 10]);
  near(fullKl({ logits: [[1000, 0]], ref_logits: [[0, 1000]] }), [1000], 1e-9);
});

test("the controller moves by at most a fifth of n_steps / horizon", () => {
  expect(adaptiveKlCoef({ coef: 0.2, kl: 6, target: 6, horizon: 10, n_steps: 5 })).toBe(0.2);
  near([adaptiveKlCoef({ coef: 1, kl: 600, target: 6, horizon: 10, n_steps: 5 })], [1.1], 1e-12);
  near([adaptiveKlCoef({ coef: 1, kl: -600, target: 6, horizon: 10, n_steps: 5 })], [0.9], 1e-12);
  near([adaptiveKlCoef({ coef: 1, kl: 6.6, target: 6, horizon: 10, n_steps: 5 })], [1.05], 1e-12);
  expect(() => adaptiveKlCoef({ coef: 1, kl: 1, target: 0, horizon: 1, n_steps: 1 })).toThrow(InputError);
});

test("functions refuse unknown kinds, null, NaN and lists that do not fit", () => {
  const bad = (args: Record<string, unknown>) => () =>
    klPenalty({ logprob: [-1], ref_logprob: [-1], ...args } as never);
  expect(bad({ kind: "k4" })).toThrow(/kind/);
  expect(bad({ kind: "full" })).toThrow(/kind/);
  expect(bad({ kind: "k2+" })).toThrow(/kind/);
  expect(bad({ logprob: [null] })).toThrow(/logprob\.0.*null/);
  expect(bad({ logprob: [Number.NaN] })).toThrow(InputError);
  expect(bad({ ref_logprob: [-1, -2] })).toThrow(/ref_logprob.*expected 1, got 2/);
  expect(() => fullKl({ logits: [[1, 2]], ref_logits: [[1]] })).toThrow(/ref_logits\.0/);
  expect(() => fullKl({ logits: [[]], ref_logits: [[]] })).toThrow(/empty/);
  expect(() => klLoss({ logprob: [[-1]], ref_logprob: [[-1]], mask: [[1], [1]] })).toThrow(/mask/);
  expect(() => klLoss({ logprob: [[-1]], ref_logprob: [[-1]], agg: "median" as never })).toThrow(/agg/);
});

const rollouts: RolloutObject[] = [
  {
    id: "a",
    reward: 20,
    tokens: { mask: [1, 0, 1], logprob: [-0.1, -5, -40], ref_logprob: [-0.3, -1, -0.5], full_kl: [0.5, 9, 0.25] },
  },
  { id: "b", reward: 7, tokens: { mask: [0], logprob: [-1], ref_logprob: [-1], full_kl: [3] } },
];

test("names of one estimator agree, and full takes the recorded divergence", () => {
  for (const [name, same] of [
    ["kl", "k1"],
    ["mse", "k2"],
    ["low_var_kl", "k3"],
  ]) {
    expect(credit("kl-shaping", rollouts, { kind: name }, "tokens.kl")).toEqual(
      credit("kl-shaping", rollouts, { kind: same }, "tokens.kl"),
    );
  }
  expect(credit("kl-shaping", rollouts, { kind: "full" }, "tokens.kl")).toEqual([0.5, 0, 0.25, 0]);
  expect(credit("kl-shaping", rollouts, { kind: "full" }, "rollout.kl")).toEqual([0.375, 0]);
});

test("the outcome is cut before it is placed, the KL of a token to its range; without a policy token it is lost", () => {
  const params = { kl_coef: 1, reward_clip: [-10, 10], kl_clip: 2 };
  const reward = credit("kl-shaping", rollouts, params, "tokens.reward");
  near(reward, [-0.2, 0, 12, 0], 1e-12);
  near(credit("kl-shaping", rollouts, params, "rollout.reward_shaped"), [11.8, 0], 1e-12);
  const recorded = rollouts.map(({ tokens, ...rest }) => ({
    ...rest,
    tokens: { ...tokens, reward: tokens?.full_kl?.map(() => 20) },
  }));
  // Recorded token rewards are not cut, and need no outcome.
  near(credit("kl-shaping", recorded as RolloutObject[], params, "tokens.reward"), [19.8, 0, 22, 0], 1e-12);
  const { reward: _, ...unscored } = recorded[0];
  near(credit("kl-shaping", [unscored as RolloutObject], params, "tokens.reward"), [19.8, 0, 22], 1e-12);
});

test("a null outcome, a missing level or column is named", () => {
  expect(() => credit("kl-shaping", [{ ...rollouts[0], id: "lost", reward: null }], { reward_clip: [0, 1] })).toThrow(
    /lost/,
  );
  expect(() => credit("kl-shaping", [{ id: "lost", reward: 1 }])).toThrow(/lost.*no tokens/);
  const bare = { id: "lost", reward: 1, tokens: { logprob: [-1], ref_logprob: [-1] } };
  expect(() => credit("kl-shaping", [bare], { kind: "full" })).toThrow(/full_kl/);
  expect(() => credit("kl-shaping", [bare], { kind: "k1+" })).toThrow(/kind/);
});

test("an estimator whose reward form follows no divergence is worth a warning", () => {
  expect(warningsOf("kl-shaping", rollouts, { kind: "k3" })).toHaveLength(1);
  expect(warningsOf("kl-shaping", rollouts)).toEqual([]);
});
