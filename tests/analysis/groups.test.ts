import { expect, test } from "vitest";
import { GroupCollector, summarizeGroups } from "../../src/analysis/groups.ts";
import { batchFromObjects, selectRollouts } from "../../src/rollouts/index.ts";

const batch = batchFromObjects([
  { id: "a", group: "x", reward: 1, tokens: { id: [1, 2, 3], mask: [1, 0, 1] } },
  { id: "b", group: "y", reward: 0, tokens: { id: [1] } },
  { id: "c", group: "x", reward: 0, tokens: { id: [1, 2, 3, 4] } },
  { id: "d", group: "y", reward: 0, tokens: { id: [1, 2] } },
  { id: "e", tokens: { id: [] } },
]);

test("groups are summed up by their rewards and the lengths of what the policy wrote", () => {
  const summary = summarizeGroups(batch);
  expect(summary.groups).toEqual([
    {
      name: "x",
      size: 2,
      unscored: 0,
      rewards: [0, 1],
      mean: 0.5,
      spread: 0.5,
      lengths: { min: 2, median: 3, max: 4 },
    },
    { name: "y", size: 2, unscored: 0, rewards: [0, 0], mean: 0, spread: 0, lengths: { min: 1, median: 1.5, max: 2 } },
    { name: "e", size: 1, unscored: 1, rewards: [], mean: null, spread: null, lengths: { min: 0, median: 0, max: 0 } },
  ]);
  expect(summary).toMatchObject({
    rollouts: 5,
    unscored: 1,
    binary: true,
    mean: 0.25,
    withoutSpread: 1,
    unit: "tokens",
    lengths: { min: 0, median: 2, max: 4 },
  });
});

test("a group that comes in pieces is one group", () => {
  const collector = new GroupCollector();
  for (let i = 0; i < batch.size; i++) collector.add(selectRollouts(batch, [i]));
  expect(collector.finish()).toEqual(summarizeGroups(batch));
});

test("without tokens lengths are turns, else steps, else messages", () => {
  const unit = (rollout: object) => {
    const { unit, lengths } = summarizeGroups(batchFromObjects([{ id: "a", ...rollout }]));
    return [unit, lengths.max];
  };
  expect(unit({ turns: { reward: [1, 2] }, steps: { prm: [1, 2, 3] } })).toEqual(["turns", 2]);
  expect(unit({ steps: { prm: [1, 2, 3] }, messages: [{}] })).toEqual(["steps", 3]);
  expect(unit({ messages: [{}, {}, {}, {}] })).toEqual(["messages", 4]);
});

test("rewards other than 0 and 1 have a mean and no pass rate; a rollout's id and a group's name may be equal", () => {
  const summary = summarizeGroups(
    batchFromObjects([
      { id: "a", reward: 0.1 },
      { id: "b", group: "a", reward: 0.1 },
      { id: "c", group: "a", reward: 0.1 },
    ]),
  );
  expect(summary.binary).toBe(false);
  expect(summary.groups.map(({ name, size }) => [name, size])).toEqual([
    ["a", 1],
    ["a", 2],
  ]);
  expect(summary.withoutSpread).toBe(1);
  expect(summary.groups[1].spread).toBe(0);
});
