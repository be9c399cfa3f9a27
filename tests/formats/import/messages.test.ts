import { expect, test } from "vitest";
import { chatTurns, readMessages } from "../../../src/formats/import/messages.ts";
import { toolStates } from "../../../src/formats/import/states.ts";

const call = (name: string, args: unknown, id = "c1") => ({
  id,
  type: "function",
  function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) },
});

test("one turn is one assistant message and what follows it", () => {
  const messages = readMessages([
    { role: "system", content: "be kind" },
    { role: "user", content: "hi" },
    { role: "assistant", content: "hello" },
    { role: "user", content: "find it" },
    { role: "assistant", content: null, tool_calls: [call("find", { x: 1 }), call("look", {}, "c2")] },
    { role: "tool", tool_call_id: "c1", name: "find", content: "found" },
    { role: "tool", tool_call_id: "c2", content: "seen" },
    { role: "assistant", content: "done" },
  ]);
  const { promptLength, columns } = chatTurns(messages);
  expect(promptLength).toBe(2);
  expect(columns.text).toEqual(["hello", 'find({"x":1})\nlook({})', "done"]);
  expect(columns.observation).toEqual(["find it", "find: found\nseen", ""]);
  expect(columns.tool_calls).toEqual([
    [],
    [
      { name: "find", arguments: { x: 1 } },
      { name: "look", arguments: {} },
    ],
    [],
  ]);
  expect(columns.message).toEqual([2, 4, 7]);
  expect(columns.reward).toBeUndefined();
});

test("malformed arguments stay in the text and are not a call", () => {
  const { columns } = chatTurns(
    readMessages([{ role: "assistant", content: "try", tool_calls: [call("find", '{"x": 1'), call("look", "")] }]),
  );
  expect(columns.text).toEqual(['try\nfind({"x": 1)\nlook({})']);
  expect(columns.tool_calls).toEqual([[{ name: "look", arguments: {} }]]);
});

test("the older function_call, arguments as objects, parts and names are understood", () => {
  const { columns } = chatTurns(
    readMessages([
      {
        role: "user",
        content: [
          { type: "text", text: "see " },
          { type: "image_url", image_url: { url: "x" } },
        ],
      },
      {
        role: "assistant",
        name: "planner",
        content: "",
        function_call: { name: "f", arguments: '{"a":[1]}' },
        reward: 0.5,
      },
      { role: "function", name: "f", content: "7" },
      { role: "assistant", content: [{ type: "text", text: "seven" }], reasoning_content: "because" },
      { role: "assistant", content: null, tool_calls: [{ id: "x", name: "g", arguments: { b: 2 } }] },
    ]),
  );
  expect(columns.agent).toEqual(["planner", "assistant", "assistant"]);
  expect(columns.tool_calls).toEqual([
    [{ name: "f", arguments: { a: [1] } }],
    [],
    [{ name: "g", arguments: { b: 2 } }],
  ]);
  expect(columns.observation).toEqual(["f: 7", "", ""]);
  expect(columns.text[1]).toBe("seven");
  expect(columns.reasoning).toEqual([null, "because", null]);
  expect(columns.reward).toEqual([0.5, null, null]);
});

test.each([
  [[{ role: "wizard", content: "x" }], /messages\[0\].*role.*"wizard"/],
  [
    [
      { role: "user", content: "x" },
      { role: "assistant", content: 5 },
    ],
    /messages\[1\].*content.*got 5/,
  ],
  [[{ role: "assistant", tool_calls: "f()" }], /tool_calls.*list/],
  [[{ role: "assistant", tool_calls: [{ function: {} }] }], /tool_calls\.function\.name/],
  [["hi"], /messages\[0\]/],
])("a message that is not one is named: %j", (list, message) => {
  expect(() => readMessages(list)).toThrow(message);
});

const ask = { role: "user", content: "please" };
const use = (name: string, args: unknown) => ({ role: "assistant", content: null, tool_calls: [call(name, args)] });
const result = (content: string) => ({ role: "tool", tool_call_id: "c1", content });
const say = { role: "assistant", content: "…" };

function statesOf(list: unknown[]): string[] {
  const messages = readMessages(list);
  return toolStates(messages, chatTurns(messages).at, new Set(["think"]));
}

test("equal facts in any order and wording are one state", () => {
  const one = statesOf([ask, use("a", { x: 1 }), result("A"), use("b", { p: 1, q: 2 }), result("B"), say]);
  const other = statesOf([
    { role: "user", content: "other words" },
    use("b", { q: 2, p: 1 }),
    result("B"),
    use("a", { x: 1 }),
    result("A"),
    say,
  ]);
  expect(one[2]).toBe(other[2]);
  expect(one[0]).toBe(other[0]);
  expect(one[1]).not.toBe(other[1]);
  expect(new Set(one).size).toBe(3);
});

test("another result or another argument is another state", () => {
  const [, a] = statesOf([ask, use("a", { x: 1 }), result("A"), say]);
  const [, b] = statesOf([ask, use("a", { x: 1 }), result("B"), say]);
  const [, c] = statesOf([ask, use("a", { x: 2 }), result("A"), say]);
  expect(new Set([a, b, c]).size).toBe(3);
});

test("asking the user once more is another state; repeats, empty results and pure tools teach nothing", () => {
  const asked = statesOf([ask, use("a", {}), result("A"), say, ask, say]);
  expect(asked[2]).not.toBe(asked[1]);
  const repeated = statesOf([ask, use("a", {}), result("A"), use("a", {}), result("A"), say]);
  expect(repeated[2]).toBe(repeated[1]);
  const thought = statesOf([ask, use("think", { t: "x" }), result("thought"), use("b", {}), result(" "), say]);
  expect(new Set(thought)).toEqual(new Set(["0f1u"]));
});

test("results are matched by id within the last message, else in order", () => {
  const both = { role: "assistant", content: null, tool_calls: [call("a", {}, "c1"), call("b", {}, "c2")] };
  const byId = [
    { role: "tool", tool_call_id: "c2", content: "B" },
    { role: "tool", tool_call_id: "c1", content: "A" },
  ];
  const inOrder = [
    { role: "tool", content: "A" },
    { role: "tool", content: "B" },
  ];
  expect(statesOf([ask, both, ...byId, say])[1]).toBe(statesOf([ask, both, ...inOrder, say])[1]);
});
