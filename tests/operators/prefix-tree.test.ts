import fc from "fast-check";
import { expect, test } from "vitest";
import {
  meanOverChildren,
  meanOverLeaves,
  nodesOfRows,
  nodeTree,
  type PrefixTree,
  rowTree,
  sumOverLeaves,
  tokenTree,
} from "../../src/operators/prefix-tree.ts";
import { type Batch, batchFromObjects, InputError } from "../../src/rollouts/index.ts";

interface Response {
  group: string;
  ids: number[];
  reward: number;
}

const ids = fc.oneof(
  fc.array(fc.constantFrom(1, 2), { maxLength: 9 }),
  fc.array(fc.constantFrom(1, 2, 3, -1, -(2 ** 31), 2 ** 31 - 1), { maxLength: 5 }),
);

/** Responses of interleaved groups: few ids, so that prefixes are shared, strict, equal and empty. */
const responses = fc.array(
  fc.record({ group: fc.constantFrom("a", "b", "c"), ids, reward: fc.double({ min: -2, max: 2, noNaN: true }) }),
  { minLength: 1, maxLength: 14 },
);

function batchOf(rollouts: readonly Response[]): Batch {
  return batchFromObjects(
    rollouts.map(({ group, ids: id, reward }, i) => ({
      id: `r${i}`,
      group,
      reward,
      tokens: { id },
      steps: { end: id.map((_, t) => t + 1), node: id.map((_, t) => id.slice(0, t + 1).join(" ")) },
    })),
  );
}

/** Rollouts of the group that agree with rollout i on its first t tokens, found by comparing all pairs. */
function sharing(rollouts: readonly Response[], i: number, t: number): number[] {
  const prefix = rollouts[i].ids.slice(0, t);
  return rollouts.flatMap((other, k) =>
    other.group === rollouts[i].group && other.ids.length >= t && prefix.every((id, at) => other.ids[at] === id)
      ? [k]
      : [],
  );
}

/** Checks a tree whose rows are the tokens against the pairs. */
function matchesPairs(rollouts: readonly Response[], batch: Batch, tree: PrefixTree, level: "token" | "step"): void {
  const offsets = batch.offsets(level);
  const nodes = nodesOfRows(tree, offsets);
  const rewards = rollouts.map(({ reward }) => reward);
  const mean = meanOverLeaves(tree, rewards);
  const sum = sumOverLeaves(tree, rewards);
  rollouts.forEach((rollout, i) => {
    expect(tree.depth[tree.leaf[i]]).toBe(rollout.ids.length);
    rollout.ids.forEach((_, t) => {
      const node = nodes[offsets[i] + t];
      const members = sharing(rollouts, i, t + 1);
      expect(tree.depth[node]).toBeGreaterThan(t);
      expect(tree.depth[tree.parent[node]]).toBeLessThanOrEqual(t);
      expect(tree.count[node]).toBe(members.length);
      const total = members.reduce((a, k) => a + rewards[k], 0);
      expect(sum[node]).toBeCloseTo(total, 9);
      expect(mean[node]).toBeCloseTo(total / members.length, 9);
      const same = rollouts.flatMap((other, k) => (other.ids.length > t && nodes[offsets[k] + t] === node ? [k] : []));
      expect(same).toEqual(members);
    });
  });
}

test("the tree of token ids says what comparing all pairs says", () => {
  fc.assert(
    fc.property(responses, (rollouts) => {
      const batch = batchOf(rollouts);
      matchesPairs(rollouts, batch, tokenTree(batch), "token");
    }),
  );
});

test("the tree of node ids and the tree of rows cut at every token say the same", () => {
  fc.assert(
    fc.property(responses, (rollouts) => {
      const batch = batchOf(rollouts);
      matchesPairs(rollouts, batch, nodeTree(batch, "steps.node"), "step");
      matchesPairs(rollouts, batch, rowTree(batch, "step"), "step");
    }),
  );
});

test("a tree of tokens is compressed: a node ends a rollout or has at least two children, and parents come first", () => {
  fc.assert(
    fc.property(responses, (rollouts) => {
      const batch = batchOf(rollouts);
      const { size, parent, leaf } = tokenTree(batch);
      const children = new Int32Array(size);
      for (let node = 0; node < size; node++) {
        expect(parent[node]).toBeLessThan(node);
        if (parent[node] >= 0) children[parent[node]]++;
      }
      for (let node = batch.groupCount; node < size; node++) {
        expect(children[node] >= 2 || leaf.includes(node)).toBe(true);
      }
      expect(size).toBeLessThanOrEqual(batch.groupCount + 2 * batch.size);
    }),
  );
});

test("the order of rollouts changes neither counts nor means", () => {
  fc.assert(
    fc.property(responses, fc.infiniteStream(fc.nat(1000)), (rollouts, keys) => {
      const key = rollouts.map(() => keys.next().value as number);
      const order = rollouts.map((_, i) => i).sort((a, b) => key[a] - key[b]);
      const describe = (list: readonly Response[]) => {
        const batch = batchOf(list);
        const tree = tokenTree(batch);
        const offsets = batch.offsets("token");
        const nodes = nodesOfRows(tree, offsets);
        const mean = meanOverLeaves(
          tree,
          list.map(({ reward }) => reward),
        );
        return list.map((_, i) => [...nodes.subarray(offsets[i], offsets[i + 1])].map((n) => [tree.count[n], mean[n]]));
      };
      const plain = describe(rollouts);
      const mixed = describe(order.map((i) => rollouts[i]));
      order.forEach((i, k) => {
        plain[i].forEach(([count, mean], t) => {
          expect(mixed[k][t][0]).toBe(count);
          expect(mixed[k][t][1]).toBeCloseTo(mean, 9);
        });
      });
    }),
  );
});

test("equal values below a node have exactly that value as their mean", () => {
  fc.assert(
    fc.property(responses, fc.double({ min: -1, max: 1, noNaN: true }), (rollouts, value) => {
      const tree = tokenTree(batchOf(rollouts));
      const mean = meanOverLeaves(
        tree,
        rollouts.map(() => value),
      );
      expect([...mean].every((x) => Object.is(x, value) || x === value)).toBe(true);
    }),
  );
});

test("the mean over children counts every child once, and a rollout that ends at the node as one more", () => {
  fc.assert(
    fc.property(responses, (rollouts) => {
      const tree = tokenTree(batchOf(rollouts));
      const rewards = rollouts.map(({ reward }) => reward);
      const worth = (node: number): number => {
        const children = [...tree.parent.keys()].filter((n) => tree.parent[n] === node).map(worth);
        const ends = rewards.filter((_, i) => tree.leaf[i] === node);
        const all = [...children, ...ends];
        return all.reduce((a, b) => a + b, 0) / all.length;
      };
      const mean = meanOverChildren(tree, rewards);
      mean.forEach((x, node) => {
        expect(x).toBeCloseTo(worth(node), 9);
      });
    }),
  );
});

test("long shared responses stay a handful of nodes", () => {
  const long = Array.from({ length: 20_000 }, (_, t) => t % 977);
  const lists = [...Array.from({ length: 8 }, () => long), long.with(19_999, -5)];
  const batch = batchFromObjects(lists.map((id, i) => ({ id: `r${i}`, group: "g", tokens: { id } })));
  const { size, depth } = tokenTree(batch);
  expect(size).toBe(4);
  expect([...depth].sort((a, b) => a - b)).toEqual([0, 19_999, 20_000, 20_000]);
});

function turnsOf(...paths: (string | null)[][]): Batch {
  return batchFromObjects(paths.map((node, i) => ({ id: `r${i}`, group: "g", reward: 0, turns: { node } })));
}

test("an id under two parents is refused, with its rollout and column", () => {
  expect(() => nodeTree(turnsOf(["a", "c"], ["b", "c"]), "turns.node")).toThrow(/"r1".*turns\.node.*two parents/);
  expect(() => nodeTree(turnsOf(["a", "a"]), "turns.node")).toThrow(InputError);
  expect(() => nodeTree(turnsOf(["a"], ["b", "a"]), "turns.node")).toThrow(InputError);
});

test("an id may come again in another group, and a number counts as its text", () => {
  const batch = batchFromObjects([
    { id: "x", group: "g", turns: { node: ["a", 7] } },
    { id: "y", group: "h", turns: { node: ["b", "a"] } },
    { id: "z", group: "g", turns: { node: ["a", "7"] } },
  ]);
  const tree = nodeTree(batch, "turns.node");
  expect([...tree.depth]).toEqual([0, 0, 1, 2, 1, 2]);
  expect(tree.leaf[0]).toBe(tree.leaf[2]);
});

test("a missing id is refused", () => {
  expect(() => nodeTree(turnsOf(["a", null]), "turns.node")).toThrow(/"r0".*turns\.node/);
  expect(() => tokenTree(turnsOf(["a"]))).toThrow(/tokens\.id/);
});

test("equal tokens cut into rows in two ways are refused", () => {
  const batch = batchFromObjects([
    { id: "x", group: "g", tokens: { id: [1, 2, 3] }, turns: { end: [1, 3] } },
    { id: "y", group: "g", tokens: { id: [1, 2, 3] }, turns: { end: [2, 3] } },
  ]);
  expect(() => rowTree(batch, "turn")).toThrow(/"y".*turns\.end.*two parents/);
});

test("rows that end at the same place after different tokens are different nodes", () => {
  const batch = batchFromObjects([
    { id: "x", group: "g", tokens: { id: [1, 2, 3, 4] }, turns: { end: [2, 4] } },
    { id: "y", group: "g", tokens: { id: [1, 2, 3, 5] }, turns: { end: [2, 4] } },
    { id: "z", group: "g", tokens: { id: [1, 9] }, turns: { end: [2] } },
  ]);
  const tree = rowTree(batch, "turn");
  const nodes = nodesOfRows(tree, batch.offsets("turn"));
  expect(nodes[0]).toBe(nodes[2]);
  expect(new Set(nodes).size).toBe(4);
});
