import fc from "fast-check";
import { expect, test } from "vitest";
import { comaAdvantage, differenceReward, looBaseline } from "../../src/methods/counterfactual/counterfactual.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { credit } from "./credit.ts";

const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length;
const value = fc.constantFrom(0, 1, 0.5, 0.25);

/** Trees of two levels: plans with some answers each. */
const trees = fc
  .array(
    fc.record({
      group: fc.constantFrom("g", "h"),
      q: value,
      answers: fc.array(fc.record({ reward: value, q: value }), { minLength: 1, maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((plans) =>
    plans.flatMap(({ group, q, answers }, k) =>
      answers.map((answer, a) => ({
        id: `${k}-${a}`,
        group,
        reward: answer.reward,
        turns: { node: [`${k}`, `${k}.${a}`], q: [q, answer.q] },
      })),
    ),
  );
const params = fc.record({
  signal: fc.constantFrom("reward", "value", "assisted"),
  baseline: fc.constantFrom("loo", "mean"),
  value_mix: fc.constantFrom(0, 0.5, 1),
  replay: fc.boolean(),
  norm_by_std: fc.boolean(),
});

test("credit equals the definition, written with plain lists", () => {
  fc.assert(
    fc.property(trees, params, (list, p) => {
      const out = credit("counterfactual", list, p, "turns.advantage");
      const below = (group: string, node: string) =>
        mean(list.filter((r) => r.group === group && r.turns.node.includes(node)).map((r) => r.reward));
      const nodes = list.flatMap(({ group, turns }) =>
        turns.node.map((node, depth) => ({
          group,
          node,
          parent: depth === 0 ? "" : turns.node[0],
          depth,
          r: below(group, node),
          q: turns.q[depth],
        })),
      );
      const siblingsOf = (x: (typeof nodes)[number]) => {
        const all = nodes.filter(
          (y) => y.group === x.group && (p.replay ? y.parent === x.parent : y.depth === x.depth),
        );
        return all.filter((y, k) => all.findIndex((other) => other.node === y.node) === k);
      };
      const base = (x: (typeof nodes)[number], key: "r" | "q") => {
        const all = siblingsOf(x);
        return mean((p.baseline === "mean" ? all : all.filter((y) => y.node !== x.node)).map((y) => y[key]));
      };
      const plain = (x: (typeof nodes)[number]) => {
        if (siblingsOf(x).length === 1) return 0;
        if (p.signal === "value") return x.q - base(x, "q");
        if (p.signal === "reward") return x.r - base(x, "r");
        return x.r - (1 - p.value_mix) * base(x, "r") - p.value_mix * base(x, "q");
      };
      nodes.forEach((x, row) => {
        const all = siblingsOf(x).map(plain);
        const spread = Math.sqrt(mean(all.map((a) => (a - mean(all)) ** 2)) + 1e-8);
        if (p.norm_by_std && spread < 1.01e-4) return;
        expect(out[row]).toBeCloseTo(p.norm_by_std ? (plain(x) - mean(all)) / spread : plain(x), 6);
      });
    }),
    { numRuns: 300 },
  );
});

test("of one level with leave-one-out, normalised, is the plain z-score", () => {
  const rewards = [1, 0, 0.5, 0.25];
  const flat = rewards.map((reward, i) => ({ id: `${i}`, group: "p", reward, turns: { node: [`${i}`] } }));
  const sigma = Math.sqrt(mean(rewards.map((r) => (r - mean(rewards)) ** 2)));
  credit("counterfactual", flat, { var_eps: 0 }, "turns.advantage").forEach((a, i) => {
    expect(a).toBeCloseTo((rewards[i] - mean(rewards)) / sigma, 9);
  });
});

test("a missing critic, a node under two parents and wrong arguments are refused", () => {
  const one = [{ id: "a", reward: 1, turns: { node: ["x"] } }];
  expect(() => credit("counterfactual", [{ id: "a", reward: 1 }], {}, "turns.advantage")).toThrow(/turns\.node/);
  expect(() => credit("counterfactual", one, { signal: "value" }, "turns.advantage")).toThrow(/turns\.q/);
  const shared = [
    ["a", "x"],
    ["b", "x"],
  ].map((node, i) => ({ id: `${i}`, group: "p", reward: 1, turns: { node } }));
  expect(() => credit("counterfactual", shared, {}, "turns.advantage")).toThrow(/two parents/);
  for (const args of [
    { q: [1, 2], policy: [1], action: 0 },
    { q: [1, 2], policy: [0.5, 0.5], action: 2 },
    { q: [1, 2], policy: [0.5, 0.2], action: 0 },
    { q: [], policy: [], action: 0 },
  ])
    expect(() => comaAdvantage(args)).toThrow(InputError);
});

test("COMA averages to 0 under the policy; a value alone is its own baseline", () => {
  const q = [1, -2, 0.5];
  const policy = [0.2, 0.3, 0.5];
  expect(policy.reduce((sum, p, action) => sum + p * comaAdvantage({ q, policy, action }).advantage, 0)).toBeCloseTo(
    0,
    12,
  );
  expect(looBaseline({ values: [3] })).toEqual([3]);
  expect(looBaseline({ values: [1, 2, 6] })).toEqual([4, 3.5, 1.5]);
  expect(differenceReward({ reward: 1, reward_without: [] })).toEqual([]);
});
