import fc from "fast-check";
import { expect, test } from "vitest";
import { logprobs, logRatioSums, logRatios } from "../../src/operators/log-ratio.ts";
import { batchFromObjects, InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { expectNear, inSinglePrecision, tokenRollouts } from "./arbitraries.ts";

/** Rollouts whose policy column is `x` in some and `y` in all, with the reference in `z`. */
const rollouts = tokenRollouts.map((list) =>
  list.map((rollout): RolloutObject => {
    const { x, y, mask } = rollout.tokens as Record<string, number[]>;
    const tokens = {
      logprob: y,
      ref_logprob: y.map((v) => v / 2 - 1),
      ...(mask && { mask }),
      ...(x && { old_logprob: x }),
    };
    return { ...rollout, tokens };
  }),
);
const cells = (rollout: RolloutObject, name: string) => rollout.tokens?.[name] as number[] | undefined;
const one = (tokens: Record<string, unknown[]>) => batchFromObjects([{ id: "a", tokens }]);

test("the log-ratio is beta times the difference on policy tokens, the sampler's column first", () => {
  fc.assert(
    fc.property(rollouts, fc.double({ min: 0, max: 5, noNaN: true }), fc.boolean(), (list, coef, narrow) => {
      const plain = batchFromObjects(list);
      const batch = narrow ? inSinglePrecision(plain) : plain;
      const expected = list.map((rollout) => {
        const policy = cells(rollout, "old_logprob") ?? cells(rollout, "logprob") ?? [];
        const mask = cells(rollout, "mask");
        const reference = cells(rollout, "ref_logprob") ?? [];
        return policy.map((x, t) => (mask === undefined || mask[t] === 1 ? coef * (x - reference[t]) : 0));
      });
      const tolerance = narrow ? 1e-3 : 1e-9;
      const ratios = logRatios(batch, { policy: "sampler", coef });
      expect(ratios).toBeInstanceOf(narrow && ratios.length > 0 ? Float32Array : Object);
      expectNear(ratios, expected.flat(), tolerance);
      expectNear(
        logRatioSums(batch, { policy: "sampler", coef }),
        expected.map((list) => list.reduce((sum, x) => sum + x, 0)),
        tolerance * 10,
      );
    }),
  );
});

test("each rollout uses the first of several columns that it has", () => {
  const batch = batchFromObjects([
    { id: "a", tokens: { logprob: [-1, -2] } },
    { id: "b", tokens: { prm: [-3], logprob: [-4] } },
  ]);
  expect([...logprobs(batch, ["tokens.prm", "tokens.logprob"])]).toEqual([-1, -2, -3]);
});

test("a rollout without any of the columns is named", () => {
  const batch = batchFromObjects([
    { id: "a", tokens: { logprob: [-1], ref_logprob: [-1] } },
    { id: "lost", tokens: { id: [4], ref_logprob: [-1] } },
  ]);
  expect(() => logRatios(batch, { policy: "sampler" })).toThrow(/lost.*tokens\.old_logprob or tokens\.logprob/);
  expect(() => logRatioSums(one({ logprob: [-1] }), { policy: "sampler" })).toThrow(/tokens\.ref_logprob/);
  expect(() => logRatios(batchFromObjects([{ id: "none", reward: 1 }]), { policy: "sampler" })).toThrow(InputError);
});

test("null is legal on tokens of the environment only", () => {
  const good = one({ mask: [1, 0], logprob: [-1, null], ref_logprob: [-2, null] });
  expect([...logRatios(good, { policy: "sampler" })]).toEqual([1, 0]);
  const bad = one({ mask: [0, 1], logprob: [-1, null], ref_logprob: [-2, -2] });
  expect(() => logRatios(bad, { policy: "sampler" })).toThrow(/tokens row 1.*a number, got null/s);
});

test("log-probabilities above 0 are refused where asked, but not on tokens of the environment", () => {
  const refuse = { policy: "sampler", refusePositive: true } as const;
  expect(() => logRatios(one({ logprob: [0.5], ref_logprob: [-1] }), refuse)).toThrow(/log-probability of at most 0/);
  expect(() => logRatios(one({ logprob: [-1], ref_logprob: [2e-6] }), refuse)).toThrow(/ref_logprob/);
  expect([...logRatios(one({ logprob: [1e-7], ref_logprob: [0] }), refuse)]).toEqual([1e-7]);
  expect([...logRatios(one({ mask: [0], logprob: [50], ref_logprob: [-1] }), refuse)]).toEqual([0]);
  expect([...logRatios(one({ logprob: [50], ref_logprob: [-1] }), { policy: "sampler" })]).toEqual([51]);
});

test("log-probabilities of -1000 stay finite and an empty batch gives nothing", () => {
  expect([...logRatioSums(one({ logprob: [-1000, 0], ref_logprob: [0, -1000] }), { policy: "sampler" })]).toEqual([0]);
  expect(logRatios(one({ logprob: [], ref_logprob: [] }), { policy: "sampler" })).toHaveLength(0);
});
