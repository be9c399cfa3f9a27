import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { primeCeLoss, primeFilter, primePairAccuracy } from "../../src/methods/implicit/prime.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";

const logprob = fc.integer({ min: -50, max: 0 }).map((n) => n / 10);
const token = fc.record({ prm: logprob, ref: logprob, mask: fc.constantFrom(1, 1, 0) });
const response = fc.record({
  group: fc.constantFrom("a", "b"),
  tokens: fc.array(token, { maxLength: 6 }),
  reward: fc.constantFrom(0, 1, null),
});
type Response = { group: string; tokens: { prm: number; ref: number; mask: number }[]; reward: number | null };
const responses = fc.array(response, { minLength: 1, maxLength: 6 });

function batchOf(list: readonly Response[], reference = "ref_logprob") {
  return batchFromObjects(
    list.map(({ group, tokens, reward }, i) => ({
      id: `r${i}`,
      group,
      reward,
      tokens: {
        mask: tokens.map((t) => t.mask),
        prm_logprob: tokens.map((t) => t.prm),
        [reference]: tokens.map((t) => t.ref),
      },
    })),
  );
}

type Settings = {
  rloo: "official" | "paper";
  last_token: "include" | "exclude";
  granularity: "token" | "whole";
  norm: "batch" | "none";
  gamma_rm: number;
  gamma_gt: number;
  rm_coef: number;
  gt_coef: number;
};

const settings: fc.Arbitrary<Settings> = fc.record({
  rloo: fc.constantFrom("official" as const, "paper" as const),
  last_token: fc.constantFrom("include" as const, "exclude" as const),
  granularity: fc.constantFrom("token" as const, "whole" as const),
  norm: fc.constantFrom("batch" as const, "none" as const),
  gamma_rm: fc.constantFrom(1, 0.7),
  gamma_gt: fc.constantFrom(1, 0.9),
  rm_coef: fc.constantFrom(1, 0, 2),
  gt_coef: fc.constantFrom(1, 0, 3),
});

const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

/** The rule as the card words it, with plain lists. */
function definition(list: readonly Response[], p: Settings): { reward: number[][]; advantage: number[][] } {
  const masks = list.map(({ tokens }) => tokens.map((t) => t.mask));
  const q = list.map(({ tokens }, i) => {
    const plain = tokens.map((t) => (t.mask === 1 ? 0.05 * (t.prm - t.ref) : 0));
    const last = masks[i].lastIndexOf(1);
    if (p.last_token === "exclude" && last >= 0) plain[last] = 0;
    return p.granularity === "token" ? plain : plain.map((_, t) => (t === last ? total(plain) : 0));
  });
  const largest = Math.max(0, ...q.flatMap((list_) => list_.map((_, t) => Math.abs(total(list_.slice(t))))));
  const reward = q.map((list_) => list_.map((x) => (p.norm === "batch" ? x / (largest + 1e-6) : x)));
  const means = reward.map((list_, i) => total(list_) / Math.max(1, total(masks[i])));
  const advantage = list.map((own, i) => {
    const others = list.flatMap((other, j) => (j !== i && other.group === own.group ? [j] : []));
    const k = others.length + 1;
    const a = reward[i].map((r, t) => {
      if (masks[i][t] === 0) return 0;
      if (k === 1) return r;
      const sum = total(others.map((j) => means[j]));
      return p.rloo === "paper" ? r - sum / (k - 1) : (r * k) / (k - 1) - (sum + means[i]) / (k - 1);
    });
    const baseline = k === 1 ? 0 : total(others.map((j) => list[j].reward ?? 0)) / (k - 1);
    const last = masks[i].lastIndexOf(1);
    return a.map((_, t) => {
      if (masks[i][t] === 0) return 0;
      const process = total(a.slice(t).map((x, s) => p.gamma_rm ** s * x));
      return p.rm_coef * process + p.gt_coef * p.gamma_gt ** (last - t) * ((own.reward ?? 0) - baseline);
    });
  });
  return { reward, advantage };
}

test("rewards and advantages are those of the definition worked out with plain lists", () => {
  fc.assert(
    fc.property(responses, settings, (list, params) => {
      const batch = assign(batchOf(list), "prime", { ...params, whiten_advantage: false });
      const expected = definition(list, params);
      batch.numbers("tokens.reward").forEach((x, t) => {
        expect(x).toBeCloseTo(expected.reward.flat()[t], 9);
      });
      batch.numbers("tokens.advantage").forEach((x, t) => {
        expect(x).toBeCloseTo(expected.advantage.flat()[t], 9);
      });
      const white = assign(batchOf(list), "prime", params).numbers("tokens.advantage");
      const mask = list.flatMap(({ tokens }) => tokens.map((t) => t.mask));
      const kept = [...white].filter((_, t) => mask[t] === 1);
      expect(total(kept)).toBeCloseTo(0, 6);
      if (kept.length < 2) expect(kept.every((x) => x === 0)).toBe(true);
      expect([...white].every((x, t) => mask[t] === 1 || x === 0)).toBe(true);
    }),
  );
});

test("after the batch norm no return of implicit rewards leaves [-1, 1], and beta has no say", () => {
  fc.assert(
    fc.property(responses, fc.constantFrom(0.5, 5), (list, beta) => {
      const plain = assign(batchOf(list), "prime", { norm_eps: 1e-15 });
      const scaled = assign(batchOf(list), "prime", { beta, norm_eps: 1e-15 });
      const reward = plain.numbers("tokens.reward");
      const offsets = plain.offsets("token");
      for (let i = 0; i < plain.size; i++) {
        for (let t = offsets[i]; t < offsets[i + 1]; t++) {
          expect(Math.abs(total([...reward.subarray(t, offsets[i + 1])]))).toBeLessThanOrEqual(1 + 1e-9);
        }
      }
      scaled.numbers("tokens.reward").forEach((x, t) => {
        expect(x).toBeCloseTo(reward[t], 6);
      });
    }),
  );
});

test("both process baselines add up to the same over a response", () => {
  fc.assert(
    fc.property(responses, (list) => {
      const base = { whiten_advantage: false, gt_coef: 0 };
      const official = assign(batchOf(list), "prime", { ...base, rloo: "official" });
      const paper = assign(batchOf(list), "prime", { ...base, rloo: "paper" });
      const offsets = official.offsets("token");
      list.forEach(({ tokens }, i) => {
        const first = tokens.findIndex((t) => t.mask === 1);
        if (first < 0) return;
        const at = offsets[i] + first;
        expect(official.numbers("tokens.advantage")[at]).toBeCloseTo(paper.numbers("tokens.advantage")[at], 9);
      });
    }),
  );
});

test("the reference is the first column present of the four", () => {
  const list: Response[] = [{ group: "a", tokens: [{ prm: -1, ref: -3, mask: 1 }], reward: 1 }];
  const params = { norm: "none", beta: 1 };
  for (const column of ["prm_ref_logprob", "ref_logprob", "old_logprob", "logprob"]) {
    expect([...assign(batchOf(list, column), "prime", params).numbers("tokens.reward")]).toEqual([2]);
  }
  const both = batchOf(list, "prm_ref_logprob").with({ "tokens.logprob": Float64Array.of(-9) });
  expect([...assign(both, "prime", params).numbers("tokens.reward")]).toEqual([2]);
});

test("the loss is the cross-entropy of the summed log-ratio, finite for any margin", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.array(token, { maxLength: 5 }), fc.constantFrom(0, 1)), { minLength: 1 }),
      (list) => {
        const rows = (name: "prm" | "ref" | "mask") => list.map(([tokens]) => tokens.map((t) => t[name]));
        const reward = list.map(([, o]) => o);
        const naive = list.map(([tokens, o]) => {
          const z = 0.3 * total(tokens.map((t) => (t.mask === 1 ? t.prm - t.ref : 0)));
          const p = 1 / (1 + Math.exp(-z));
          return -o * Math.log(p) - (1 - o) * Math.log(1 - p);
        });
        const loss = primeCeLoss({
          prm_logprob: rows("prm"),
          ref_logprob: rows("ref"),
          mask: rows("mask") as (0 | 1)[][],
          reward,
          beta: 0.3,
        });
        expect(loss).toBeCloseTo(total(naive) / list.length, 9);
      },
    ),
  );
  expect(primeCeLoss({ prm_logprob: [[0]], ref_logprob: [[-1e6]], reward: [0], beta: 1 })).toBe(1e6);
  expect(primeCeLoss({ prm_logprob: [], ref_logprob: [], reward: [] })).toBe(0);
});

test("pair accuracy: 1 for the right order, 0 for the reverse, a half without a pair that differs", () => {
  expect(primePairAccuracy({ score: [3, 2, 1], reward: [1, 0.5, 0] })).toBe(1);
  expect(primePairAccuracy({ score: [1, 2, 3], reward: [1, 0.5, 0] })).toBe(0);
  expect(primePairAccuracy({ score: [1, 2], reward: [1, 1] })).toBe(0.5);
  expect(primePairAccuracy({ score: [], reward: [] })).toBe(0.5);
  // Of the pairs (0, 1), (0, 2), (1, 2) with weights 1, 0.5, 0.5 only the last is in the wrong order.
  expect(primePairAccuracy({ score: [5, 3, 1], reward: [1, 0, 0.5] })).toBe(0.75);
});

test("the filter keeps both of its bounds", () => {
  const rewards = [[1, 0, 0, 0, 0], [1, 1, 1, 1, 0], [1, 1], [0, 0], [1, 0], []];
  expect(primeFilter({ rewards })).toEqual([true, true, false, false, true, false]);
  expect(primeFilter({ rewards, lower: 0, upper: 1 })).toEqual([true, true, true, true, true, false]);
});

test("bad input is refused", () => {
  const tokens = { prm_logprob: [-1], ref_logprob: [-1] };
  const run = (given: object) => assign(batchFromObjects([{ id: "a", reward: 1, tokens: given }]), "prime");
  expect(() => run({ prm_logprob: [-1] })).toThrow(/"a".*ref_logprob/);
  expect(() => run({ ref_logprob: [-1] })).toThrow(/"a".*prm_logprob/);
  expect(() => run({ ...tokens, prm_logprob: [0.1] })).toThrow(/"a".*prm_logprob/);
  expect(() => run({ ...tokens, ref_logprob: [null] })).toThrow(/"a".*ref_logprob/);
  expect(() => primeCeLoss({ prm_logprob: [[-1]], ref_logprob: [[-1, -1]], reward: [1] })).toThrow(InputError);
  expect(() => primePairAccuracy({ score: [1], reward: [] })).toThrow(InputError);
});
