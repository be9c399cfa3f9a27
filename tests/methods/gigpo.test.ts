import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { textSimilarity } from "../../src/methods/turn/gigpo.ts";
import { batchFromObjects, InputError, rolloutObject } from "../../src/rollouts/index.ts";

const reward = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: -2, max: 2, noNaN: true }));
const rollouts = fc
  .array(
    fc.record({
      group: fc.constantFrom("a", "b"),
      score: fc.option(reward),
      turns: fc.array(fc.record({ state: fc.constantFrom("s", "t", 3, "3"), reward }), { minLength: 1, maxLength: 4 }),
      hasRewards: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((list) =>
    list.map(({ group, score, turns, hasRewards }, i) => ({
      id: `r${i}`,
      group,
      // One of the two is always there.
      ...(score !== null || !hasRewards ? { reward: score ?? 1 } : {}),
      turns: {
        state: turns.map((t) => t.state),
        ...(hasRewards ? { reward: turns.map((t) => t.reward) } : {}),
      },
    })),
  );
const params = fc.record({
  gamma: fc.constantFrom(0.95, 0, 1),
  step_weight: fc.constantFrom(0, 1, 0.5),
  norm_by_std: fc.boolean(),
  eps: fc.constantFrom(1e-6, 0.1),
  episode_stats: fc.constantFrom("steps", "trajectories"),
});

const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

function normalized(x: number, pool: readonly number[], p: { eps: number; norm_by_std: boolean }): number {
  if (pool.every((y) => y === pool[0])) return 0;
  const mean = sum(pool) / pool.length;
  const spread = Math.sqrt(sum(pool.map((y) => (y - mean) ** 2)) / (pool.length - 1));
  return (x - mean) / (p.norm_by_std ? spread + p.eps : 1);
}

test("credit equals the definition, written with plain lists", () => {
  fc.assert(
    fc.property(rollouts, params, (list, p) => {
      const rewards = list.map(({ reward, turns }) =>
        turns.state.map((_, t) => turns.reward?.[t] ?? (t === turns.state.length - 1 ? (reward ?? 0) : 0)),
      );
      const scores = list.map(({ reward }, i) => reward ?? sum(rewards[i]));
      const returns = rewards.map((r) => r.map((_, t) => sum(r.slice(t).map((x, k) => p.gamma ** k * x))));
      const out = assign(batchFromObjects(list), "gigpo", p);
      list.forEach(({ group, turns }, i) => {
        const mates = list.flatMap((other, k) => (other.group === group ? [k] : []));
        const pool = mates.flatMap((k) =>
          new Array(p.episode_stats === "steps" ? rewards[k].length : 1).fill(scores[k]),
        );
        const alone = scores[i] / (p.norm_by_std ? 1 + p.eps : 1);
        const episode = pool.length === 1 ? alone : normalized(scores[i], pool, p);
        const result = rolloutObject(out, i);
        const columns = result.turns as Record<string, number[]>;
        expect(result.advantage).toBeCloseTo(episode, 6);
        turns.state.forEach((state, t) => {
          const anchor = mates.flatMap((k) =>
            list[k].turns.state.flatMap((s, u) => (s === state ? [returns[k][u]] : [])),
          );
          const step = normalized(returns[i][t], anchor, p);
          expect(columns.return[t]).toBeCloseTo(returns[i][t], 10);
          expect(columns.anchor_size[t]).toBe(anchor.length);
          expect(columns.step_advantage[t]).toBeCloseTo(step, 5);
          expect(columns.advantage[t]).toBeCloseTo(episode + p.step_weight * step, 5);
        });
      });
    }),
    { numRuns: 300 },
  );
});

test("step weight 0 over rollouts is grpo given to every policy token", () => {
  const tokenRollouts = fc.array(fc.tuple(fc.constantFrom("a", "b"), reward, fc.integer({ min: 1, max: 4 })), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(tokenRollouts, (list) => {
      const objects = list.map(([group, score, n], i) => ({
        id: `r${i}`,
        group,
        reward: score,
        tokens: { mask: Array.from({ length: 2 * n }, (_, t) => ((t + i) % 3 === 0 ? 0 : 1)) },
        turns: { end: Array.from({ length: n }, (_, t) => 2 * t + 2), state: Array.from({ length: n }, (_, t) => t) },
      }));
      const batch = batchFromObjects(objects);
      const own = assign(batch, "gigpo", { step_weight: 0, episode_stats: "trajectories" });
      const other = assign(batch, "grpo", { singleton: "reward", ddof: 1, eps: 1e-6 });
      expect(own.cells("rollout.advantage")).toEqual(other.cells("rollout.advantage"));
      expect(own.cells("tokens.advantage")).toEqual(other.cells("tokens.advantage"));
    }),
  );
});

test("no state repeats: the step part is 0 and a warning says so", () => {
  const list = [
    { id: "a", group: "g", reward: 1, turns: { state: ["p", "q"] } },
    { id: "b", group: "g", reward: 0, turns: { state: ["r"] } },
  ];
  const said: string[] = [];
  const out = assign(batchFromObjects(list), "gigpo", {}, { warn: (text) => said.push(text) });
  expect(out.cells("turns.step_advantage")).toEqual([0, 0, 0]);
  expect(said).toHaveLength(1);
  list[1].turns.state = ["q"];
  assign(batchFromObjects(list), "gigpo", {}, { warn: (text) => said.push(text) });
  expect(said).toHaveLength(1);
});

test("a group whose rollouts all score the same gets 0 everywhere unless its turns differ", () => {
  const list = [
    { id: "a", group: "g", reward: 0.1, turns: { state: ["p", "q"], reward: [0.1, 0.1] } },
    { id: "b", group: "g", reward: 0.1, turns: { state: ["p", "q"], reward: [0.1, 0.1] } },
  ];
  expect(assign(batchFromObjects(list), "gigpo").cells("turns.advantage")).toEqual([0, 0, 0, 0]);
});

test("what the card forbids is refused, naming the rollout", () => {
  const good = { id: "good", reward: 1, turns: { state: ["s"] } };
  const run =
    (bad: object, p: object = {}) =>
    () =>
      assign(batchFromObjects([good, { id: "bad", ...bad }]), "gigpo", { ...p });
  expect(run({ reward: 1, turns: { reward: [1] } })).toThrow(/"bad".*turns\.state/);
  expect(run({ turns: { state: ["s"] } })).toThrow(/"bad".*reward/);
  expect(run({ reward: 1, turns: { state: [null] } })).toThrow(/"bad".*turns\.state/);
  expect(run({ reward: 1, turns: { state: [["x"]] } })).toThrow(/"bad".*turns\.state/);
  expect(run({ reward: 1, turns: { state: [1] } })).not.toThrow();
  expect(run({ reward: 1, turns: { state: [1] } }, { similarity: 0.9 })).toThrow(/"bad".*turns\.state/);
  expect(run({ reward: 1, turns: { state: ["s"], reward: [null] } })).toThrow(/"bad".*turns\.reward/);
  for (const p of [{ similarity: 1 }, { gamma: 1.5 }, { step_weight: -1 }, { episode_stats: "both" }]) {
    expect(run({ reward: 1, turns: { state: ["s"] } }, p)).toThrow(InputError);
  }
  expect(() => textSimilarity({ a: "x" } as never)).toThrow(InputError);
  expect(() => textSimilarity({ a: "x", b: 1 } as never)).toThrow(InputError);
  expect(textSimilarity({ a: "", b: "" })).toBe(1);
});
