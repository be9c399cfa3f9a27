import { expect, test } from "vitest";
import { FeedCollector, needed } from "../../src/analysis/feed.ts";
import { firstGroups } from "../../src/analysis/trial.ts";
import { findMethod } from "../../src/methods/registry.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

const collectFor = (ids: readonly string[], ...files: object[][]) => {
  const collector = new FeedCollector(ids.map(findMethod));
  for (const rollouts of files) collector.add(batchFromObjects(rollouts));
  return collector.finish();
};
const collect = (...files: object[][]) => collectFor(["grpo", "gigpo", "tempo"], ...files);

const brief = (feed: ReturnType<typeof collect>) =>
  Object.fromEntries(
    feed.feeds.map(({ method, missing, partly, optional }) => [method.id, { missing, partly, optional }]),
  );

test("a file feeds the methods whose required columns it has; optional ones are named", () => {
  const feed = collect([
    { id: "a", group: "g", reward: 1, turns: { end: [2], state: ["s"] }, tokens: { mask: [1, 0] } },
  ]);
  expect(brief(feed)).toMatchObject({
    grpo: { missing: [], optional: ["tokens.mask"] },
    gigpo: { missing: [], optional: ["turns.end", "tokens.mask"] },
    tempo: { missing: ["tokens.id"] },
  });
  expect(feed).toMatchObject({ rollouts: 1, unscored: 0 });
});

test("a column that only some rollouts have is said so, across pieces too", () => {
  const feed = collect(
    [{ id: "a", reward: 1, turns: { state: ["s"] } }],
    [{ id: "b", reward: null, turns: { reward: [1] } }],
  );
  expect(brief(feed).gigpo).toMatchObject({ missing: [], partly: ["turns.state"] });
  expect(feed.unscored).toBe(1);
});

test("columns that only the chosen parameters ask for count: the method is tried, then with other choices", () => {
  const rollout = { group: "g", reward: 1, turns: { state: ["s"] }, steps: { end: [2] }, tokens: { id: [1, 2] } };
  const ids = ["par", "pure", "spo", "entropy-critical", "tempo", "decs"];
  const { feeds } = collectFor(ids, [
    { id: "a", ...rollout },
    { id: "b", ...rollout, reward: 0 },
  ]);
  const found = Object.fromEntries(feeds.map(({ method, params, missing }) => [method.id, { params, missing }]));
  expect(found).toEqual({
    par: { params: { method: "none" }, missing: ["signals.ref_reward_1"] },
    pure: { params: { mode: "VR" }, missing: ["steps.prm"] },
    spo: { params: null, missing: ["tokens.old_logprob or tokens.logprob"] },
    "entropy-critical": { params: null, missing: ["tokens.entropy"] },
    tempo: { params: {}, missing: [] },
    decs: { params: null, missing: ["steps.has_answer"] },
  });
});

test("a trial that stops at values or at a parameter says so in words", () => {
  const steps = { end: [2], has_answer: [1] };
  const { feeds } = collectFor(
    ["decs", "verpo"],
    [{ id: "a", reward: 1, steps, turns: { tests_passed: [0.5] }, tokens: { id: [1, 2] } }],
  );
  expect(feeds.map(({ params, missing }) => ({ params, missing }))).toEqual([
    { params: null, missing: [] },
    { params: null, missing: [] },
  ]);
  expect(feeds[0].refusal).toMatch(/^parameter max_len is missing; expected the response budget/);
  expect(feeds[1].refusal).toMatch(/^turns\.tests_passed: wrong value in turns row 0; expected a list .*, got 0\.5/);
});

test("trees and rollouts without reward are no reason to refuse, and are told", () => {
  const turns = { state: ["s", "t", "u"], parent: [-1, 0, 0] };
  const feed = collect([
    { id: "a", reward: 1, turns },
    { id: "b", reward: null, turns },
  ]);
  expect(feed).toMatchObject({ unscored: 1, branches: true });
  expect(feed.feeds.find(({ method }) => method.id === "gigpo")).toMatchObject({ params: {}, missing: [] });
});

test("methods are tried on whole groups from the beginning of the file", () => {
  const rollouts = Array.from({ length: 200 }, (_, i) => ({ id: `${i}`, group: `g${i % 50}`, reward: 1 }));
  expect(firstGroups(batchFromObjects(rollouts), 64).groupNames).toHaveLength(64);
  expect(firstGroups(batchFromObjects(rollouts), 1).ids).toEqual(["0", "50", "100", "150"]);
  expect(firstGroups(batchFromObjects([]), 64).size).toBe(0);
});

test("several needs keep their alternatives apart", () => {
  expect(needed(["a or b"])).toBe("a or b");
  expect(needed(["a or b", "c"])).toBe("(a or b) and c");
});
