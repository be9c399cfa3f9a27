import fc from "fast-check";
import { expect, test } from "vitest";
import {
  lessKl,
  placedRewards,
  placedTokenRewards,
  rowRewards,
  tokenRewards,
} from "../../src/operators/token-rewards.ts";
import { batchFromObjects, type RolloutObject } from "../../src/rollouts/index.ts";
import { expectNear, policyCells, tokenRollouts } from "./arbitraries.ts";

/** Rollouts of which some have `tokens.reward`. */
const rollouts = tokenRollouts.map((list) =>
  list.map(({ tokens, ...rest }): RolloutObject => {
    const { x, y, mask } = tokens as Record<string, number[]>;
    return {
      ...rest,
      tokens: { logprob: y, ref_logprob: y.map((v) => v / 2), ...(mask && { mask }), ...(x && { reward: x }) },
    };
  }),
);

function expectedRewards(rollout: RolloutObject): number[] {
  const { logprob, mask, reward } = rollout.tokens as Record<string, number[]>;
  const counts = logprob.map((_, t) => mask === undefined || mask[t] === 1);
  if (reward !== undefined) return reward.map((r, t) => (counts[t] ? r : 0));
  const end = counts.lastIndexOf(true);
  return logprob.map((_, t) => (t === end ? (rollout.reward as number) : 0));
}

test("token rewards are those recorded, else the outcome on the last policy token", () => {
  fc.assert(
    fc.property(rollouts, (list) => {
      const batch = batchFromObjects(list);
      expectNear(placedTokenRewards(batch, tokenRewards(batch)), list.flatMap(expectedRewards));
    }),
  );
});

test("given outcomes take the place of rollout.reward, never of recorded token rewards", () => {
  fc.assert(
    fc.property(rollouts, (list) => {
      const batch = batchFromObjects(list.map(({ reward: _, ...rest }) => rest));
      const outcome = list.map((_, i) => i + 0.5);
      const expected = list.flatMap((rollout, i) => expectedRewards({ ...rollout, reward: outcome[i] }));
      expectNear(placedTokenRewards(batch, tokenRewards(batch, outcome)), expected);
    }),
  );
});

test("what lies on a rollout is its outcome whenever the policy wrote a token", () => {
  fc.assert(
    fc.property(tokenRollouts, (list) => {
      const batch = batchFromObjects(list);
      const placed = Array.from(placedTokenRewards(batch, tokenRewards(batch)));
      const offsets = batch.offsets("token");
      list.forEach((rollout, i) => {
        const sum = placed.slice(offsets[i], offsets[i + 1]).reduce((s, x) => s + x, 0);
        expect(sum).toBe(policyCells(rollout, "y").length > 0 ? rollout.reward : 0);
      });
    }),
  );
});

test("with a KL every policy token pays for its log-ratio", () => {
  fc.assert(
    fc.property(rollouts, fc.double({ min: 0, max: 2, noNaN: true }), (list, coef) => {
      const batch = batchFromObjects(list);
      const parts = tokenRewards(batch);
      const expected = list.flatMap((rollout) => {
        const { logprob, ref_logprob, mask } = rollout.tokens as Record<string, number[]>;
        return expectedRewards(rollout).map((r, t) =>
          mask === undefined || mask[t] === 1 ? r - coef * (logprob[t] - ref_logprob[t]) : 0,
        );
      });
      expectNear(placedTokenRewards(batch, lessKl(batch, parts, coef)), expected);
      expect(lessKl(batch, parts, 0)).toBe(parts);
    }),
  );
});

test("rows of turns work alike: their own rewards, else the outcome on the last turn", () => {
  const batch = batchFromObjects([
    { id: "a", reward: 1, turns: { agent: ["x", "y"] } },
    { id: "b", turns: { agent: ["x", "y"], reward: [0.25, 0.5] } },
    { id: "c", reward: 3, turns: { agent: [] } },
  ]);
  expect([...placedRewards(batch, "turn", rowRewards(batch, "turn"))]).toEqual([0, 1, 0.25, 0.5]);
});

test("columns pass through without a copy where nothing has to be filled in", () => {
  const batch = batchFromObjects([{ id: "a", reward: 1, tokens: { reward: [1, 2] } }]);
  expect(tokenRewards(batch)).toEqual({ rewards: batch.numbers("tokens.reward"), last: null });
  expect(tokenRewards(batch).rewards).toBe(batch.numbers("tokens.reward"));
});

test("a rollout with neither is named, and null is legal on tokens of the environment only", () => {
  const read = (...list: RolloutObject[]) => tokenRewards(batchFromObjects(list));
  const scored = { id: "a", tokens: { reward: [1] } };
  expect(() => read(scored, { id: "lost", tokens: { id: [1] } })).toThrow(/lost.*tokens\.reward or rollout\.reward/);
  expect(() => read(scored, { id: "lost", reward: null, tokens: { id: [1] } })).toThrow(/lost/);
  expect(() => read({ id: "lost", tokens: { id: [1] } })).toThrow(/rollout\.reward/);
  expect(() => read({ id: "lost", tokens: { reward: [null] } })).toThrow(/tokens row 0/);
  expect(read({ id: "b", tokens: { reward: [null, 2], mask: [0, 1] } }).rewards).toHaveLength(2);
});
