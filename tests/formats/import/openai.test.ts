import { expect, test } from "vitest";
import { imported } from "./try-import.ts";

const talk = [
  { role: "user", content: "2+2?" },
  { role: "assistant", content: "4" },
];

test("group, reward and id are found under their usual names; the rest is kept", async () => {
  const rollouts = await imported("openai", {
    lines: [
      { id: 7, task_id: 3, score: true, messages: talk, model: "m", seconds: 1.5, metadata: { split: "train" } },
      { prompt_id: "p", reward: -0.5, messages: talk, rewards: { format: 1, style: null } },
      { messages: talk },
    ],
  });
  expect(rollouts[0]).toMatchObject({
    id: "7",
    group: "3",
    reward: 1,
    signals: { seconds: 1.5 },
    meta: { model: "m", split: "train" },
    messages: talk,
  });
  expect(rollouts[0].turns).toMatchObject({ text: ["4"], agent: ["assistant"], role: ["assistant"], tool_calls: [[]] });
  expect(rollouts[1]).toMatchObject({ id: "log-1", group: "p", reward: -0.5, rewards: { format: 1, style: null } });
  expect(rollouts[2].id).toBe("log-2");
  expect(rollouts[2].group).toBeUndefined();
  expect(rollouts[2].reward).toBeUndefined();
});

test("fields can be named, and equal prompts can make a group", async () => {
  const other = [{ role: "user", content: "3+3?" }, talk[1]];
  const records = [talk, talk, other].map((messages, k) => ({ messages, problem: k, grade: k / 2, reward: 9 }));
  const named = await imported("openai", { document: records }, { group: "problem", reward: "grade" });
  expect(named.map((rollout) => [rollout.group, rollout.reward])).toEqual([
    ["0", 0],
    ["1", 0.5],
    ["2", 1],
  ]);
  const byPrompt = await imported("openai", { document: records }, { group: "prompt" });
  expect(byPrompt[0].group).toBe(byPrompt[1].group);
  expect(byPrompt[2].group).not.toBe(byPrompt[0].group);
});

test("one conversation by itself, lists of them, and logged requests with their answers are understood", async () => {
  expect((await imported("auto", { document: talk }))[0].messages).toEqual(talk);
  expect(await imported("auto", { lines: [talk, talk] })).toHaveLength(2);
  const logged = { request: { messages: [talk[0]] }, response: { choices: [{ message: talk[1] }] } };
  expect((await imported("auto", { lines: [logged] }))[0].messages).toEqual(talk);
});

test("a conversation in which the agent never spoke has no turns", async () => {
  const [rollout] = await imported("openai", { lines: [{ messages: [talk[0]], reward: 0 }] });
  expect(rollout.turns).toMatchObject({ text: [], message: [] });
});

test.each([
  [{ reward: 1 }, /log\.jsonl:1.*messages/],
  [{ messages: talk, reward: "good" }, /log\.jsonl:1.*reward.*"good"/],
  [{ messages: [{ role: "user" }, { role: "boss", content: "x" }] }, /log\.jsonl:1.*messages\[1\].*role/],
  [{ messages: talk, id: {} }, /log\.jsonl:1.*field id/],
  [5, /log\.jsonl:1.*got 5/],
])("bad record %j is refused with its place", async (record, message) => {
  await expect(imported("openai", { lines: [record] })).rejects.toThrow(message);
});
