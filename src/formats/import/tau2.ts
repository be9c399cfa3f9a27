import { InputError, type RolloutObject } from "../../rollouts/index.ts";
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
import type { Importer, RecordReader } from "./importer.ts";
import { chatTurns, readMessages, type ToolCall } from "./messages.ts";
import { toolStates } from "./states.ts";
import { goldCalls, tauPureTools } from "./tau-bench.ts";

type Tasks = Map<string, JsonObject>;

function remember(tasks: Tasks, list: unknown): void {
  if (!Array.isArray(list)) return;
  for (const task of list) if (isObject(task)) tasks.set(String(task.id), task);
}

/** Reference calls of the agent: the task's actions, else those that the evaluation checked. */
function referenceCalls(task: JsonObject | undefined, rewardInfo: JsonObject): ToolCall[] {
  const criteria = task !== undefined && isObject(task.evaluation_criteria) ? task.evaluation_criteria : {};
  const checks = Array.isArray(rewardInfo.action_checks) ? rewardInfo.action_checks : [];
  const actions = Array.isArray(criteria.actions)
    ? criteria.actions
    : checks.filter(isObject).map((check) => check.action);
  const ofAgent = actions.filter((action) => !isObject(action) || (action.requestor ?? "assistant") === "assistant");
  return goldCalls(ofAgent, "evaluation_criteria.actions");
}

function simulationRollout(value: unknown, tasks: Tasks, prefix: string): RolloutObject {
  const run = objectOf(value, "a simulation with task_id, messages and reward_info");
  const task = nameField(run, "task_id");
  if (task === undefined) throw wrongField("task_id", "the id of the task", run.task_id);
  const trial = nameField(run, "trial");
  const id = trial === undefined ? nameField(run, "id") : `${prefix}${task}-${trial}`;
  if (id === undefined) throw wrongField("trial", "the number of the trial, or an id", run.trial);
  const info = isObject(run.reward_info) ? run.reward_info : {};
  const list = listField(run, "messages");
  const messages = readMessages(list);
  const turns = chatTurns(messages, "agent");
  const breakdown = isObject(info.reward_breakdown) ? info.reward_breakdown : {};
  const rewards = Object.fromEntries(
    Object.keys(breakdown).map((name) => [name.toLowerCase(), scoreField(breakdown, name)]),
  );
  const signals = present({ duration_s: run.duration, agent_cost: run.agent_cost, user_cost: run.user_cost });
  return {
    id,
    group: `${prefix}${task}`,
    reward: scoreField(info, "reward"),
    ...(Object.keys(rewards).length > 0 ? { rewards } : {}),
    ...(Object.keys(signals).length > 0 ? { signals } : {}),
    turns: { ...turns.columns, state: toolStates(messages, turns.at, tauPureTools) },
    messages: list,
    meta: present({
      gold_calls: referenceCalls(tasks.get(task), info),
      termination_reason: run.termination_reason,
      simulation_id: run.id,
      reward_info: run.reward_info,
    }),
  };
}

function inSimulation(error: unknown, k: number): unknown {
  return error instanceof InputError ? new InputError(`simulations[${k}]: ${error.problem}`, error.at) : error;
}

function start(): RecordReader {
  const tasks: Tasks = new Map();
  return function* (value, { prefix }) {
    const record = objectOf(value, "an object with simulations");
    remember(tasks, record.tasks);
    const runs = "messages" in record ? [record] : listField(record, "simulations");
    for (const [k, run] of runs.entries()) {
      try {
        yield simulationRollout(run, tasks, prefix);
      } catch (error) {
        throw "messages" in record ? error : inSimulation(error, k);
      }
    }
  };
}

/** Results of tau2-bench. */
export const tau2: Importer = {
  id: "tau2",
  title: "tau2-bench results",
  describe:
    "One document with tasks and simulations (or one file per simulation beside results.json). As tau-bench; the " +
    "parts of the reward become channels, and the simulated user's own tools are not part of what the agent sees.",
  looksFor: "a document with a list of simulations, or a simulation with task_id, messages and reward_info",
  recognises: ({ record }) => {
    if (!isObject(record)) return 0;
    if (Array.isArray(record.simulations)) return 0.95;
    const simulation = "task_id" in record && Array.isArray(record.messages) && "reward_info" in record;
    return simulation && "termination_reason" in record ? 0.95 : 0;
  },
  start,
};
