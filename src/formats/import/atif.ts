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
import { chatTurns, contentText, readMessages } from "./messages.ts";

/** Results of the tool calls of a step, as tool messages. */
function resultMessages(step: JsonObject): JsonObject[] {
  const observation = isObject(step.observation) ? step.observation : {};
  const results = Array.isArray(observation.results) ? observation.results : [];
  return results.filter(isObject).map((result) => ({
    role: "tool",
    content: contentText(result.content),
    ...present({ tool_call_id: result.source_call_id, subagents: result.subagent_trajectory_ref }),
  }));
}

/** A step as chat messages: what was said, then what the environment answered. */
function stepMessages(step: JsonObject, k: number): JsonObject[] {
  const { source } = step;
  if (source !== "user" && source !== "agent" && source !== "system") {
    throw wrongField(`steps[${k}].source`, "user, agent or system", source);
  }
  const calls = Array.isArray(step.tool_calls) ? step.tool_calls.filter(isObject) : [];
  const message = {
    role: source === "agent" ? "assistant" : source,
    content: contentText(step.message),
    ...present({ reasoning_content: step.reasoning_content }),
    ...(calls.length === 0
      ? {}
      : {
          tool_calls: calls.map((call) => ({
            id: call.tool_call_id,
            type: "function",
            function: { name: call.function_name, arguments: call.arguments ?? {} },
          })),
        }),
  };
  return [message, ...resultMessages(step)];
}

function idsOf(step: JsonObject, field: string): readonly number[] {
  const metrics = isObject(step.metrics) ? step.metrics : {};
  const ids = metrics[field];
  return Array.isArray(ids) ? (ids as number[]) : [];
}

/**
 * Tokens of the turns: the completion of each step, and between two steps what the next prompt adds to everything
 * before it. Nothing when a step lacks completion ids; no observation tokens where the next prompt was rewritten.
 */
function tokenColumns(turns: readonly JsonObject[]): { end: number[]; tokens: Record<string, unknown[]> } | undefined {
  if (turns.length === 0 || turns.some((step) => idsOf(step, "completion_token_ids").length === 0)) return undefined;
  const id: number[] = [];
  const mask: number[] = [];
  const logprob: number[] = [];
  const end: number[] = [];
  const scored = turns.every((step) => idsOf(step, "logprobs").length === idsOf(step, "completion_token_ids").length);
  turns.forEach((step, k) => {
    const completion = idsOf(step, "completion_token_ids");
    const seen = [...idsOf(step, "prompt_token_ids"), ...completion];
    const next = k + 1 < turns.length ? idsOf(turns[k + 1], "prompt_token_ids") : [];
    const continues = next.length >= seen.length && seen.every((token, i) => token === next[i]);
    const observed = continues && idsOf(step, "prompt_token_ids").length > 0 ? next.slice(seen.length) : [];
    for (const token of completion) id.push(token);
    for (const token of observed) id.push(token);
    for (let i = 0; i < completion.length + observed.length; i++) mask.push(i < completion.length ? 1 : 0);
    if (scored) {
      for (const value of idsOf(step, "logprobs")) logprob.push(value);
      for (let i = 0; i < observed.length; i++) logprob.push(0);
    }
    end.push(id.length);
  });
  return { end, tokens: scored ? { id, mask, logprob } : { id, mask } };
}

const besides = ["reward.json", "../verifier/reward.json", "../verifier/reward.txt", "../result.json"] as const;

function parsed(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Rewards of the trial from the files around the trajectory; the reward is the one named so, else the only one. */
function trialRewards(source: RecordSource): { reward: number | null; rewards: JsonObject; result: JsonObject } {
  const result = parsed(source.beside.get("../result.json"));
  const trial = isObject(result) ? result : {};
  const verdict = isObject(trial.verifier_result) ? trial.verifier_result.rewards : undefined;
  const files = besides.slice(0, 3).map((path) => parsed(source.beside.get(path)));
  const found = [...files, verdict].find((value) => isObject(value) || typeof value === "number");
  const named = isObject(found) ? found : typeof found === "number" ? { reward: found } : {};
  const rewards = Object.fromEntries(Object.keys(named).map((name) => [name, scoreField(named, name)]));
  const only = Object.values(rewards).length === 1 ? Object.values(rewards)[0] : null;
  return { reward: rewards.reward ?? only, rewards, result: trial };
}

function* rollouts(value: unknown, source: RecordSource): Generator<RolloutObject> {
  const record = objectOf(value, "a trajectory with schema_version, agent and steps");
  const steps = listField(record, "steps").map((step) => objectOf(step, "a step with source and message"));
  const agent = isObject(record.agent) ? (nameField(record.agent, "name") ?? "agent") : "agent";
  const messages: JsonObject[] = [];
  const at: number[] = [];
  // Steps that were copied from another trajectory were produced, and are credited, there.
  const own = steps.filter((step) => step.source === "agent" && step.is_copied_context !== true);
  for (const [k, step] of steps.entries()) {
    if (own.includes(step)) at.push(messages.length);
    messages.push(...stepMessages(step, k));
  }
  const turns = chatTurns(readMessages(messages, "steps"), agent, at);
  const tokens = tokenColumns(own);
  const { reward, rewards, result } = trialRewards(source);
  const group = nameField(result, "task_name");
  const last = isObject(record.final_metrics) ? record.final_metrics : {};
  const signals = present({ cost_usd: last.total_cost_usd, prompt_tokens: last.total_prompt_tokens });
  yield {
    id:
      nameField(result, "trial_name") ??
      nameField(record, "trajectory_id") ??
      nameField(record, "session_id") ??
      `${source.stem}-${source.index}`,
    ...present({ group, reward }),
    ...(Object.keys(rewards).length > 0 ? { rewards } : {}),
    ...(Object.keys(signals).length > 0 ? { signals } : {}),
    turns: { ...turns.columns, ...(tokens === undefined ? {} : { end: tokens.end }) },
    ...(tokens === undefined ? {} : { tokens: tokens.tokens }),
    messages,
    meta: present({
      schema_version: record.schema_version,
      agent: record.agent,
      session_id: record.session_id,
      continued_trajectory_ref: record.continued_trajectory_ref,
      subagent_trajectories: record.subagent_trajectories,
    }),
  };
}

/** Trajectories in the Agent Trajectory Interchange Format, as Harbor writes them. */
export const atif: Importer = {
  id: "atif",
  title: "ATIF trajectories (Harbor)",
  describe:
    "One trajectory.json per trial. Agent steps are turns with their tool results; token ids and log-probabilities where " +
    "the steps carry them. The reward comes from reward.json, verifier/reward.json, verifier/reward.txt or result.json " +
    "around it, the group is the task of result.json.",
  looksFor: "a document with schema_version ATIF-… and steps that have a source",
  recognises: ({ record }) => {
    if (!isObject(record) || !Array.isArray(record.steps)) return 0;
    if (typeof record.schema_version === "string" && record.schema_version.startsWith("ATIF")) return 0.98;
    return isObject(record.steps[0]) && "source" in record.steps[0] && "step_id" in record.steps[0] ? 0.7 : 0;
  },
  beside: besides,
  start: () => rollouts,
};
