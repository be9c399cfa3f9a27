import type { RolloutObject } from "../../rollouts/index.ts";
import {
  isObject,
  type JsonObject,
  listField,
  nameField,
  objectOf,
  present,
  scoreField,
  wrongField,
} from "./fields.ts";
import type { Importer, RecordSource } from "./importer.ts";
import { chatTurns, readMessages, type ToolCall } from "./messages.ts";
import { toolStates } from "./states.ts";

/** Tools of the tau benchmarks that look nothing up: they compute from what they were given. */
export const tauPureTools: ReadonlySet<string> = new Set(["think", "calculate"]);

/** Reference actions `{name, kwargs}` (or `arguments`) as reference calls. */
export function goldCalls(actions: unknown, field: string): ToolCall[] {
  if (actions === undefined || actions === null) return [];
  if (!Array.isArray(actions)) throw wrongField(field, "a list of actions", actions);
  return actions.map((action, k) => {
    if (!isObject(action) || typeof action.name !== "string") {
      throw wrongField(`${field}[${k}].name`, "the name of a tool", isObject(action) ? action.name : action);
    }
    return { name: action.name, arguments: action.kwargs ?? action.arguments ?? {} };
  });
}

/** Channels of the reward: whether the database ended as it should, whether the user was told what was asked. */
function channels(info: JsonObject): JsonObject {
  const rewardInfo = isObject(info.reward_info) ? info.reward_info : {};
  const detail = isObject(rewardInfo.info) ? rewardInfo.info : {};
  return present({ actions: scoreField(detail, "r_actions"), outputs: scoreField(detail, "r_outputs") });
}

function* rollouts(value: unknown, { prefix }: RecordSource): Generator<RolloutObject> {
  const record = objectOf(value, "an object with task_id, trial, reward, info and traj");
  const task = nameField(record, "task_id");
  if (task === undefined) throw wrongField("task_id", "the number of the task", record.task_id);
  const trial = nameField(record, "trial") ?? "0";
  const info = isObject(record.info) ? record.info : {};
  const facts = isObject(info.task) ? info.task : {};
  const list = listField(record, "traj");
  const messages = readMessages(list, "traj");
  const turns = chatTurns(messages, "agent");
  const rewards = channels(info);
  yield {
    id: `${prefix}${task}-${trial}`,
    group: `${prefix}${task}`,
    reward: scoreField(record, "reward"),
    ...(Object.keys(rewards).length > 0 ? { rewards } : {}),
    turns: { ...turns.columns, state: toolStates(messages, turns.at, tauPureTools) },
    messages: list,
    meta: present({
      gold_calls: goldCalls(facts.actions, "info.task.actions"),
      outputs: facts.outputs,
      instruction: facts.instruction,
      user_id: facts.user_id,
      user_cost: info.user_cost,
      error: info.error,
    }),
  };
}

/** Result files of tau-bench. */
export const tauBench: Importer = {
  id: "tau-bench",
  title: "tau-bench results",
  describe:
    "A list of {task_id, trial, reward, info, traj}. A task is a group, a trial a rollout. Reference actions become " +
    "meta.gold_calls, and turns.state says what the agent's tools have told it so far.",
  looksFor: "records with task_id, traj (a list of messages) and info",
  recognises: ({ record }) =>
    isObject(record) && "task_id" in record && Array.isArray(record.traj) ? ("info" in record ? 0.95 : 0.8) : 0,
  start: () => rollouts,
};
