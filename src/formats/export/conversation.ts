import type { Batch } from "../../rollouts/index.ts";
import { isObject, type JsonObject } from "../import/fields.ts";
import { contentText } from "../import/messages.ts";

/** Prompt and completion of a rollout: both lists of messages, or both plain text. */
export type Conversation =
  | { kind: "messages"; prompt: readonly unknown[]; completion: readonly unknown[] }
  | { kind: "text"; prompt: string; completion: string };

/** Why a rollout has no prompt and completion. */
export const noConversation = "neither messages nor meta.prompt and meta.completion";
export const branched = "a tree of turns (turns.parent) is not one conversation";

function isAssistant(message: unknown): boolean {
  return isObject(message) && message.role === "assistant";
}

function cellOf(batch: Batch, path: string, i: number): unknown {
  return batch.hasIn(path, i) || path.startsWith("meta.") ? batch.cells(path)[i] : undefined;
}

/** Numbers of the messages that open the turns of rollout i (`turns.message`), else of its assistant messages. */
export function turnMessages(batch: Batch, i: number, messages: readonly unknown[]): number[] {
  if (batch.hasIn("turns.message", i)) {
    const offsets = batch.offsets("turn");
    return batch.cells("turns.message").slice(offsets[i], offsets[i + 1]) as number[];
  }
  return messages.flatMap((message, k) => (isAssistant(message) ? [k] : []));
}

/**
 * Prompt and completion of rollout i. Messages are cut before the message that opens the first turn; without messages,
 * `meta.prompt` and `meta.completion` are taken. A text instead of a conversation says why there is none.
 */
export function conversationOf(batch: Batch, i: number): Conversation | string {
  if (batch.hasIn("turns.parent", i)) return branched;
  const messages = cellOf(batch, "messages", i);
  if (Array.isArray(messages) && messages.length > 0) {
    const [first] = turnMessages(batch, i, messages);
    if (first === undefined) return "no message of the agent";
    return { kind: "messages", prompt: messages.slice(0, first), completion: messages.slice(first) };
  }
  const prompt = cellOf(batch, "meta.prompt", i);
  const completion = cellOf(batch, "meta.completion", i);
  if (typeof prompt !== "string" || typeof completion !== "string") return noConversation;
  return { kind: "text", prompt, completion };
}

/** The prompt of rollout i, which unlike a whole conversation is there even when the rollout is a tree or has no answer. */
export function promptMessages(batch: Batch, i: number): { role: string; content: string }[] | null {
  const messages = cellOf(batch, "messages", i);
  if (Array.isArray(messages) && messages.length > 0) {
    const first = turnMessages(batch, i, messages)[0] ?? messages.length;
    return messages.slice(0, first).filter(isObject).map(plainMessage);
  }
  const prompt = cellOf(batch, "meta.prompt", i);
  return typeof prompt === "string" ? [{ role: "user", content: prompt }] : null;
}

function plainMessage(message: JsonObject): { role: string; content: string } {
  return { role: String(message.role ?? ""), content: contentText(message.content) };
}

/** A fact of rollout i from `meta`, as text; the first of the names that is there. */
export function metaText(batch: Batch, i: number, names: readonly string[]): string | null {
  if (!batch.has("meta")) return null;
  for (const name of names) {
    const value = batch.cells(`meta.${name}`)[i];
    if (value !== undefined && value !== null) return typeof value === "string" ? value : JSON.stringify(value);
  }
  return null;
}
