import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { assign } from "../../src/methods/assign.ts";
import { defineMethod } from "../../src/methods/method.ts";
import { batchFromObjects, firstTree, InputError, readAsLines, rolloutObject } from "../../src/rollouts/index.ts";

/** Turn 0 with two tokens; turn 1 (one token) and turn 2 (three tokens, the second written by a tool) both follow it. */
const tree = {
  id: "t",
  group: "g",
  reward: 1,
  tokens: { id: [1, 2, 3, 4, 5, 6], mask: [1, 1, 1, 1, 0, 1] },
  steps: { end: [1, 2, 3, 5, 6], prm: [0.1, 0.2, 0.3, 0.4, 0.5] },
  turns: { end: [2, 3, 6], parent: [-1, 0, 0], agent: ["a", "b", "c"], reward: [0, 4, 6] },
  edges: { src: [0, 0, 1], dst: [1, 2, 2] },
};
const line = {
  id: "l",
  group: "g",
  reward: 0,
  tokens: { id: [7, 8], mask: [1, 1] },
  steps: { end: [1, 2], prm: [0, 0] },
  turns: { end: [1, 2], agent: ["a", "b"], reward: [0, 0] },
};

function facts(title: string) {
  const paper = { title, arxiv: null, date: "2026-01", repo: null };
  return { paper, headline: "", granularity: "turn", methodology: ["monte-carlo"], checked: "" } as const;
}

/** Writes down what a line method sees, at every level. */
const witness = defineMethod({
  id: "witness",
  title: "Witness",
  summary: "Numbers of turns, steps and tokens as a line method sees them.",
  facts: facts("none"),
  equations: [],
  params: z.object({}),
  reads: ["turns.end"],
  writes: ["turns.place", "turns.after", "steps.place", "tokens.place", "rollout.length", "edges.jump", "turns.name"],
  scope: "rollout",
  assign(batch) {
    const place = (level: "turn" | "step" | "token") => {
      const offsets = batch.offsets(level);
      const out = new Float64Array(batch.count(level));
      for (let i = 0; i < batch.size; i++) {
        for (let row = offsets[i]; row < offsets[i + 1]; row++) out[row] = row - offsets[i];
      }
      return out;
    };
    const turns = batch.offsets("turn");
    // Turns after this one: null on the last, so that nulls are folded too.
    const after = new Float64Array(batch.count("turn"));
    const valid = new Uint8Array(after.length);
    for (let i = 0; i < batch.size; i++) {
      for (let row = turns[i]; row < turns[i + 1]; row++) {
        after[row] = turns[i + 1] - row - 1;
        valid[row] = after[row] === 0 ? 0 : 1;
      }
    }
    const [src, dst] = [batch.numbers("edges.src", { absent: 0 }), batch.numbers("edges.dst", { absent: 0 })];
    return batch.with({
      "turns.place": place("turn"),
      "turns.after": { values: after, valid },
      "steps.place": place("step"),
      "tokens.place": place("token"),
      "rollout.length": Float64Array.from(
        batch.ids,
        (_, i) => batch.offsets("token")[i + 1] - batch.offsets("token")[i],
      ),
      "edges.jump": Float64Array.from(src, (s, k) => dst[k] - s),
      "turns.name": batch.strings("turns.agent").map((agent, row) => `${agent}${place("turn")[row]}`),
    });
  },
});

test("paths: every path is a line with its turns, tokens, steps and edges in order", () => {
  const { batch } = readAsLines(batchFromObjects([tree, line]), "paths");
  expect(rolloutObject(batch, 0)).toEqual({
    ...tree,
    id: "t#1",
    tokens: { id: [1, 2, 3], mask: [1, 1, 1] },
    steps: { end: [1, 2, 3], prm: [0.1, 0.2, 0.3] },
    turns: { end: [2, 3], parent: [-1, 0], agent: ["a", "b"], reward: [0, 4] },
    edges: { src: [0], dst: [1] },
  });
  expect(rolloutObject(batch, 1)).toEqual({
    ...tree,
    id: "t#2",
    tokens: { id: [1, 2, 4, 5, 6], mask: [1, 1, 1, 0, 1] },
    steps: { end: [1, 2, 4, 5], prm: [0.1, 0.2, 0.4, 0.5] },
    turns: { end: [2, 5], parent: [-1, 0], agent: ["a", "c"], reward: [0, 6] },
    edges: { src: [0], dst: [1] },
  });
  expect(rolloutObject(batch, 2)).toEqual(line);
});

test("paths: shared rows get the mean over their paths, the others their own result", () => {
  const out = assign(batchFromObjects([tree, line]), witness, {}, { branches: "paths" });
  const [t, l] = [rolloutObject(out, 0), rolloutObject(out, 1)];
  expect(t.turns).toMatchObject({ place: [0, 1, 1], after: [1, null, null], name: ["a0", "b1", "c1"] });
  expect(t.tokens?.place).toEqual([0, 1, 2, 2, 3, 4]);
  expect(t.steps?.place).toEqual([0, 1, 2, 2, 3]);
  // Lengths 3 and 5.
  expect(t.length).toBe(4);
  // The edge between the two branches is on no path.
  expect(t.edges?.jump).toEqual([1, 1, 0]);
  expect(l.turns).toMatchObject({ place: [0, 1], after: [1, null], name: ["a0", "b1"] });
  expect(l.length).toBe(2);
  // What was there stays: only results are folded.
  expect(t.turns).toMatchObject(tree.turns);
  expect(t.edges).toMatchObject(tree.edges);
});

test("paths: grpo worked by hand", () => {
  const out = assign(batchFromObjects([tree, line]), "grpo", { eps: 1e-12 }, { branches: "paths" });
  // The group holds rewards 1, 1, 0: mean 2/3, sample spread sqrt(1/3).
  const up = 1 / 3 / Math.sqrt(1 / 3);
  const numbers = (i: number, name: string) => rolloutObject(out, i).tokens?.[name] as number[];
  const near = (got: number[], wanted: number[]) => {
    expect(got.length).toBe(wanted.length);
    got.forEach((x, k) => {
      expect(x).toBeCloseTo(wanted[k], 10);
    });
  };
  near(numbers(0, "advantage"), [up, up, up, up, 0, up]);
  near(numbers(1, "advantage"), [-2 * up, -2 * up]);
  // 1 over the policy tokens of the path: 3 on the first, 4 on the second, their mean on the shared turn.
  const both = (1 / 3 + 1 / 4) / 2;
  near(numbers(0, "weight"), [both, both, 1 / 3, 1 / 4, 0, 1 / 4]);
  expect(rolloutObject(out, 0).advantage).toBeCloseTo(up, 10);
});

test("trunk: the path to the last leaf is the line, everything off it gets 0", () => {
  const out = assign(batchFromObjects([tree, line]), "grpo", { eps: 1e-12 }, { branches: "trunk" });
  const t = rolloutObject(out, 0);
  const a = Math.SQRT1_2;
  const advantage = out.numbers("tokens.advantage");
  [a, a, 0, a, 0, a].forEach((x, k) => {
    expect(advantage[k]).toBeCloseTo(x, 10);
  });
  expect(t.tokens?.weight).toEqual([0.25, 0.25, 0, 0.25, 0, 0.25]);
  expect(rolloutObject(out, 1).advantage).toBeCloseTo(-a, 10);
  const seen = rolloutObject(assign(batchFromObjects([tree, line]), witness, {}, { branches: "trunk" }), 0);
  expect(seen.turns).toMatchObject({ place: [0, 0, 1], after: [1, 0, null], name: ["a0", null, "c1"] });
  expect(seen.steps?.place).toEqual([0, 1, 0, 2, 3]);
  expect(seen.length).toBe(5);
});

test("paths: returns of turns branch as the tree does", () => {
  const states = { ...tree, turns: { ...tree.turns, state: ["s", "x", "y"] } };
  const other = { ...line, turns: { ...line.turns, state: ["s", "z"] } };
  const params = { gamma: 0.5, norm_by_std: false, episode_stats: "trajectories" };
  const out = assign(batchFromObjects([states, other]), "gigpo", params, { branches: "paths" });
  const { turns, advantage } = rolloutObject(out, 0) as unknown as {
    turns: Record<string, number[]>;
    advantage: number;
  };
  // Path 1 returns 0 + 0.5·4 = 2 from state s, path 2 returns 0.5·6 = 3, the line 0: mean 5/3.
  expect(turns.return).toEqual([2.5, 4, 6]);
  expect(turns.anchor_size).toEqual([3, 1, 1]);
  [2.5 - 5 / 3, 0, 0].forEach((x, k) => {
    expect(turns.step_advantage[k]).toBeCloseTo(x, 12);
  });
  expect(advantage).toBeCloseTo(1 / 3, 12);
});

test("several roots and forks upon forks give one path per leaf", () => {
  //   0 ── 1 ── 3
  //    └── 2        4 ── 5 (4 is a root of its own)
  const batch = batchFromObjects([
    { id: "f", turns: { parent: [-1, 0, 0, 1, -1, 4], agent: ["a", "b", "c", "d", "e", "f"] } },
  ]);
  const { batch: lines, source } = readAsLines(batch, "paths");
  expect([...source.turn]).toEqual([0, 2, 0, 1, 3, 4, 5]);
  expect([...lines.offsets("turn")]).toEqual([0, 2, 5, 7]);
  // Paths of a rollout without a group are compared with each other.
  expect(lines.groupCount).toBe(1);
  expect([...readAsLines(batch, "trunk").source.turn]).toEqual([4, 5]);
});

test("the group of a lone tree is its own, whatever other groups are called", () => {
  const fork = { turns: { parent: [-1, 0, 0], agent: ["a", "b", "c"] } };
  const { batch } = readAsLines(
    batchFromObjects([
      { id: "x", ...fork },
      { id: "y", group: "x", ...fork },
      { id: "z", group: "x#", ...fork },
      { id: "w", turns: { agent: ["a"] } },
    ]),
    "paths",
  );
  expect([...batch.groupOf]).toEqual([0, 0, 1, 1, 2, 2, 3]);
});

test("a tree is refused unless told how to read it; the refusal names rollout and option", () => {
  const batch = batchFromObjects([line, tree]);
  expect(firstTree(batch)).toBe(1);
  expect(() => assign(batch, "grpo")).toThrow(InputError);
  expect(() => assign(batch, "grpo")).toThrow(/"t".*turns\.parent.*--branches paths.*--branches trunk/);
  const aware = {
    ...witness,
    branches: true,
    assign: (given: typeof batch) => given.with({ "turns.x": new Float64Array(5) }),
  };
  expect(assign(batch, aware).has("turns.x")).toBe(true);
});

test("a tree whose tokens or steps cannot be told apart is refused", () => {
  const { parent, agent } = tree.turns;
  const turns = { parent, agent };
  const read = (rollout: object) => () => readAsLines(batchFromObjects([rollout]), "paths");
  expect(read({ ...tree, turns })).toThrow(/"t".*turns\.end/);
  expect(read({ ...tree, steps: { prm: [1, 2] } })).toThrow(/"t".*steps\.end/);
  expect(read({ ...tree, steps: { end: [3, 6] } })).toThrow(/step 0 crosses the end of its turn/);
  const bare = { id: "t", turns };
  expect(read({ ...bare, steps: { prm: [1] } })).toThrow(/"t".*tokens/);
  expect(read(bare)().batch.size).toBe(2);
});

test("unscored trees stay out, scored ones are credited", () => {
  const unscored = { ...tree, id: "u", reward: null };
  const options = { unscored: "leave-out", branches: "paths" } as const;
  const batch = batchFromObjects([unscored, tree, line]);
  const out = assign(batch, "rloo", {}, options);
  expect(rolloutObject(out, 0).tokens?.advantage).toEqual([0, 0, 0, 0, 0, 0]);
  // Rewards 1, 1, 0: a path of the tree is compared with the mean 0.5 of the others.
  expect(rolloutObject(out, 1).tokens?.advantage).toEqual([0.5, 0.5, 0.5, 0.5, 0, 0.5]);
  expect(rolloutObject(out, 2).advantage).toBe(-1);
});

/** A rollout that is a line of turns, each with one to three tokens. */
const lines = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.double({ min: -2, max: 2, noNaN: true })), {
    minLength: 1,
    maxLength: 5,
  })
  .map((turns) => {
    const end = turns.map((_, k) => turns.slice(0, k + 1).reduce((sum, [n]) => sum + n, 0));
    const tokens = end[end.length - 1];
    return {
      tokens: {
        id: Array.from({ length: tokens }, (_, t) => t),
        value: Array.from({ length: tokens }, (_, t) => t / 7),
      },
      turns: {
        end,
        reward: turns.map(([, r]) => r),
        state: turns.map(([n]) => `s${n}`),
        gt_logprob: turns.map(([, r]) => r),
      },
      reward: turns[0][1],
    };
  });

test("a line that spells out its parents is credited as if it did not, whatever the reading", () => {
  fc.assert(
    fc.property(fc.array(lines, { minLength: 1, maxLength: 5 }), (rollouts) => {
      const plain = rollouts.map((r, i) => ({ ...r, id: `r${i}`, group: "g" }));
      const explicit = plain.map((r) => ({ ...r, turns: { ...r.turns, parent: r.turns.end.map((_, k) => k - 1) } }));
      for (const id of ["grpo", "gae", "gigpo", "igpo", "matchtir"]) {
        const expected = assign(batchFromObjects(plain), id);
        for (const branches of [undefined, "paths", "trunk"] as const) {
          const out = assign(batchFromObjects(explicit), id, {}, { branches });
          for (const path of expected.paths) expect(out.cells(path)).toEqual(expected.cells(path));
        }
        // Reading lines as lines changes nothing either, so that trees and lines can stand in one file.
        const read = readAsLines(batchFromObjects(explicit), "paths").batch;
        for (const path of read.paths) expect(read.cells(path)).toEqual(batchFromObjects(explicit).cells(path));
      }
    }),
    { numRuns: 60 },
  );
});

test("a tree of two equal branches is credited like its single line, apart from the size of its group", () => {
  const single = { id: "s", group: "g", reward: 1, turns: { reward: [1, 2], state: ["p", "q"] } };
  const double = { ...single, turns: { reward: [1, 2, 2], state: ["p", "q", "q"], parent: [-1, 0, 0] } };
  const params = { norm_by_std: false };
  const one = rolloutObject(assign(batchFromObjects([single]), "gigpo", params), 0).turns as Record<string, number[]>;
  const two = rolloutObject(assign(batchFromObjects([double]), "gigpo", params, { branches: "paths" }), 0)
    .turns as Record<string, number[]>;
  expect(two.return).toEqual([one.return[0], one.return[1], one.return[1]]);
  expect(two.step_advantage).toEqual([0, 0, 0]);
});
