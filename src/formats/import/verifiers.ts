import { InputError, type RolloutObject } from "../../rollouts/index.ts";
import { completionParts } from "./completion.ts";
import { isObject, type JsonObject, listField, nameField, objectOf, present, scoreField } from "./fields.ts";
import type { Importer, RecordSource } from "./importer.ts";
import { traceRows } from "./trace-nodes.ts";

/** Named rewards `{name: {score, weight} | null}` and their weighted sum; null where scoring did not run. */
function rewardsOf(trace: JsonObject): { rewards: JsonObject; reward: number | null } {
  const rewards: JsonObject = {};
  let reward: number | null = null;
  const named = isObject(trace.rewards) ? trace.rewards : {};
  for (const [name, entry] of Object.entries(named)) {
    const score = isObject(entry) ? scoreField(entry, "score") : scoreField(named, name);
    rewards[name] = score;
    if (score === null) continue;
    reward = (reward ?? 0) + score * (isObject(entry) ? (scoreField(entry, "weight") ?? 1) : 1);
  }
  return { rewards, reward };
}

function numbersOf(value: unknown): JsonObject {
  if (!isObject(value)) return {};
  return Object.fromEntries(Object.entries(value).filter(([, x]) => typeof x === "number" && Number.isFinite(x)));
}

/** Identity of a task: its key, hash or id; else the number of its row. */
function taskName(task: JsonObject): string | undefined {
  const data = isObject(task.data) ? task.data : {};
  const of = (holder: JsonObject, field: string) => (isObject(holder[field]) ? undefined : nameField(holder, field));
  return of(task, "key") ?? of(task, "hash") ?? of(data, "id") ?? of(data, "idx") ?? of(data, "name");
}

function traceRollout(trace: JsonObject, episode: JsonObject | null, agents: number, fallback: string): RolloutObject {
  const agent = isObject(trace.agent) ? (nameField(trace.agent, "name") ?? "agent") : "agent";
  const task = isObject(trace.task) ? trace.task : episode !== null && isObject(episode.task) ? episode.task : {};
  const named = episode !== null && isObject(episode.group) ? nameField(episode.group, "id") : undefined;
  const group = named ?? taskName(task);
  const { rewards, reward } = rewardsOf(trace);
  const signals = numbersOf(trace.metrics);
  const rows = traceRows(listField(trace, "nodes"), agent);
  return {
    id: nameField(trace, "id") ?? fallback,
    ...(group === undefined ? {} : { group: agents > 1 ? `${group}/${agent}` : group }),
    reward,
    ...(Object.keys(rewards).length > 0 ? { rewards } : {}),
    ...(Object.keys(signals).length > 0 ? { signals } : {}),
    turns: rows.turns,
    ...(rows.tokens === undefined ? {} : { tokens: rows.tokens }),
    messages: rows.messages,
    meta: present({
      task: task.data,
      episode: episode?.id,
      stop_condition: trace.stop_condition,
      info: trace.info,
    }),
  };
}

/** One row of the older results file: prompt and completion as messages, reward and metrics beside them. */
function legacyRollout(record: JsonObject, source: RecordSource): RolloutObject {
  const { turns, messages, meta } = completionParts(record.prompt, record.completion);
  const example = nameField(record, "example_id") as string;
  const signals = numbersOf(record.metrics);
  return {
    id: `${source.stem}-${source.index}`,
    group: `${source.prefix}${example}`,
    reward: scoreField(record, "reward"),
    ...(Object.keys(signals).length > 0 ? { signals } : {}),
    turns,
    ...(messages === undefined ? {} : { messages }),
    meta: { ...present({ answer: record.answer, task: record.task, info: record.info }), ...meta },
  };
}

function* rollouts(value: unknown, source: RecordSource): Generator<RolloutObject> {
  const record = objectOf(value, "an episode with traces, or a trace with nodes");
  const name = `${source.stem}-${source.index}`;
  if ("example_id" in record) yield legacyRollout(record, source);
  else if ("nodes" in record) yield traceRollout(record, null, 1, name);
  else {
    const traces = listField(record, "traces").map((trace) => objectOf(trace, "a trace with nodes"));
    const agents = new Set(traces.map((trace) => (isObject(trace.agent) ? trace.agent.name : undefined))).size;
    for (const [k, trace] of traces.entries()) {
      try {
        yield traceRollout(trace, record, agents, `${name}-${k}`);
      } catch (error) {
        throw error instanceof InputError ? new InputError(`traces[${k}]: ${error.problem}`, error.at) : error;
      }
    }
  }
}

function recognises(record: unknown): number {
  if (!isObject(record)) return 0;
  if (Array.isArray(record.traces) && "task" in record) return 0.95;
  if (Array.isArray(record.nodes) && "agent" in record) return 0.9;
  return "example_id" in record && "prompt" in record && "completion" in record ? 0.9 : 0;
}

/** Episodes and traces of verifiers. */
export const verifiers: Importer = {
  id: "verifiers",
  title: "verifiers traces",
  describe:
    "traces.jsonl, one episode per line (or one trace, or a row of the older results file). Each trace is a rollout; " +
    "sampled nodes are turns, with token ids, mask and log-probabilities where they were recorded; branches become " +
    "turns.parent. Traces of one task make a group, per agent where an episode has several.",
  looksFor: "records with traces and task, with nodes and agent, or with example_id, prompt and completion",
  recognises: ({ record }) => recognises(record),
  start: () => rollouts,
};
