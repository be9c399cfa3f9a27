import type { RolloutObject } from "../../rollouts/index.ts";
import { canonicalJson, digest } from "./digest.ts";
import { type JsonObject, wrongField } from "./fields.ts";
import { assistantMessages, chatTurns, readMessages } from "./messages.ts";
import { type WordTable, wordedText } from "./words.ts";

/** The parts of a rollout that come from a prompt and its completion. */
export interface CompletionParts {
  turns: Record<string, unknown[]>;
  tokens?: RolloutObject["tokens"];
  steps?: RolloutObject["steps"];
  messages?: unknown[];
  meta: JsonObject;
}

/**
 * A prompt and a completion, each as text or as messages. Messages become turns; a completion in plain text is one
 * turn, and with a word table its words become tokens and its lines steps. Plain text is kept as `meta.prompt` and
 * `meta.completion`.
 */
export function completionParts(prompt: unknown, completion: unknown, words: WordTable | null): CompletionParts {
  if (typeof prompt === "string" && typeof completion === "string") {
    const turns: Record<string, unknown[]> = { agent: ["assistant"], role: ["assistant"], text: [completion] };
    const meta = { prompt, completion };
    const cut = words === null ? null : wordedText(completion, words);
    if (cut === null || cut.tokens.id.length === 0) return { turns, meta };
    return { turns: { ...turns, end: [cut.tokens.id.length] }, ...cut, meta };
  }
  const before = asMessages(prompt, "prompt", "user");
  const after = asMessages(completion, "completion", "assistant");
  const list = [...before, ...after];
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
