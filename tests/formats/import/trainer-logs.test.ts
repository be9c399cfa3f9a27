import { expect, test } from "vitest";
import { imported } from "./try-import.ts";

test("TRL: prompts of one step make a group, number columns are rewards and their sum the outcome", async () => {
  const row = {
    step: 5,
    prompt: "2+2?",
    completion: "it is 4",
    accuracy_reward: 1,
    format_reward: 0.5,
    advantage: 0.7,
    note: "x",
  };
  const rollouts = await imported("auto", {
    lines: [row, { ...row, completion: "5", accuracy_reward: 0, format_reward: null }, { ...row, step: 6 }],
  });
  expect(rollouts[0]).toMatchObject({
    id: "log-0",
    reward: 1.5,
    rewards: { accuracy_reward: 1, format_reward: 0.5 },
    signals: { recorded_advantage: 0.7, training_step: 5 },
    meta: { prompt: "2+2?", completion: "it is 4", note: "x" },
  });
  expect(rollouts[0].turns).toEqual({ agent: ["assistant"], role: ["assistant"], text: ["it is 4"] });
  expect(rollouts[0].tokens).toBeUndefined();
  expect(rollouts[1].reward).toBe(0);
  expect(rollouts[1].group).toBe(rollouts[0].group);
  expect(rollouts[2].group).not.toBe(rollouts[0].group);
});

test("TRL: messages become turns after the prompt, words become tokens when asked", async () => {
  const prompt = [
    { role: "user", content: "a" },
    { role: "assistant", content: "earlier" },
    { role: "user", content: "b" },
  ];
  const completion = [{ role: "assistant", content: "now" }];
  const [chat] = await imported("trl", { lines: [{ prompt, completion, reward: 1 }] });
  expect(chat.turns).toMatchObject({ text: ["now"], message: [3] });
  expect(chat.messages).toEqual([...prompt, ...completion]);
  expect(chat.reward).toBe(1);
  const [worded] = await imported("trl", { lines: [{ prompt: "a", completion: "b c\nd" }] }, { words: true });
  expect(worded.tokens?.text).toEqual(["b", " c", "\n", "d"]);
  expect(worded.tokens?.mask).toEqual([1, 1, 1, 1]);
  expect(worded.steps).toEqual({ end: [3, 4], text: ["b c", "d"] });
  expect(worded.turns?.end).toEqual([4]);
  expect(worded.reward).toBeNull();
});

test("verl dumps: uid or the prompt groups, extra numbers are channels, gts is the ground truth", async () => {
  const row = { input: "user\n2+2?", output: "4", gts: "4", score: 1, step: 10, acc: true, pred: "4" };
  const [first, second, other, named] = await imported("auto", {
    lines: [row, { ...row, score: 0, acc: false }, { ...row, input: "user\n3+3?" }, { ...row, uid: "u-1" }],
  });
  expect(first).toMatchObject({
    reward: 1,
    rewards: { acc: 1 },
    signals: { training_step: 10, answer: "4" },
    meta: { ground_truth: "4", prompt: "user\n2+2?", completion: "4" },
  });
  expect(second.group).toBe(first.group);
  expect(other.group).not.toBe(first.group);
  expect(named.group).toBe("u-1");
});

test.each([
  ["trl", { prompt: "x", completion: 4 }, /completion.*text or a list of messages.*got 4/],
  ["trl", { prompt: "x", completion: "y", advantage: "high" }, /advantage/],
  ["verl", { input: "x", output: null, score: 1 }, /field output/],
  ["verl", { input: "x", output: "y", score: "high" }, /score.*"high"/],
])("%s: bad record %j is refused", async (importer, record, message) => {
  await expect(imported(importer, { lines: [record] })).rejects.toThrow(message);
});
