import { expect, test } from "vitest";
import type { RolloutObject } from "../../src/rollouts/index.ts";
import { credit, expectTwoPass, warningsOf } from "./credit.ts";

const gapped: RolloutObject[] = [
  { id: "a", group: "p", reward: 1, tokens: { id: [1, 2, 3, 4], mask: [1, 0, 0, 1] } },
  { id: "b", group: "q", reward: 0, tokens: { id: [1, 2], mask: [1, 0] } },
];
const returns = (rollouts: readonly RolloutObject[], params: Record<string, unknown>) =>
  credit("reinforce-pp", rollouts, params, "tokens.return");

test("an observation costs nothing, one discount per token, or everything", () => {
  expect(returns(gapped, { gamma: 0.5 })).toEqual([0.5, 0, 0, 1, 0, 0]);
  expect(returns(gapped, { gamma: 0.5, mask_gap: "count" })).toEqual([0.125, 0, 0, 1, 0, 0]);
  expect(returns(gapped, { gamma: 0.5, mask_gap: "reset" })).toEqual([0, 0, 0, 1, 0, 0]);
});

test("token rewards win over the outcome, except in the baseline variant", () => {
  const rollouts: RolloutObject[] = [
    { id: "a", group: "p", reward: 1, tokens: { reward: [0.25, 0.5] } },
    { id: "b", group: "p", reward: 0, tokens: { id: [1] } },
    { id: "c", group: "q", reward: 3, tokens: { id: [1] } },
  ];
  expect(returns(rollouts, {})).toEqual([0.75, 0.5, 0, 3]);
  expect(returns(rollouts, { baseline: "group_mean" })).toEqual([0.5, 0.5, -0.5, 0]);
  expect(returns(rollouts, { baseline: "group_mean", singleton: "reward" })).toEqual([0.5, 0.5, -0.5, 3]);
  const channels = rollouts.map((rollout, i) => ({ ...rollout, rewards: { style: i } }));
  expect(returns(channels, { baseline: "group_mean", reward_column: "rewards.style" })).toEqual([-0.5, -0.5, 0.5, 0]);
  expect(returns(channels, { reward_column: "rewards.style" })).toEqual([0.75, 0.5, 1, 2]);
});

test("equal returns, or a single token, give exact zeros", () => {
  const equal = [1, 2, 3].map((n) => ({ id: `${n}`, reward: 0.1, tokens: { id: new Array(n).fill(1) } }));
  expect(credit("reinforce-pp", equal, {}, "tokens.advantage")).toEqual(new Array(6).fill(0));
  expect(credit("reinforce-pp", equal.slice(0, 1), { whiten_std: false }, "tokens.advantage")).toEqual([0]);
});

test("without the spread only the mean over policy tokens goes", () => {
  const out = credit("reinforce-pp", gapped, { whiten_std: false }, "tokens.advantage");
  [1 / 3, 0, 0, 1 / 3, -2 / 3, 0].forEach((a, t) => {
    expect(out[t]).toBeCloseTo(a, 12);
  });
});

test("pieces of the input with statistics collected first give what the whole gives", () => {
  const tokens = (n: number) => ({
    logprob: Array.from({ length: n }, (_, t) => -t / 3),
    ref_logprob: new Array(n).fill(-0.5),
  });
  const rollouts = [5, 0, 2, 7, 1].map(
    (n, i): RolloutObject => ({ id: `r${i}`, group: i < 3 ? "p" : "q", reward: i / 2, tokens: tokens(n) }),
  );
  expectTwoPass(
    "reinforce-pp",
    rollouts,
    [
      [0, 1, 2],
      [3, 4],
    ],
    { baseline: "group_mean", kl_coef: 0.1 },
  );
  expectTwoPass("reinforce-pp", rollouts, [[4], [1], [0, 3], [2]], { kl_coef: 0.1, gamma: 0.9 });
});

test("tokens and outcomes are needed; unscored rollouts can be left out", () => {
  const scored: RolloutObject = { id: "a", group: "p", reward: 1, tokens: { id: [1] } };
  const unscored = { ...scored, id: "lost", reward: null };
  expect(() => returns([{ id: "lost", reward: 1 }], {})).toThrow(/lost.*no tokens/);
  expect(() => returns([scored, unscored], {})).toThrow(/lost/);
  expect(() => returns([scored, unscored], { baseline: "group_mean" })).toThrow(/lost/);
  expect(() => returns([scored], { kl_coef: 0.1 })).toThrow(/tokens\.old_logprob or tokens\.logprob/);
  const out = credit("reinforce-pp", [scored, unscored], {}, "tokens.return", { unscored: "leave-out" });
  expect(out).toEqual([1, 0]);
  // A rollout with token rewards is scored.
  expect(returns([scored, { ...unscored, tokens: { reward: [2] } }], {})).toEqual([1, 2]);
});

test("one prompt alone is worth a warning", () => {
  const rollouts = [1, 2].map((i) => ({ id: `${i}`, group: "p", reward: i, tokens: { id: [1] } }));
  expect(warningsOf("reinforce-pp", rollouts)).toHaveLength(1);
  expect(warningsOf("reinforce-pp", gapped)).toEqual([]);
});
