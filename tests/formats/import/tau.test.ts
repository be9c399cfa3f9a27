import { expect, test } from "vitest";
import { imported } from "./try-import.ts";

const call = (name: string, args: unknown) => ({
  role: "assistant",
  content: null,
  tool_calls: [{ id: "c", type: "function", function: { name, arguments: JSON.stringify(args) } }],
});
const answer = (content: string) => ({ role: "tool", tool_call_id: "c", name: "look", content });

function trial(task: number, trialNumber: number, reward: number, traj: unknown[]) {
  return {
    task_id: task,
    trial: trialNumber,
    reward,
    info: {
      task: { user_id: "u", instruction: "buy", actions: [{ name: "buy", kwargs: { id: 1 } }], outputs: ["9"] },
      reward_info: { reward, info: { r_actions: reward, gt_data_hash: "x" } },
      user_cost: 0.1,
    },
    traj,
  };
}
const opening = (text: string) => [
  { role: "system", content: "rules" },
  { role: "user", content: text },
];

test("tau-bench: tasks are groups, trials rollouts, actions reference calls, equal observations one state", async () => {
  const rollouts = await imported("tau-bench", {
    document: [
      trial(4, 0, 1, [
        ...opening("hi"),
        call("look", { id: 1 }),
        answer("there"),
        call("buy", { id: 1 }),
        answer("ok"),
      ]),
      trial(5, 0, 0, []),
      trial(4, 1, 0, [
        ...opening("hello, you"),
        call("look", { id: 1 }),
        answer("there"),
        { role: "assistant", content: "?" },
      ]),
    ],
  });
  expect(rollouts.map((rollout) => [rollout.id, rollout.group, rollout.reward])).toEqual([
    ["4-0", "4", 1],
    ["4-1", "4", 0],
    ["5-0", "5", 0],
  ]);
  const [first, second, empty] = rollouts;
  expect(first.meta).toMatchObject({
    gold_calls: [{ name: "buy", arguments: { id: 1 } }],
    outputs: ["9"],
    instruction: "buy",
  });
  expect(first.rewards).toEqual({ actions: 1 });
  expect(first.turns?.tool_calls).toEqual([
    [{ name: "look", arguments: { id: 1 } }],
    [{ name: "buy", arguments: { id: 1 } }],
  ]);
  expect(first.turns?.agent).toEqual(["agent", "agent"]);
  expect(first.turns?.observation).toEqual(["look: there", "look: ok"]);
  expect(first.turns?.state).toEqual(second.turns?.state);
  expect(empty.turns?.state).toEqual([]);
});

test("tau-bench: faults name the record and the field", async () => {
  const good = trial(1, 0, 1, opening("x"));
  await expect(imported("tau-bench", { document: [good, { ...good, traj: "none" }] })).rejects.toThrow(
    /log\.json: record 2: field traj.*a list.*"none"/,
  );
  await expect(imported("tau-bench", { document: [good, good] })).rejects.toThrow(/rollout "1-0".*already used/);
  const { task_id: _, ...nameless } = good;
  await expect(imported("tau-bench", { document: [nameless] })).rejects.toThrow(/task_id/);
});

const toolCall = (name: string, requestor = "assistant") => ({ id: "k", name, arguments: { n: 1 }, requestor });

test("tau2: channels, reference calls of the agent, and nothing of the user's own tools", async () => {
  const messages = [
    { role: "assistant", content: "Hi!", tool_calls: null, turn_idx: 0 },
    { role: "user", content: null, tool_calls: [toolCall("restart_phone", "user")], turn_idx: 1 },
    { role: "tool", id: "k", content: "restarted", requestor: "user", error: false, turn_idx: 2 },
    { role: "user", content: "done", tool_calls: null, turn_idx: 3 },
    { role: "assistant", content: null, tool_calls: [toolCall("look")], turn_idx: 4 },
    { role: "tool", id: "k", content: "fine", requestor: "assistant", error: false, turn_idx: 5 },
  ];
  const simulation = {
    id: "u-u-i-d",
    task_id: "12",
    trial: 2,
    duration: 3.5,
    termination_reason: "user_stop",
    reward_info: { reward: 1, reward_breakdown: { DB: 1, COMMUNICATE: 0.5 } },
    messages,
  };
  const actions = [toolCall("look"), toolCall("restart_phone", "user")];
  const tasks = [{ id: "12", evaluation_criteria: { actions } }];
  const crashed = { ...simulation, trial: 3, reward_info: null };
  const [run, unscored] = await imported("auto", { document: { tasks, simulations: [simulation, crashed] } });
  expect(run).toMatchObject({ id: "12-2", group: "12", reward: 1, rewards: { db: 1, communicate: 0.5 } });
  expect(run.signals).toEqual({ duration_s: 3.5 });
  expect(run.meta).toMatchObject({
    gold_calls: [{ name: "look", arguments: { n: 1 } }],
    termination_reason: "user_stop",
    simulation_id: "u-u-i-d",
  });
  expect(run.turns?.observation).toEqual(["done", "fine"]);
  expect(run.turns?.state).toEqual(["0f0u", "0f1u"]);
  expect(run.turns?.tool_calls).toEqual([[], [{ name: "look", arguments: { n: 1 } }]]);
  expect(unscored.reward).toBeNull();
});

test("tau2: one file per simulation, and a fault inside the list of simulations", async () => {
  const simulation = { id: "s", task_id: "1", messages: [], reward_info: { reward: 0 }, termination_reason: "timeout" };
  expect((await imported("auto", { document: simulation }))[0]).toMatchObject({ id: "s", group: "1", reward: 0 });
  await expect(
    imported("tau2", { document: { simulations: [simulation, { task_id: "2", id: "t" }] } }),
  ).rejects.toThrow(/simulations\[1\].*messages/);
});
