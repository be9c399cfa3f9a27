import type { RolloutObject } from "../../rollouts/index.ts";
import { describe, InputError } from "../../rollouts/index.ts";
import { isObject, listField, nameField, objectOf, present, textField, wrongField } from "./fields.ts";
import type { Importer, RecordSource } from "./importer.ts";
import { contentText } from "./messages.ts";

interface Entry {
  agent: string;
  role: string;
  text: string;
}

/** `Orchestrator (-> WebSurfer)` and `Orchestrator (thought)` are both the orchestrator. */
function agentOf(speaker: string): string {
  return speaker.replace(/\s*\([^()]*\)\s*$/, "") || speaker;
}

function readEntry(value: unknown, k: number): Entry {
  if (!isObject(value))
    throw new InputError(`history[${k}] is not an entry`, { expected: "an object", got: describe(value) });
  const role = nameField(value, "role");
  const speaker = nameField(value, "name") ?? role;
  if (speaker === undefined) throw wrongField(`history[${k}].role`, "text", value.role);
  return { agent: agentOf(speaker), role: role ?? speaker, text: contentText(value.content) };
}

/** Whole numbers come as text in these files. */
function stepNumber(value: unknown): unknown {
  return typeof value === "string" && /^\s*\d+\s*$/.test(value) ? Number(value) : value;
}

function* rollouts(value: unknown, { stem, index }: RecordSource): Generator<RolloutObject> {
  const record = objectOf(value, "an object with question, history and mistake_agent");
  const list = listField(record, "history");
  const entries = list.map(readEntry);
  const correct = record.is_correct ?? record.is_corrected ?? false;
  if (typeof correct !== "boolean") throw wrongField("is_correct", "true or false", correct);
  const links = entries.slice(1);
  yield {
    id: index === 0 ? stem : `${stem}-${index}`,
    ...present({ group: nameField(record, "question_ID") ?? nameField(record, "question_id") }),
    reward: correct ? 1 : 0,
    turns: {
      agent: entries.map((entry) => entry.agent),
      role: entries.map((entry) => entry.role),
      text: entries.map((entry) => entry.text),
      message: entries.map((_, k) => k),
    },
    edges: {
      src: links.map((_, k) => k),
      dst: links.map((_, k) => k + 1),
      kind: links.map(() => "message"),
    },
    messages: list,
    meta: present({
      question: textField(record, "question"),
      ground_truth: record.ground_truth ?? record.groundtruth,
      mistake_agent: record.mistake_agent,
      mistake_step: stepNumber(record.mistake_step),
      mistake_reason: record.mistake_reason,
      mistake_type: record.mistake_type,
      level: record.level,
      system_prompt: record.system_prompt,
    }),
  };
}

/** Failed runs of several agents with a person's label of the decisive mistake (Who&When). */
export const whoAndWhen: Importer = {
  id: "who-and-when",
  title: "Who&When failure logs",
  describe:
    "One object per file: question, ground_truth, history and a person's label. One turn per entry of the history, so " +
    "meta.mistake_step is the number of a turn; edges link each turn to the next. The runs failed: reward 0.",
  looksFor: "an object with question, history (a list) and mistake_agent or mistake_step",
  recognises: ({ record }) =>
    isObject(record) && Array.isArray(record.history) && ("mistake_agent" in record || "mistake_step" in record)
      ? 0.95
      : 0,
  start: () => rollouts,
};
