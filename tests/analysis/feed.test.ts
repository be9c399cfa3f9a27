import { expect, test } from "vitest";
import { FeedCollector, needed } from "../../src/analysis/feed.ts";
import { findMethod } from "../../src/methods/registry.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

const collect = (...files: object[][]) => {
  const collector = new FeedCollector(["grpo", "gigpo", "tempo"].map(findMethod));
  for (const rollouts of files) collector.add(batchFromObjects(rollouts));
  return collector.finish();
};

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

test("several needs keep their alternatives apart", () => {
  expect(needed(["a or b"])).toBe("a or b");
  expect(needed(["a or b", "c"])).toBe("(a or b) and c");
});
