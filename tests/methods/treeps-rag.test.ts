import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { similarityPrune } from "../../src/methods/tree/treeps-rag.ts";
import { type Batch, batchFromObjects, InputError } from "../../src/rollouts/index.ts";

/** Leaves of a tree whose turns are one token each, with rewards. */
const leaves = fc.array(
  fc.record({
    id: fc.array(fc.constantFrom(1, 2), { minLength: 1, maxLength: 4 }),
    reward: fc.double({ min: -2, max: 2, noNaN: true }),
  }),
  { minLength: 1, maxLength: 8 },
);

function rolloutsOf(list: readonly { id: number[]; reward: number }[]) {
  return list.map(({ id, reward }, i) => ({
    id: `l${i}`,
    group: "q",
    reward,
    tokens: { id },
    turns: { end: id.map((_, k) => k + 1) },
  }));
}

/** Credit of each node summed over the leaves below it: what its gradient is multiplied by. */
function summed(batch: Batch, list: readonly { id: number[] }[]): Map<string, number> {
  const advantage = batch.numbers("tokens.advantage");
  const sums = new Map<string, number>();
  let row = 0;
  for (const { id } of list) {
    id.forEach((_, k) => {
      const node = id.slice(0, k + 1).join("");
      sums.set(node, (sums.get(node) ?? 0) + advantage[row++]);
    });
  }
  return sums;
}

test("unscaled global signals sum to the mean-centred outcome of the leaves below, both signals to tempo without spread", () => {
  fc.assert(
    fc.property(leaves, (list) => {
      const batch = batchFromObjects(rolloutsOf(list));
      const mean = list.reduce((sum, { reward }) => sum + reward, 0) / list.length;
      const global = summed(assign(batch, "treeps-rag", { leaf_scale: "none", local_weight: 0 }), list);
      for (const [node, sum] of global) {
        const below = list.filter(({ id }) => id.join("").startsWith(node));
        expect(sum).toBeCloseTo(
          below.reduce((total, { reward }) => total + reward - mean, 0),
          9,
        );
      }
      const both = summed(assign(batch, "treeps-rag", { leaf_scale: "none" }), list);
      const tempo = summed(assign(batch, "tempo", { norm_by_std: false }), list);
      for (const [node, sum] of both) expect(sum).toBeCloseTo(tempo.get(node) as number, 9);
    }),
  );
});

test("scales divide by the leaves below, and node ids give the same credit as tokens", () => {
  fc.assert(
    fc.property(leaves, fc.constantFrom("sqrt", "mean"), (list, leaf_scale) => {
      const rollouts = rolloutsOf(list);
      const plain = assign(batchFromObjects(rollouts), "treeps-rag", { leaf_scale: "none" }).numbers("turns.advantage");
      const named = rollouts.map(({ tokens, ...rollout }) => ({
        ...rollout,
        turns: { node: tokens.id.map((_, k) => tokens.id.slice(0, k + 1).join("")) },
      }));
      const scaled = assign(batchFromObjects(named), "treeps-rag", { leaf_scale }).numbers("turns.advantage");
      const counts = list.flatMap(({ id }) =>
        id.map((_, k) => list.filter((leaf) => leaf.id.join("").startsWith(id.slice(0, k + 1).join(""))).length),
      );
      scaled.forEach((x: number, row: number) => {
        expect(x * (leaf_scale === "sqrt" ? Math.sqrt(counts[row]) : counts[row])).toBeCloseTo(plain[row], 9);
      });
    }),
  );
});

test("a tree must be given", () => {
  const run = (...turns: object[]) =>
    assign(batchFromObjects(turns.map((own, i) => ({ id: `r${i}`, group: "q", reward: i, turns: own }))), "treeps-rag");
  expect(() => run({ state: ["a"] })).toThrow(/turns\.node.*tokens\.id and turns\.end/);
  expect(() => run({ node: ["a"] }, { state: ["a"] })).toThrow(/"r1".*turns\.node/);
  expect(() => run({ node: ["a", "c"] }, { node: ["b", "c"] })).toThrow(/two parents/);
});

test("pruning keeps no two similar candidates unless it must, and never more than it may", () => {
  const sets = fc.array(fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 3 }), { maxLength: 6 });
  const similarity = (x: string[], y: string[]) => {
    const both = new Set(x.filter((id) => y.includes(id))).size;
    const either = new Set([...x, ...y]).size;
    return either === 0 ? 1 : both / either;
  };
  fc.assert(
    fc.property(sets, fc.constantFrom(0.3, 0.5, 1), fc.nat(4), fc.nat(4), (list, threshold, max_keep, min_keep) => {
      const kept = similarityPrune({ sets: list, threshold, max_keep, min_keep });
      expect(kept).toEqual([...new Set(kept)].sort((a, b) => a - b));
      expect(kept.length).toBeLessThanOrEqual(max_keep);
      expect(kept.length).toBeGreaterThanOrEqual(Math.min(min_keep, max_keep, list.length));
      const free = similarityPrune({ sets: list, threshold, max_keep, min_keep: 0 });
      for (const i of free) {
        for (const j of free) if (i < j) expect(similarity(list[i], list[j])).toBeLessThan(threshold);
      }
      if (free.length >= min_keep) expect(kept).toEqual(free);
    }),
  );
  expect(similarityPrune({ sets: [["a"], ["a"], ["a", "b"]], threshold: 0.4, max_keep: 3, min_keep: 2 })).toEqual([
    0, 2,
  ]);
  expect(() => similarityPrune({ sets: [], threshold: 0 })).toThrow(InputError);
});
