import fc from "fast-check";
import { expect, test } from "vitest";
import { assign, methodParams } from "../../src/methods/assign.ts";
import {
  matchRewards,
  matchtir,
  maxWeightMatching,
  optimalTransport,
  toolSimilarity,
} from "../../src/methods/turn/matchtir.ts";
import { batchFromObjects, InputError, rolloutObject } from "../../src/rollouts/index.ts";

const call = (name: string, args: unknown) => ({ name, arguments: args });

test("similarity of calls", () => {
  const gold = call("search", { q: "paris", k: 3 });
  const similarity = (pred: unknown, given: unknown = gold, case_sensitive = false) =>
    toolSimilarity({ pred, gold: given, case_sensitive });
  expect(similarity(call("search", { q: "paris", k: 3 }))).toBe(1);
  expect(similarity(call("SEARCH", { k: 3, q: "paris" }))).toBe(1);
  expect(similarity(call("SEARCH", { k: 3, q: "paris" }), gold, true)).toBe(0);
  expect(similarity(call("find", { q: "paris", k: 3 }))).toBe(0);
  // (1 + 1/3 + 1) / 4: one of three names shared, its value equal.
  expect(similarity(call("search", { q: "paris", page: 2 }))).toBeCloseTo(7 / 12, 15);
  expect(similarity(call("search", {}))).toBe(0.25);
  // No parameters on either side: (1 + 1 + 0) / 2.
  expect(similarity(call("ping", {}), call("ping", {}))).toBe(1);
  // Arguments that are not an object, or none, count as an empty object.
  for (const odd of ["x", [1], null, 7, undefined]) expect(similarity(call("ping", odd), call("ping", {}))).toBe(1);
  expect(similarity({ name: "search" })).toBe(0.25);
});

test("values are compared as JSON", () => {
  const same = (a: unknown, b: unknown) =>
    toolSimilarity({ pred: call("f", { x: a }), gold: call("f", { x: b }) }) === 1;
  expect(same(1, JSON.parse("1.0"))).toBe(true);
  expect(same(0, -0)).toBe(true);
  expect(same({ a: 1, b: [2, { c: 3 }] }, { b: [2, { c: 3 }], a: 1 })).toBe(true);
  for (const [a, b] of [
    ["1", 1],
    [true, 1],
    ["true", true],
    [null, 0],
    [
      [1, 2],
      [2, 1],
    ],
    [{ a: 1 }, { a: 2 }],
    [["a", "b"], ["a,b"]],
    [{ "a:1,b": 2 }, { a: 1, b: 2 }],
  ] as const) {
    expect(same(a, b)).toBe(false);
  }
});

test("similarity lies in [0, 1], and is 1 for a call and itself", () => {
  const json = fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__", "constructor"), fc.jsonValue(), {
    maxKeys: 4,
  });
  fc.assert(
    fc.property(json, json, (x, y) => {
      const value = toolSimilarity({ pred: call("f", x), gold: call("F", y) });
      expect(value).toBeGreaterThan(0);
      expect(value).toBeLessThanOrEqual(1);
      expect(toolSimilarity({ pred: call("f", x), gold: call("f", structuredClone(x)) })).toBe(1);
    }),
  );
});

test("rewards of calls by the three assignments", () => {
  const similarity = [
    [0.9, 0.8],
    [0.8, 0.1],
    [0, 0],
  ];
  expect(matchRewards({ similarity, assignment: "greedy", penalty: 0.2 })).toEqual([0.9, 0.1, -0.2]);
  expect(matchRewards({ similarity, assignment: "hungarian", penalty: 0.2 })).toEqual([0.8, 0.8, -0.2]);
  // Equal similarities: the plan is uniform, each row gets 1/m of the similarity, and there is no penalty.
  const soft = matchRewards({
    similarity: [
      [0.6, 0.6],
      [0.6, 0.6],
    ],
    assignment: "ot",
    penalty: 9,
  });
  for (const r of soft) expect(r).toBeCloseTo(0.3, 12);
  expect(matchRewards({ similarity: [] })).toEqual([]);
  expect(matchRewards({ similarity: [[], []], penalty: 0.5 })).toEqual([-0.5, -0.5]);
  expect(matchRewards({ similarity: [[], []] })).toEqual([0, 0]);
  expect(matchRewards({ similarity: [[], []], assignment: "ot", penalty: 0.5 })).toEqual([0, 0]);
  expect(maxWeightMatching({ similarity })).toEqual([1, 0, null]);
  expect(optimalTransport({ similarity: [[0, 0]], reg: 1 })).toEqual([[0.5, 0.5]]);
});

test("soft rewards add up to the transported similarity, at most 1/m each", () => {
  const matrices = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })).chain(([m, n]) =>
    fc.array(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: n, maxLength: n }), {
      minLength: m,
      maxLength: m,
    }),
  );
  fc.assert(
    fc.property(matrices, (similarity) => {
      const plan = optimalTransport({ similarity, reg: 0.1 });
      matchRewards({ similarity, assignment: "ot" }).forEach((reward, i) => {
        expect(reward).toBeCloseTo(
          plan[i].reduce((sum, z, j) => sum + z * similarity[i][j], 0),
          12,
        );
        expect(reward).toBeLessThanOrEqual(1 / similarity.length + 1e-12);
      });
    }),
  );
});

const gold_calls = [call("a", { x: 1 }), call("b", {})];
const answered = {
  id: "answered",
  group: "g",
  reward: 0.5,
  meta: { gold_calls },
  turns: { tool_calls: [[call("a", { x: 1 }), call("a", { x: 1 })], [], [call("b", {})], [call("b", {})]] },
};

test("the whole trajectory is matched at once, turns get means, the answer turn its outcome", () => {
  const run = (rollout: object, p: object = {}) =>
    rolloutObject(assign(batchFromObjects([rollout]), "matchtir", { penalty: 0.2, ...p }), 0).turns?.reward;
  // The second call of a has no partner left; the call of the answer turn is ignored.
  expect(run(answered)).toEqual([(1 - 0.2) / 2, 0, 1, 0.5]);
  // Without an outcome the last turn is a tool turn: its b comes too late.
  expect(run({ ...answered, reward: null })).toEqual([0.4, 0, 1, -0.2]);
  const { reward, ...unanswered } = answered;
  expect(reward).toBe(0.5);
  expect(run(unanswered)).toEqual([0.4, 0, 1, -0.2]);
  // No reference: nothing is matched.
  expect(run({ ...answered, meta: { gold_calls: [] } })).toEqual([-0.2, 0, -0.2, 0.5]);
  expect(run({ ...answered, meta: {} }, { assignment: "ot" })).toEqual([0, 0, 0, 0.5]);
});

test("given turn rewards are taken as they are; calls go before them", () => {
  const given = { id: "r", reward: 1, turns: { reward: [0.3, 0.6] } };
  const out = assign(batchFromObjects([given]), "matchtir", { eps: 0, gamma: 0.5 });
  expect(out.cells("turns.reward")).toEqual([0.3, 0.6]);
  // Alone in its pools: the values themselves, (0.9 + 0.6) / 2 and (0.9 + 0.6) / 2.
  expect(out.cells("rollout.advantage")[0]).toBeCloseTo(0.9, 12);
  expect(out.numbers("turns.advantage")[0]).toBeCloseTo((0.9 + 0.6) / 2, 12);
  expect(out.numbers("turns.advantage")[1]).toBeCloseTo((0.9 + 0.6) / 2, 12);
  expect(assign(batchFromObjects([given]), "matchtir", { singleton: "zero" }).cells("turns.advantage")).toEqual([0, 0]);
  const both = { ...answered, turns: { ...answered.turns, reward: [9, 9, 9, 9] } };
  expect(assign(batchFromObjects([both]), "matchtir").cells("turns.reward")).toEqual([0.5, 0, 1, 0.5]);
});

test("advantages of two rollouts of different depth, by hand", () => {
  const list = [
    { id: "a", group: "g", turns: { reward: [1, 2] } },
    { id: "b", group: "g", turns: { reward: [0] } },
    { id: "c", group: "h", turns: { reward: [0.1] } },
    { id: "d", group: "h", turns: { reward: [0.1] } },
  ];
  const out = assign(batchFromObjects(list), "matchtir", { gamma: 0.5, ddof: 0, eps: 1e-12, combine: "sum" });
  // R = 3, 0 and G_1 = 2, 0 give ±1 each; the second turn is alone at its depth and keeps 2. Equal rewards give 0.
  [1 + 1, 1 + 2, -1 - 1, 0, 0].forEach((x, k) => {
    expect(out.numbers("turns.advantage")[k]).toBeCloseTo(x, 9);
  });
});

test("warnings: groups of one, and rollouts without reference calls", () => {
  const said = (rollouts: object[], p: object = {}) => {
    const found: string[] = [];
    assign(batchFromObjects(rollouts), "matchtir", { ...p }, { warn: (text) => found.push(text) });
    return found;
  };
  const second = { ...answered, id: "second" };
  expect(said([answered, second])).toEqual([]);
  expect(said([answered])).toEqual([expect.stringContaining("1 of 1 groups")]);
  expect(said([answered], { singleton: "zero" })).toEqual([]);
  expect(said([answered, { ...second, meta: {} }])).toEqual([expect.stringMatching(/"second".*no call/)]);
  expect(said([answered, { ...second, meta: { gold_calls: [] } }])).toEqual([]);
});

test("the paper is one preset away", () => {
  expect(methodParams(matchtir, {}, "paper")).toMatchObject({
    assignment: "hungarian",
    combine: "sum",
    case_sensitive: true,
  });
  expect(methodParams(matchtir, {}, "official")).toEqual(methodParams(matchtir, {}));
});

test("what the card forbids is refused, naming the rollout", () => {
  const run = (bad: object) => () =>
    assign(batchFromObjects([answered, { id: "bad", group: "g", ...bad }]), "matchtir");
  expect(run({ reward: 1, turns: { state: ["s"] } })).toThrow(/"bad".*turns\.tool_calls/);
  expect(run({ turns: { reward: [null] } })).toThrow(/"bad".*turns\.reward/);
  expect(run({ turns: { tool_calls: [null] } })).toThrow(/"bad".*turns\.tool_calls|turns row 0.*"bad"/);
  expect(run({ turns: { tool_calls: [[{ arguments: {} }]] } })).toThrow(/"bad".*turns\.tool_calls/);
  expect(run({ meta: { gold_calls: "none" }, turns: { tool_calls: [[]] } })).toThrow(/"bad".*meta\.gold_calls/);
  expect(() => toolSimilarity({ pred: null, gold: call("f", {}) })).toThrow(InputError);
  expect(() => toolSimilarity({ pred: call("f", {}) } as never)).toThrow(InputError);
  expect(() => matchRewards({ similarity: [[1, 2], [3]] })).toThrow(InputError);
  expect(() => matchRewards({ similarity: [[Number.NaN]] })).toThrow(InputError);
  expect(() => matchRewards({ similarity: [[1]], assignment: "best" as "ot" })).toThrow(InputError);
  expect(() => matchRewards({ similarity: [[1]], assignment: "ot", reg: 0 })).toThrow(InputError);
  expect(() => optimalTransport({ similarity: [[1]], reg: -1 })).toThrow(InputError);
});
