import type { RolloutObject } from "../../rollouts/index.ts";
import { canonicalJson, digest } from "./digest.ts";
import {
  firstField,
  isObject,
  type JsonObject,
  nameField,
  objectOf,
  present,
  scoreField,
  wrongField,
} from "./fields.ts";
import type { Importer, ImportOptions, RecordSource, Sample } from "./importer.ts";
import { chatTurns, readMessages } from "./messages.ts";
import { isConversation } from "./records.ts";

const groupFields = ["group", "group_id", "task_id", "prompt_id", "problem_id", "example_id"];
const rewardFields = ["reward", "score"];
const idFields = ["id", "rollout_id", "trajectory_id"];
const messageFields = ["messages", "conversation", "trajectory"];

/** The messages of a record: its own list, or those of a logged request with the answer at the end. */
function messagesOf(record: JsonObject): unknown {
  const own = firstField(record, messageFields);
  const request = record.request ?? record.body;
  const asked = own !== undefined ? record[own] : isObject(request) ? request.messages : undefined;
  if (!Array.isArray(asked)) throw wrongField("messages", "a list of messages", asked);
  const { response } = record;
  const choices = isObject(response) && Array.isArray(response.choices) ? response.choices : [];
  const answer = isObject(choices[0]) ? choices[0].message : undefined;
  return answer === undefined ? asked : [...asked, answer];
}

/** What else the record says: numbers become signals, everything else goes to `meta`. */
function otherFields(record: JsonObject, taken: ReadonlySet<string>): { signals: JsonObject; meta: JsonObject } {
  const signals: JsonObject = isObject(record.signals) ? { ...record.signals } : {};
  const meta: JsonObject = {
    ...(isObject(record.metadata) ? record.metadata : {}),
    ...(isObject(record.meta) ? record.meta : {}),
  };
  for (const [key, value] of Object.entries(record)) {
    if (taken.has(key) || value === null) continue;
    if (typeof value === "number" && Number.isFinite(value)) signals[key] = value;
    else meta[key] = value;
  }
  return { signals, meta };
}

function rewardsOf(record: JsonObject): JsonObject {
  const rewards = [record.rewards, record.scores].find(isObject) ?? {};
  return Object.fromEntries(Object.keys(rewards).map((name) => [name, scoreField(rewards, name)]));
}

function* rollouts(value: unknown, source: RecordSource, options: ImportOptions): Generator<RolloutObject> {
  const record = Array.isArray(value) ? { messages: value } : objectOf(value, "an object with messages");
  const list = messagesOf(record);
  const messages = readMessages(list);
  const turns = chatTurns(messages);
  const groupField = options.group ?? firstField(record, groupFields);
  const rewardField = options.reward ?? firstField(record, rewardFields) ?? "reward";
  const idField = firstField(record, idFields);
  const id = idField === undefined ? undefined : nameField(record, idField);
  const prompt = (list as unknown[]).slice(0, turns.promptLength);
  const group =
    options.group === "prompt"
      ? `prompt-${digest(canonicalJson(prompt))}`
      : groupField === undefined
        ? undefined
        : nameField(record, groupField);
  const reward = scoreField(record, rewardField);
  const taken = new Set([...messageFields, "request", "body", "response", "rewards", "scores", "signals", "meta"]);
  for (const field of [groupField, rewardField, idField, "metadata"]) if (field !== undefined) taken.add(field);
  const { signals, meta } = otherFields(record, taken);
  const rewards = rewardsOf(record);
  yield {
    id: id ?? `${source.stem}-${source.index}`,
    ...present({ group, reward }),
    ...(Object.keys(rewards).length > 0 ? { rewards } : {}),
    ...(Object.keys(signals).length > 0 ? { signals } : {}),
    turns: turns.columns as Record<string, unknown[]>,
    messages: list as unknown[],
    meta: meta,
  };
}

function recognises({ record }: Sample): number {
  if (isConversation(record)) return 0.7;
  if (!isObject(record)) return 0;
  const own = firstField(record, messageFields);
  const request = record.request ?? record.body;
  const list = own !== undefined ? record[own] : isObject(request) ? request.messages : undefined;
  // A list under that name is most likely meant as messages: the fault in it is then named.
  return isConversation(list) ? 0.7 : Array.isArray(list) ? 0.55 : 0;
}

/** Chat logs in the form of OpenAI's chat completions. */
export const openai: Importer = {
  id: "openai",
  title: "OpenAI-style chat logs",
  describe:
    "A list or JSON lines of {messages, reward or score, id, group or task_id or prompt_id}. One turn is one assistant " +
    "message with the tool and user messages after it. Other numbers become signals, everything else goes to meta.",
  looksFor: "records with a list of messages that have role and content (or one such list by itself)",
  recognises,
  start: (options) => (record, source) => rollouts(record, source, options),
};
