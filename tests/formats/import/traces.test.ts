import { join } from "node:path";
import { expect, test } from "vitest";
import { rolloutObject } from "../../../src/rollouts/index.ts";
import { folderWith, importAll, imported } from "./try-import.ts";

const say = (role: string, content: string, more: object = {}) => ({ role, content, ...more });

function node(parent: number | null, sampled: boolean, message: unknown, ids: number[] = [], more: object = {}) {
  return { parent, sampled, message, token_ids: ids, mask: ids.map((_, k) => sampled && k > 0), ...more };
}

const trace = {
  version: 1,
  id: "t-1",
  task: { type: "T", data: { idx: 4, prompt: "?" } },
  agent: { name: "solver", trainable: true, config: {} },
  rewards: { correct: { score: 1, weight: 2 }, style: { score: 0.5, weight: 1 }, broken: null },
  metrics: { turns: 2, missing: null },
  stop_condition: "done",
  nodes: [
    node(null, false, say("user", "?"), [1, 2]),
    node(0, true, say("assistant", "look", { tool_calls: [{ id: "c", name: "f", arguments: '{"x":1}' }] }), [9, 3, 4], {
      logprobs: [-0.5, -0.25],
      advantages: [0.1, 0.2],
    }),
    node(1, false, say("tool", "seen", { tool_call_id: "c" }), [5]),
    node(2, true, say("assistant", "end"), [9, 6], { logprobs: [-1] }),
  ],
};

test("verifiers: sampled nodes are turns, compact values are spread over the sampled tokens", async () => {
  const [run] = await imported("auto", { lines: [{ id: "e", task: trace.task, traces: [trace], ok: true }] });
  expect(run).toMatchObject({ id: "t-1", group: "4", reward: 2.5, rewards: { correct: 1, style: 0.5, broken: null } });
  expect(run.signals).toEqual({ turns: 2 });
  expect(run.turns).toMatchObject({
    end: [4, 6],
    agent: ["solver", "solver"],
    text: ['look\nf({"x":1})', "end"],
    message: [1, 3],
  });
  expect(run.turns?.observation).toEqual(["seen", ""]);
  expect(run.turns?.parent).toBeUndefined();
  expect(run.tokens).toEqual({
    id: [9, 3, 4, 5, 9, 6],
    mask: [0, 1, 1, 0, 0, 1],
    logprob: [0, -0.5, -0.25, 0, 0, -1],
    recorded_advantage: [0, expect.closeTo(0.1), expect.closeTo(0.2), 0, 0, 0],
  });
});

test("verifiers: branches become turns.parent, and fabricated assistant messages are no turns", async () => {
  const nodes = [
    node(null, false, say("user", "?")),
    node(0, true, say("assistant", "first")),
    node(1, true, say("assistant", "left")),
    node(1, false, say("assistant", "made up")),
    node(3, true, say("assistant", "right")),
    node(0, true, say("assistant", "second root")),
  ];
  const [run] = await imported("verifiers", { lines: [{ ...trace, nodes }] });
  expect(run.turns?.text).toEqual(["first", "left", "right", "second root"]);
  expect(run.turns?.parent).toEqual([-1, 0, 0, -1]);
  expect(run.turns?.observation).toEqual(["made up", "", "", ""]);
  expect(run.tokens).toBeUndefined();
});

test("verifiers: several agents of an episode have groups of their own; older result rows are read", async () => {
  const other = { ...trace, id: "t-2", agent: { name: "judge" }, rewards: {} };
  const runs = await imported("verifiers", {
    lines: [{ group: { id: "g" }, task: trace.task, traces: [trace, other] }],
  });
  expect(runs.map((run) => [run.id, run.group, run.reward])).toEqual([
    ["t-1", "g/solver", 2.5],
    ["t-2", "g/judge", null],
  ]);
  const row = {
    example_id: 3,
    prompt: [say("user", "?")],
    completion: [say("assistant", "!")],
    reward: 1,
    metrics: { a: 1 },
  };
  const [legacy] = await imported("auto", { lines: [row] });
  expect(legacy).toMatchObject({ id: "log-0", group: "3", reward: 1, signals: { a: 1 } });
  expect(legacy.turns).toMatchObject({ text: ["!"], message: [1] });
});

test.each([
  [{ ...trace, nodes: [node(0, true, say("assistant", "x"))] }, /nodes\[0\]\.parent/],
  [
    { ...trace, nodes: [node(null, true, say("assistant", "x"), [1, 2], { logprobs: [0, 0, 0] })] },
    /nodes\[0\]\.logprobs.*1 values/,
  ],
  [{ ...trace, nodes: [node(null, true, say("assistant", "x"), [1, 2], { mask: [true] })] }, /nodes\[0\]\.mask/],
  [{ ...trace, rewards: { a: { score: "x" } } }, /score/],
  [{ task: {}, traces: [{ agent: {} }] }, /traces\[0\].*nodes/],
])("verifiers: bad traces are refused: %#", async (record, message) => {
  await expect(imported("verifiers", { lines: [record] })).rejects.toThrow(message);
});

const step = (source: string, message: string, more: object = {}) => ({ step_id: 1, source, message, ...more });
const trajectory = {
  schema_version: "ATIF-v1.7",
  session_id: "s",
  agent: { name: "coder", version: "1" },
  steps: [
    step("system", "rules"),
    step("user", "do it"),
    step("agent", "old", { is_copied_context: true }),
    step("agent", "ls", {
      reasoning_content: "look first",
      tool_calls: [{ tool_call_id: "c", function_name: "bash", arguments: { cmd: "ls" } }],
      observation: { results: [{ source_call_id: "c", content: "a.txt" }] },
      metrics: { prompt_token_ids: [1, 2], completion_token_ids: [3, 4], logprobs: [-0.1, -0.2] },
    }),
    step("agent", "done", {
      metrics: { prompt_token_ids: [1, 2, 3, 4, 8, 8], completion_token_ids: [5], logprobs: [-0.3] },
    }),
  ],
  final_metrics: { total_cost_usd: 0.25 },
};

test("ATIF: agent steps are turns, the reward stands beside the trajectory", async () => {
  const folder = folderWith({
    "trial/agent/trajectory.json": JSON.stringify(trajectory),
    "trial/verifier/reward.txt": "1\n",
    "trial/result.json": JSON.stringify({ task_name: "task", trial_name: "task__abc", verifier_result: null }),
    "trial/config.json": JSON.stringify({ job: 1 }),
  });
  const skipped: string[] = [];
  const [batch] = await importAll([folder], "auto", { onSkip: (file) => skipped.push(file) });
  const run = rolloutObject(batch, 0);
  expect(run).toMatchObject({
    id: "task__abc",
    group: "task",
    reward: 1,
    rewards: { reward: 1 },
    signals: { cost_usd: 0.25 },
  });
  expect(run.turns).toMatchObject({
    agent: ["coder", "coder"],
    text: ['ls\nbash({"cmd":"ls"})', "done"],
    observation: ["a.txt", ""],
    reasoning: ["look first", null],
    tool_calls: [[{ name: "bash", arguments: { cmd: "ls" } }], []],
    end: [4, 5],
  });
  expect(run.tokens).toEqual({
    id: [3, 4, 8, 8, 5],
    mask: [1, 1, 0, 0, 1],
    logprob: [expect.closeTo(-0.1), expect.closeTo(-0.2), 0, 0, expect.closeTo(-0.3)],
  });
  expect(skipped).toEqual([join(folder, "trial/config.json"), join(folder, "trial/result.json")]);
});

test("ATIF: without rewards around it a trajectory is unscored; a wrong source is named", async () => {
  const [run] = await imported("auto", { document: trajectory });
  expect(run.id).toBe("s");
  expect(run.reward).toBeUndefined();
  const wrong = { ...trajectory, steps: [step("robot", "x")] };
  await expect(imported("atif", { document: wrong })).rejects.toThrow(/steps\[0\]\.source.*"robot"/);
});
