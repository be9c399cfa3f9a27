import { canonicalJson, digest } from "./digest.ts";
import { type JsonObject, wrongField } from "./fields.ts";
import { assistantMessages, chatTurns, readMessages } from "./messages.ts";

/** The parts of a rollout that come from a prompt and its completion. */
export interface CompletionParts {
  turns: Record<string, unknown[]>;
  messages?: unknown[];
  meta: JsonObject;
}

/**
 * A prompt and a completion, each as text or as messages. Messages become turns; a completion in plain text is one turn,
 * and plain text is kept as `meta.prompt` and `meta.completion`.
 */
export function completionParts(prompt: unknown, completion: unknown): CompletionParts {
  if (typeof prompt === "string" && typeof completion === "string") {
    return {
      turns: { agent: ["assistant"], role: ["assistant"], text: [completion] },
      meta: { prompt, completion },
    };
  }
  const before = asMessages(prompt, "prompt", "user");
  const list = [...before, ...asMessages(completion, "completion", "assistant")];
  const messages = readMessages(list);
  const turns = chatTurns(messages, "assistant", assistantMessages(messages, before.length));
  return { turns: turns.columns, messages: list, meta: {} };
}

function asMessages(value: unknown, field: string, role: string): unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === "string") return [{ role, content: value }];
  throw wrongField(field, "text or a list of messages", value);
}

/** Name for the group of all completions of one prompt, within one training step where that is known. */
export function promptGroup(prompt: unknown, step: unknown): string {
  const key = digest(typeof prompt === "string" ? prompt : canonicalJson(prompt));
  return typeof step === "number" || typeof step === "string" ? `${step}:${key}` : key;
}

/** Numbers among the fields of a record, true and false as 1 and 0; `taken` fields are left out. */
export function numericFields(record: JsonObject, taken: ReadonlySet<string>): Record<string, number | null> {
  const numbers: Record<string, number | null> = {};
  for (const [key, value] of Object.entries(record)) {
    if (taken.has(key)) continue;
    if (typeof value === "number" && Number.isFinite(value)) numbers[key] = value;
    else if (typeof value === "boolean") numbers[key] = value ? 1 : 0;
  }
  return numbers;
}

/** Fields of a record that are neither taken nor numbers nor null. */
export function otherThanNumbers(record: JsonObject, taken: ReadonlySet<string>): JsonObject {
  return Object.fromEntries(
    Object.entries(record).filter(
      ([key, value]) => !taken.has(key) && value !== null && typeof value !== "number" && typeof value !== "boolean",
    ),
  );
}
