import { expect, test } from "vitest";
import { creditColumns, creditTitle } from "../../src/analysis/credit-columns.ts";
import { shownCalls, transcriptOf } from "../../src/analysis/transcript.ts";
import { batchFromObjects } from "../../src/rollouts/index.ts";

const one = (rollout: object) => batchFromObjects([{ id: "a", ...rollout }]);

test("turns are read from their own columns", () => {
  const batch = one({
    group: "g",
    reward: 0.5,
    turns: {
      end: [2, 3],
      text: ["hello", null],
      observation: [null, "seen"],
      agent: ["planner", "solver"],
      state: ["s0", "s1"],
      tool_calls: [[], [{ name: "look", arguments: { at: 1 } }]],
    },
    tokens: { id: [1, 2, 3] },
  });
  expect(transcriptOf(batch, 0)).toEqual({
    id: "a",
    group: "g",
    reward: 0.5,
    unit: "turn",
    before: [],
    rows: [
      {
        row: 0,
        agent: "planner",
        text: "hello",
        calls: [],
        observation: null,
        state: "s0",
        after: null,
        tokens: [0, 2],
      },
      {
        row: 1,
        agent: "solver",
        text: null,
        calls: [{ name: "look", arguments: { at: 1 } }],
        observation: "seen",
        state: "s1",
        after: null,
        tokens: [2, 3],
      },
    ],
  });
});

const messages = [
  { role: "system", content: "be good" },
  { role: "user", content: [{ type: "text", text: "hi" }] },
  { role: "assistant", content: "", tool_calls: [{ function: { name: "find", arguments: '{"q":"x"}' } }] },
  { role: "tool", content: "found" },
  { role: "assistant", content: "bye" },
  { role: "user", content: "ok" },
];

test("turns without text take it from the messages when there is one of the policy per turn", () => {
  const transcript = transcriptOf(one({ messages, turns: { reward: [0, 1] } }), 0);
  expect(transcript.before).toEqual([
    { role: "system", text: "be good", calls: [] },
    { role: "user", text: "hi", calls: [] },
  ]);
  expect(transcript.rows.map(({ text, calls, observation }) => ({ text, calls, observation }))).toEqual([
    { text: "", calls: [{ name: "find", arguments: { q: "x" } }], observation: "found" },
    { text: "bye", calls: [], observation: "ok" },
  ]);
});

test("messages that do not fit the turns are not guessed at", () => {
  const transcript = transcriptOf(one({ messages, turns: { reward: [0, 1, 2], state: ["x", "y", "z"] } }), 0);
  expect(transcript.rows.map(({ text, state }) => [text, state])).toEqual([
    [null, "x"],
    [null, "y"],
    [null, "z"],
  ]);
});

test("without turns come steps, then messages, then the tokens as a whole", () => {
  const steps = transcriptOf(one({ steps: { text: ["a", "b"] }, messages }), 0);
  expect([steps.unit, steps.rows.map(({ text }) => text)]).toEqual(["step", ["a", "b"]]);
  const said = transcriptOf(one({ messages }), 0);
  expect([said.unit, said.rows.map(({ agent }) => agent)]).toEqual([
    "message",
    ["system", "user", "assistant", "tool", "assistant", "user"],
  ]);
  const tokens = transcriptOf(one({ tokens: { id: [4, 5] } }), 0);
  expect([tokens.unit, tokens.rows.map((row) => row.tokens)]).toEqual(["token", [[0, 2]]]);
  expect(transcriptOf(one({ reward: 1 }), 0).unit).toBe("rollout");
});

test("steps know the agent of the turn that they lie in", () => {
  const batch = one({
    turns: { end: [2, 3], agent: ["p", "q"] },
    steps: { end: [1, 2, 3], text: ["a", "b", "c"] },
    tokens: { id: [1, 2, 3] },
  });
  expect(transcriptOf(batch, 0, "step").rows.map(({ agent, tokens }) => [agent, tokens])).toEqual([
    ["p", [0, 1]],
    ["p", [1, 2]],
    ["q", [2, 3]],
  ]);
});

test("in a tree of turns a row says what it follows, where that is not the row above", () => {
  const batch = one({ turns: { text: ["a", "b", "c", "d"], parent: [-1, 0, 0, -1] } });
  expect(transcriptOf(batch, 0).rows.map(({ after }) => after)).toEqual([null, null, 0, -1]);
});

test("an unscored rollout has no reward", () => {
  const batch = batchFromObjects([
    { id: "a", reward: null },
    { id: "b", reward: 0 },
  ]);
  expect([transcriptOf(batch, 0).reward, transcriptOf(batch, 1).reward]).toEqual([null, 0]);
});

test("calls come in both shapes; arguments that are not JSON stay text", () => {
  expect(shownCalls([{ name: "a", arguments: "not json" }, { function: { name: "b", arguments: "[1]" } }, 7])).toEqual([
    { name: "a", arguments: "not json" },
    { name: "b", arguments: [1] },
  ]);
  expect(shownCalls(null)).toEqual([]);
});

test("the plain credit of one method is shown first, at the level that is easiest to read", () => {
  const turns = { advantage: [1], grpo_advantage: [2] };
  const tokens = { id: [1], advantage: [1] };
  expect(creditColumns(one({ turns, tokens }))).toEqual(["turns.advantage"]);
  expect(creditColumns(one({ tokens }))).toEqual(["tokens.advantage"]);
  expect(creditColumns(one({ advantage: 3 }))).toEqual(["rollout.advantage"]);
  expect(creditColumns(one({ turns: { advantage: ["text"] } }))).toEqual([]);
});

test("a file with the credit of several methods shows one column of each, without parts of them", () => {
  const batch = one({
    grpo_advantage: 1,
    turns: { end: [1], gigpo_advantage: [1], gigpo_step_advantage: [1], gigpo_return: [1] },
    tokens: { id: [1], gigpo_advantage: [1], "dr-grpo_advantage": [1] },
  });
  const columns = creditColumns(batch);
  expect(columns).toEqual(["turns.gigpo_advantage", "tokens.dr-grpo_advantage", "rollout.grpo_advantage"]);
  expect(columns.map(creditTitle)).toEqual(["gigpo", "dr-grpo", "grpo"]);
  expect(creditTitle("turns.advantage")).toBe("turns.advantage");
  expect(creditTitle("steps.prm")).toBe("steps.prm");
});
