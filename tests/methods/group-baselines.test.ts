import { expect, test } from "vitest";
import { optimalBaseline } from "../../src/methods/group/opo.ts";
import { leaveOneOut } from "../../src/methods/group/rloo.ts";
import { InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { credit, expectTwoPass, warningsOf } from "./credit.ts";

const group = (rewards: readonly (number | null)[]): RolloutObject[] =>
  rewards.map((reward, i) => ({ id: `r${i}`, group: "p", reward }));

/** Exact mean of (1/G) Σ_i A_i ∇ log π(a_i) over all draws of G actions from a softmax policy. */
function meanGradient(logits: readonly number[], rewards: readonly number[], size: number, id: string): number[] {
  const norm = logits.reduce((sum, z) => sum + Math.exp(z), 0);
  const pi = logits.map((z) => Math.exp(z) / norm);
  const gradient = pi.map(() => 0);
  const draws = pi.length ** size;
  for (let draw = 0; draw < draws; draw++) {
    const actions = Array.from({ length: size }, (_, k) => Math.floor(draw / pi.length ** k) % pi.length);
    const p = actions.reduce((product, a) => product * pi[a], 1);
    const advantages = credit(id, group(actions.map((a) => rewards[a])));
    actions.forEach((a, i) => {
      for (let v = 0; v < pi.length; v++) gradient[v] += (p * advantages[i] * ((a === v ? 1 : 0) - pi[v])) / size;
    });
  }
  return gradient;
}

test("rloo is exactly unbiased; the plain group mean is (G − 1)/G of the gradient; the spread turns it", () => {
  const logits = [0.3, -0.4, 1.1];
  const rewards = [1, 0.2, -0.5];
  const norm = logits.reduce((sum, z) => sum + Math.exp(z), 0);
  const pi = logits.map((z) => Math.exp(z) / norm);
  const value = pi.reduce((sum, p, a) => sum + p * rewards[a], 0);
  const exact = pi.map((p, a) => p * (rewards[a] - value));
  for (const size of [2, 3, 4]) {
    meanGradient(logits, rewards, size, "rloo").forEach((g, v) => {
      expect(Math.abs(g - exact[v])).toBeLessThan(1e-12);
    });
    meanGradient(logits, rewards, size, "dr-grpo").forEach((g, v) => {
      expect(Math.abs(g - (exact[v] * (size - 1)) / size)).toBeLessThan(1e-12);
    });
  }
  const turned = meanGradient(logits, rewards, 2, "grpo");
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, v) => sum + x * b[v], 0);
  const cosine = dot(turned, exact) / Math.sqrt(dot(turned, turned) * dot(exact, exact));
  expect(cosine).toBeLessThan(0.9999);
});

test("an unscored rollout is no member: advantage and baseline 0, the others as without it", () => {
  const rewards = [1, null, 0.25, 0];
  for (const id of ["rloo", "dr-grpo", "opo"]) {
    const rollouts = group(rewards).map((rollout) => ({ ...rollout, tokens: { id: [1, 2] } }));
    const known = rollouts.filter((_, i) => rewards[i] !== null);
    const [a, , c, d] = credit(id, rollouts);
    expect(credit(id, rollouts)[1]).toBe(0);
    expect([a, c, d]).toEqual(credit(id, known));
    if (id !== "dr-grpo") expect(credit(id, rollouts, {}, "rollout.baseline")[1]).toBe(0);
  }
});

test("rloo cuts the reward before it takes the KL off", () => {
  const rollouts: RolloutObject[] = [
    { id: "a", group: "p", reward: 9, tokens: { logprob: [-1, -1], ref_logprob: [-2, -1.5], mask: [1, 1] } },
    {
      id: "b",
      group: "p",
      reward: -9,
      tokens: { logprob: [-1, -1], old_logprob: [-3, 0], ref_logprob: [-1, 0], mask: [1, 0] },
    },
  ];
  // 2 − 1.5 against −1 + 2, the sampler's column where there is one.
  expect(credit("rloo", rollouts, { reward_clip: [-1, 2], kl_coef: 1 })).toEqual([-0.5, 0.5]);
  expect(() => credit("rloo", rollouts, { reward_clip: [2, -1] })).toThrow(/reward_clip/);
  expect(() => credit("rloo", group([1, 0]), { kl_coef: 0.1 })).toThrow(/tokens\.old_logprob or tokens\.logprob/);
});

test("rloo normalises over all scored rollouts of the call, exact zeros where they are equal", () => {
  const rollouts = [...group([1, 0, null]), { id: "x", group: "q", reward: 0.5 }, { id: "y", group: "q", reward: 0.5 }];
  const out = credit("rloo", rollouts, { normalize_batch: true });
  const spread = Math.sqrt(2 / 3) + 1e-4;
  expect(out.map((a) => a.toFixed(9))).toEqual([1 / spread, -1 / spread, 0, 0, 0].map((a) => a.toFixed(9)));
  expect(credit("rloo", group([2, 2, 2]), { normalize_batch: true })).toEqual([0, 0, 0]);
  expect(credit("rloo", group([2]), { normalize_batch: true, singleton: "reward" })).toEqual([0]);
  const pieces = [
    [3, 4],
    [0, 1, 2],
  ];
  expectTwoPass("rloo", rollouts, pieces, { normalize_batch: true });
});

test("leaveOneOut gives the advantages of one group", () => {
  expect(leaveOneOut({ rewards: [1, 0.25] })).toEqual([0.75, -0.75]);
  expect(leaveOneOut({ rewards: [3, 3] })).toEqual([0, 0]);
  expect(leaveOneOut({ rewards: [3], singleton: "reward" })).toEqual([3]);
  expect(leaveOneOut({ rewards: [] })).toEqual([]);
  expect(() => leaveOneOut({ rewards: [1, Number.NaN] })).toThrow(InputError);
});

test("dr-grpo divides by the longest token list of the call, whatever the policy wrote of it", () => {
  const rollouts: RolloutObject[] = [
    { id: "a", group: "p", reward: 1, tokens: { id: [1, 2, 3, 4], mask: [1, 0, 0, 0] } },
    { id: "b", group: "p", reward: 0, tokens: { id: [1] } },
    { id: "c", group: "q", reward: 0, tokens: { id: [] } },
  ];
  expect(credit("dr-grpo", rollouts, {}, "tokens.weight")).toEqual([0.25, 0, 0, 0, 0.25]);
  expect(credit("dr-grpo", rollouts, {}, "tokens.weight", { preset: "official" })[0]).toBe(1 / 3000);
  expectTwoPass("dr-grpo", rollouts, [[2], [0, 1]], {});
  expect(() => credit("dr-grpo", rollouts, { loss_scale: 0 })).toThrow(/loss_scale/);
  expect(credit("dr-grpo", [rollouts[2]], {}, "tokens.weight")).toEqual([]);
});

test("opo needs lengths, and its function any weights that are not negative", () => {
  expect(() =>
    credit("opo", [
      { id: "a", tokens: { id: [1] }, reward: 1 },
      { id: "lost", reward: 1 },
    ]),
  ).toThrow(/lost/);
  expect(optimalBaseline({ rewards: [1, 0], weights: [0, 0] })).toBe(0.5);
  expect(optimalBaseline({ rewards: [0.1, 0.1, 0.1], weights: [1, 2, 3] })).toBe(0.1);
  expect(() => optimalBaseline({ rewards: [1, 0], weights: [1] })).toThrow(/weights/);
  expect(() => optimalBaseline({ rewards: [1, 0], weights: [1, -1] })).toThrow(/weights\.1/);
  expect(() => optimalBaseline({ rewards: [], weights: [] })).toThrow(InputError);
});

test("remax's two variants agree without KL, discount and clip, and differ by where the KL goes", () => {
  const tokens = { logprob: [-0.1, -3, -0.4], ref_logprob: [-0.3, -1, -0.2], mask: [1, 0, 1] };
  const rollouts: RolloutObject[] = [{ id: "a", group: "p", reward: 2, signals: { greedy_reward: 0.5 }, tokens }];
  const path = "tokens.advantage";
  expect(credit("remax", rollouts, { variant: "original" }, path)).toEqual(credit("remax", rollouts, {}, path));
  const original = credit("remax", rollouts, { variant: "original", kl_coef: 1 }, path);
  [1.3, 0, 1.7].forEach((a, t) => {
    expect(original[t]).toBeCloseTo(a, 12);
  });
  const toGo = credit("remax", rollouts, { kl_coef: 1 }, path);
  [1.5, 0, 1.7].forEach((a, t) => {
    expect(toGo[t]).toBeCloseTo(a, 12);
  });
  // The clip belongs to the authors' form only.
  expect(credit("remax", rollouts, { reward_clip: 1 })).toEqual([1.5]);
  expect(credit("remax", rollouts, {}, "rollout.advantage", { preset: "official" })).toEqual([1.5]);
});

test("remax refuses missing rewards and warns of a baseline that differs inside a group", () => {
  const rollout = (id: string, greedy: number | null, reward: number | null = 1): RolloutObject => ({
    id,
    group: "p",
    reward,
    signals: { greedy_reward: greedy },
  });
  expect(() => credit("remax", [rollout("lost", null)])).toThrow(/lost.*greedy_reward/);
  expect(() => credit("remax", [rollout("lost", 1, null)])).toThrow(/lost/);
  expect(() => credit("remax", [rollout("lost", 1)], { kl_coef: 0.1 })).toThrow(/lost.*tokens/);
  expect(warningsOf("remax", [rollout("a", 1), rollout("b", 1)])).toEqual([]);
  expect(warningsOf("remax", [rollout("a", 1), rollout("b", 0)])).toHaveLength(1);
});
