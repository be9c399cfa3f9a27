import fc from "fast-check";
import { expect, test } from "vitest";
import { knownOutcomes, outcomes, sumOverPolicyTokens } from "../../src/operators/outcome.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";
import { expectNear, inSinglePrecision, policyCells, tokenRollouts } from "./arbitraries.ts";

test("tokens.reward as outcome is its sum over policy tokens", () => {
  fc.assert(
    fc.property(tokenRollouts, fc.boolean(), (list, narrow) => {
      const plain = batchFromObjects(
        list.map(({ tokens, ...rest }) => ({ ...rest, tokens: { ...tokens, reward: tokens?.y } })),
      );
      const batch = narrow ? inSinglePrecision(plain) : plain;
      const sums = list.map((rollout) => policyCells(rollout, "y").reduce((sum, x) => sum + x, 0));
      const { rewards, scored } = outcomes(batch, "tokens.reward");
      expectNear(rewards, sums, narrow ? 1e-3 : 1e-9);
      expect(scored).toBeNull();
      expectNear(sumOverPolicyTokens(batch, "tokens.reward"), rewards, 0);
      expectNear(knownOutcomes(batch, "tokens.reward"), rewards, 0);
    }),
  );
});

test("null outcomes are marked as not scored, and refused where all must be known", () => {
  const batch = batchFromObjects([
    { id: "a", reward: 1, rewards: { style: 0.5 } },
    { id: "b", reward: null, rewards: { style: 0.25 } },
  ]);
  const { rewards, scored } = outcomes(batch);
  expect([...rewards]).toEqual([1, 0]);
  expect([...(scored as Uint8Array)]).toEqual([1, 0]);
  expect([...knownOutcomes(batch, "rewards.style")]).toEqual([0.5, 0.25]);
  expect(() => knownOutcomes(batch)).toThrow(/rollout "b".*rollout\.reward.*null/);
});

test("outcomes without null are the column itself", () => {
  const batch = batchFromObjects([{ id: "a", reward: 1 }]);
  expect(outcomes(batch)).toEqual({ rewards: batch.numbers("rollout.reward"), scored: null });
  expect(outcomes(batch).rewards).toBe(batch.numbers("rollout.reward"));
});

test("a missing outcome names its rollout, and other levels are refused", () => {
  const batch = batchFromObjects([
    { id: "a", reward: 1, turns: { reward: [1] } },
    { id: "lost", turns: { reward: [1] } },
  ]);
  expect(() => outcomes(batch)).toThrow(/rollout "lost".*rollout\.reward/);
  expect(() => outcomes(batch, "signals.nothing")).toThrow(/signals\.nothing/);
  expect(() => outcomes(batch, "turns.reward")).toThrow(/rollout-level column or tokens\.reward/);
  expect(() => outcomes(batch, "tokens.reward")).toThrow(/tokens\.reward/);
});
