import { expect, test } from "vitest";
import { finalAnswer } from "../../../src/formats/import/gsm8k.ts";
import { imported } from "./try-import.ts";

const problem = {
  question: "3 apples and 4 pears?",
  ground_truth: "3+4=<<3+4=7>>7\nA: 7",
  small: { is_correct: true, solution: "3+4 = <<3+4=7>>7 fruits\nA: 7" },
  large: { is_correct: false, solution: "3*4 = <<3*4=12>>12 fruits\nA: 12" },
};

test("a problem is a group, a model's solution a rollout with word tokens and lines as steps", async () => {
  const rollouts = await imported("gsm8k", { lines: [problem, { ...problem, question: "again?" }] });
  expect(rollouts.map((rollout) => [rollout.id, rollout.group, rollout.reward])).toEqual([
    ["q1-small", "q1", 1],
    ["q1-large", "q1", 0],
    ["q2-small", "q2", 1],
    ["q2-large", "q2", 0],
  ]);
  const [small, large, again] = rollouts;
  expect(small.signals).toEqual({ answer: "7" });
  expect(small.meta).toMatchObject({ model: "small", question: problem.question, gold_answer: "7" });
  expect(small.messages).toEqual([
    { role: "user", content: problem.question },
    { role: "assistant", content: problem.small.solution },
  ]);
  const text = small.tokens?.text as string[];
  expect(text.join("")).toBe(problem.small.solution);
  expect(text.filter((token) => token.trim() === "<<")).toHaveLength(1);
  expect(small.steps?.text).toEqual(["3+4 = <<3+4=7>>7 fruits", "A: 7"]);
  expect(small.steps?.end.at(-1)).toBe(text.length);
  expect(again.tokens?.id).toEqual(small.tokens?.id);
  const idOf = (rollout: typeof small, word: string) => rollout.tokens?.id[rollout.tokens.text.indexOf(word)];
  expect(idOf(large, " fruits")).toBe(idOf(small, " fruits"));
});

test.each([
  ["so\nA: 1,200.", "1200"],
  ["A: $35", "35"],
  ["A: -$3.50", "-3.50"],
  ["work\n#### 42", "42"],
  ["A: 1\nmore\nA: 2", "2"],
  ["no answer", null],
  ["A: ", null],
])("final answer of %j", (solution, answer) => {
  expect(finalAnswer(solution)).toBe(answer);
});

test.each([
  [{ ...problem, ground_truth: 7 }, /log\.jsonl:1.*ground_truth/],
  [{ question: "x", ground_truth: "y" }, /at least one object with solution and is_correct/],
  [{ ...problem, small: { solution: "x", is_correct: "yes" } }, /is_correct.*"yes"/],
  [{ ...problem, small: { solution: null, is_correct: true } }, /solution/],
])("bad records are refused: %#", async (record, message) => {
  await expect(imported("gsm8k", { lines: [record] })).rejects.toThrow(message);
});
