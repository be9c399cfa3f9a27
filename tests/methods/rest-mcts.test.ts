import fc from "fast-check";
import { expect, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { mctsStarBackup, mctsStarSimulate, mctsStarUct, weightedReward } from "../../src/methods/tree/rest-mcts.ts";
import { batchFromObjects, InputError, rolloutObject } from "../../src/rollouts/index.ts";

interface Path {
  node: string[];
  reward: number | null;
}

/** Paths through a ternary tree: a node is named by the way to it. */
const paths = fc.array(
  fc
    .record({
      turns: fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 4 }),
      reward: fc.constantFrom(0, 0, 1, null),
    })
    .map(({ turns, reward }): Path => ({ node: turns.map((_, k) => turns.slice(0, k + 1).join("")), reward })),
  { minLength: 1, maxLength: 8 },
);

/** The definition, node by node: what is known of the node with this name, `""` being the root. */
function oracle(list: readonly Path[]) {
  const ends = list.map(({ node, reward }) => ({ end: node.at(-1) ?? "", reward }));
  const below = (name: string, kind: (r: number | null) => boolean) =>
    ends.filter(({ end, reward }) => end.startsWith(name) && kind(reward));
  /** Steps from the node to the nearest correct end. */
  const d = (name: string) =>
    Math.min(...below(name, (r) => r !== null && r >= 0.5).map(({ end }) => end.length - name.length));
  const known = (name: string): { m: number; sign: number } | null => {
    if (d(name) < Number.POSITIVE_INFINITY) return { m: d(name) + 1, sign: 1 };
    if (below(name, (r) => r !== null && r < 0.5).length === 0) return null;
    for (let up = name.slice(0, -1); ; up = up.slice(0, -1)) {
      if (d(up) < Number.POSITIVE_INFINITY) return { m: d(up) + 1, sign: -1 };
      if (up === "") return null;
    }
  };
  const value = (name: string): { v: number; w: number; m: number } | null => {
    if (name === "") return { v: 0, w: 0, m: 0 };
    const own = known(name);
    const before = value(name.slice(0, -1));
    if (own === null || before === null) return null;
    const w = (own.sign * (1 - before.v)) / own.m;
    return { v: Math.max(0, before.v + w), w, m: own.m };
  };
  return value;
}

test("values are those of the definition, worked out node by node", () => {
  fc.assert(
    fc.property(paths, (list) => {
      const rollouts = list.map(({ node, reward }, i) => ({ id: `r${i}`, group: "q", reward, steps: { node } }));
      const result = assign(batchFromObjects(rollouts), "rest-mcts");
      const value = oracle(list);
      list.forEach(({ node }, i) => {
        const steps = rolloutObject(result, i).steps as Record<string, (number | null)[]>;
        node.forEach((name, k) => {
          const expected = value(name);
          for (const [column, x] of [
            ["value", expected?.v],
            ["reward", expected?.w],
            ["min_steps", expected?.m],
          ] as const) {
            const actual = steps[column][k];
            if (x === undefined) expect(actual).toBeNull();
            else expect(actual).toBeCloseTo(x, 12);
          }
          expect(steps.value[k] ?? 0).toBeLessThanOrEqual(1 + 1e-12);
        });
      });
    }),
  );
});

test("along the only correct path v = k / K; rollouts without steps need no nodes", () => {
  const rollouts = [
    { id: "a", group: "q", reward: 1, steps: { node: ["a", "b", "c", "d"] } },
    { id: "b", group: "q", reward: 0 },
  ];
  const values = assign(batchFromObjects(rollouts), "rest-mcts").numbers("steps.value", { absent: 0 });
  expect([...values]).toEqual([0.25, 0.5, 0.75, 1]);
  const none = assign(batchFromObjects([{ id: "b", reward: 0, steps: {} }]), "rest-mcts");
  expect(rolloutObject(none, 0).steps).toEqual({ value: [], reward: [], min_steps: [] });
});

test("bad trees are refused", () => {
  const run = (...steps: object[]) =>
    assign(batchFromObjects(steps.map((own, i) => ({ id: `r${i}`, group: "q", reward: 1, steps: own }))), "rest-mcts");
  expect(() => run({ node: ["a", "b"] }, { node: ["c", "b"] })).toThrow(/two parents/);
  expect(() => run({ node: ["a"] }, { prm: [1] })).toThrow(/"r1".*steps\.node.*column is missing/);
  expect(() => run({ node: ["a", null] })).toThrow(/the id of a node, got null/);
});

test("blocks of the search", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(9), (prev_value, distance) => {
      const { reward } = weightedReward({ prev_value, distance, error: 0 });
      expect(weightedReward({ prev_value, distance, error: 0.5 }).reward).toBeCloseTo(0, 12);
      expect(weightedReward({ prev_value, distance, error: 1 }).reward).toBeCloseTo(-reward, 12);
      expect(reward * (distance + 1)).toBeCloseTo(1 - prev_value, 12);
    }),
  );
  expect(mctsStarBackup({ values: [1, 0.5], visits: [1, 3], current: 0 })).toBeCloseTo(0.625, 12);
  expect(mctsStarBackup({ values: [1, 0.5], visits: [0, 0], current: 0.2 })).toBe(0.2);
  expect(mctsStarSimulate({ value: 0.4, simulated: [0.1, 0.8], alpha: 0.25 })).toBeCloseTo(0.5, 12);
  expect(mctsStarSimulate({ value: 0.4, simulated: [], low: 0.2 })).toBeCloseTo(0.3, 12);
  expect(() => mctsStarUct({ values: [1], visits: [1], parent_visits: 0 })).toThrow(InputError);
  expect(mctsStarUct({ values: [0.5], visits: [0], parent_visits: 0, inf: 0.8 })).toEqual([1.3]);
});
