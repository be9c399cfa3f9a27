import fc from "fast-check";
import { expect, test } from "vitest";
import { spoCutpoints } from "../../src/methods/tree/spo.ts";
import { credit, expectTwoPass } from "./credit.ts";

const value = fc.constantFrom(0, 1, 0.5, 0.25);
const chains = fc
  .array(
    fc.record({
      reward: value,
      tokens: fc.array(
        fc.record({ mask: fc.constantFrom(0, 1, 1), p: fc.constantFrom(0.2, 0.5, 0.89, 0.95, 1), mc_value: value }),
        { maxLength: 8 },
      ),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((list) =>
    list.map(({ reward, tokens }, i) => ({
      id: `r${i}`,
      reward,
      tokens: {
        mask: tokens.map((t) => t.mask),
        old_logprob: tokens.map((t) => Math.log(t.p)),
        mc_value: tokens.map((t) => t.mc_value),
      },
    })),
  );

test("chain: a segment earns the difference of the values at its ends", () => {
  fc.assert(
    fc.property(chains, fc.integer({ min: 1, max: 3 }), fc.boolean(), (list, interval, prob_mask) => {
      const p = { interval, prob_mask, whiten_advantage: false };
      const advantage = credit("spo", list, p, "tokens.advantage");
      const segment = credit("spo", list, p, "tokens.segment");
      const weight = credit("spo", list, p, "tokens.weight");
      let first = 0;
      for (const { reward, tokens } of list) {
        const prob = tokens.old_logprob.map((l, t) => (tokens.mask[t] === 1 ? Math.exp(l) : 1));
        const cuts = spoCutpoints({ prob, interval });
        prob.forEach((x, t) => {
          const j = cuts.filter((b) => b <= t).length - 1;
          const trained = tokens.mask[t] === 1 && (!prob_mask || x < 0.9);
          const next = j + 1 < cuts.length ? tokens.mc_value[cuts[j + 1]] : reward;
          expect(segment[first + t]).toBe(j);
          expect(weight[first + t]).toBe(trained ? 1 : 0);
          expect(advantage[first + t]).toBeCloseTo(j >= 0 && trained ? next - tokens.mc_value[cuts[j]] : 0, 12);
        });
        first += prob.length;
      }
      expectTwoPass(
        "spo",
        list,
        list.map((_, i) => [i]),
        { interval, prob_mask },
      );
    }),
  );
});

/** Trees of two levels; some rollouts end at the first. */
const trees = fc
  .array(
    fc.record({
      reward: value,
      path: fc.constantFrom<string[]>(["A"], ["A", "a"], ["A", "b"], ["B"], ["B", "c"], ["B", "d"]),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((list) =>
    list.map(({ reward, path }, i) => ({
      id: `r${i}`,
      group: "g",
      reward,
      tokens: { id: path.flatMap(() => [1, 2]), mask: path.flatMap(() => [1, 0]) },
      steps: { end: path.map((_, k) => 2 * k + 2), node: path },
    })),
  );

test("tree: plain means over children, an edge once however many rollouts share it, whitened with weights", () => {
  fc.assert(
    fc.property(trees, fc.constantFrom("none", "std"), (list, tree_norm) => {
      const through = (node: string) => list.filter((r) => r.steps.node.includes(node));
      const mean = (all: readonly number[]) => all.reduce((a, b) => a + b, 0) / all.length;
      const children = (node: string): number[] => {
        const depth = node === "" ? 0 : node === node.toUpperCase() ? 1 : 2;
        const below = node === "" ? list : through(node);
        const names = [...new Set(below.flatMap((r) => r.steps.node.slice(depth, depth + 1)))];
        const ended = below.filter((r) => r.steps.node.length === depth).map((r) => r.reward);
        return [...names.map((name) => mean(children(name))), ...ended];
      };
      const p = { mode: "tree", tree_norm, eps: 0.1 };
      const advantage = credit("spo", list, { ...p, whiten_advantage: false }, "steps.advantage");
      const weight = credit("spo", list, { ...p, whiten_advantage: false }, "tokens.weight");
      let row = 0;
      for (const { steps } of list) {
        steps.node.forEach((node, k) => {
          const siblings = children(k === 0 ? "" : steps.node[0]);
          const difference = mean(children(node)) - mean(siblings);
          const spread = Math.sqrt(mean(siblings.map((v) => (v - mean(siblings)) ** 2)));
          const expected = difference / (tree_norm === "std" ? spread + 0.1 : 1);
          expect(advantage[row]).toBeCloseTo(expected, 9);
          if (Math.abs(difference) > 1e-9) expect(weight[2 * row]).toBeCloseTo(1 / through(node).length, 12);
          expect(weight[2 * row + 1]).toBe(0);
          row++;
        });
      }
      const white = credit("spo", list, p, "tokens.advantage");
      const total = weight.reduce((a, b) => a + b, 0);
      if (total > 1.5) expect(white.reduce((sum, a, t) => sum + weight[t] * a, 0) / total).toBeCloseTo(0, 9);
    }),
    { numRuns: 200 },
  );
});

test("one path differs from nothing: its edges are dropped, whatever the reward", () => {
  const one = [0.1, 0.1, 0.1].map((reward, i) => ({
    id: `${i}`,
    group: "g",
    reward,
    tokens: { id: [1] },
    steps: { end: [1], node: ["A"] },
  }));
  expect(credit("spo", one, { mode: "tree" }, "tokens.weight")).toEqual([0, 0, 0]);
  expect(credit("spo", one, { mode: "tree" }, "tokens.advantage")).toEqual([0, 0, 0]);
});

test("a tree without tokens gets columns of steps only", () => {
  const rollouts = [1, 0].map((reward, i) => ({ id: `${i}`, group: "g", reward, steps: { node: [`${i}`] } }));
  expect(credit("spo", rollouts, { mode: "tree" }, "steps.advantage")).toEqual([0.5, -0.5]);
  expect(() => credit("spo", rollouts, {}, "steps.advantage")).toThrow(/no tokens/);
});

test("what is missing is named", () => {
  const chain = { id: "a", reward: 1, tokens: { old_logprob: [-1] } };
  expect(() => credit("spo", [chain], {}, "tokens.weight")).toThrow(/tokens\.mc_value/);
  const unmeasured = { ...chain, tokens: { old_logprob: [-1], mc_value: [null] } };
  expect(() => credit("spo", [unmeasured], {}, "tokens.weight")).toThrow(/value at a cut/);
  expect(() => credit("spo", [{ id: "a", reward: 1, tokens: { id: [1] } }], {}, "tokens.weight")).toThrow(/logprob/);
  const noNode = [{ id: "a", reward: 1, tokens: { id: [1] }, steps: { end: [1] } }];
  expect(() => credit("spo", noNode, { mode: "tree" }, "tokens.weight")).toThrow(/steps\.node/);
  expect(credit("spo", [{ id: "a", reward: 1, tokens: { old_logprob: [-0.01] } }], {}, "tokens.weight")).toEqual([0]);
});
