import { expect, test } from "vitest";
import { imported } from "./try-import.ts";

const failed = {
  is_correct: false,
  question: "where?",
  question_ID: "q-1",
  ground_truth: "here",
  level: 2,
  history: [
    { role: "human", content: "where?" },
    { role: "Orchestrator (thought)", content: "hm" },
    { role: "Orchestrator (-> WebSurfer)", content: "go" },
    { name: "Web_Expert", role: "user", content: "there" },
  ],
  mistake_agent: "Web_Expert",
  mistake_step: "3",
  mistake_reason: "wrong place",
};

test("one turn per entry, with agents, edges and the person's label", async () => {
  const [run] = await imported("who-and-when", { document: failed });
  expect(run).toMatchObject({ id: "log", group: "q-1", reward: 0, messages: failed.history });
  expect(run.turns).toEqual({
    agent: ["human", "Orchestrator", "Orchestrator", "Web_Expert"],
    role: ["human", "Orchestrator (thought)", "Orchestrator (-> WebSurfer)", "user"],
    text: ["where?", "hm", "go", "there"],
    message: [0, 1, 2, 3],
  });
  expect(run.edges).toEqual({ src: [0, 1, 2], dst: [1, 2, 3], kind: ["message", "message", "message"] });
  expect(run.meta).toEqual({
    question: "where?",
    ground_truth: "here",
    mistake_agent: "Web_Expert",
    mistake_step: 3,
    mistake_reason: "wrong place",
    level: 2,
  });
});

test("a run that was corrected has reward 1, a label that is no number stays as it is", async () => {
  const { is_correct: _, ...rest } = failed;
  const [run] = await imported("who-and-when", { document: { ...rest, is_corrected: true, mistake_step: "late" } });
  expect(run.reward).toBe(1);
  expect(run.meta?.mistake_step).toBe("late");
});

test.each([
  [{ ...failed, history: {} }, /field history/],
  [{ ...failed, history: ["x"] }, /history\[0\]/],
  [{ ...failed, history: [{ content: "x" }] }, /history\[0\]\.role is missing/],
  [{ ...failed, is_correct: "no" }, /is_correct.*"no"/],
  [{ ...failed, question: 3 }, /question/],
])("bad logs are refused: %#", async (document, message) => {
  await expect(imported("who-and-when", { document })).rejects.toThrow(message);
});
