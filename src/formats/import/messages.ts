import { describe, InputError } from "../../rollouts/index.ts";
import { isObject, type JsonObject, scoreField, wrongField } from "./fields.ts";

/** A tool call as methods read it. */
export interface ToolCall {
  name: string;
  arguments: unknown;
}

/** A call as it was written, well-formed or not; a malformed one keeps its raw text. */
export interface IssuedCall {
  id: string | null;
  name: string;
  arguments: unknown;
  wellFormed: boolean;
}

/** One chat message, whatever of the known shapes it came in. */
export interface ChatMessage {
  role: string;
  /** Name of the speaker, where the message has one. */
  name: string | null;
  text: string;
  reasoning: string | null;
  calls: readonly IssuedCall[];
  /** Id of the call that a tool message answers. */
  answers: string | null;
  /** A message that the agent never sees: a simulated user's own tools. */
  hidden: boolean;
  reward: number | null;
}

const roles = new Set(["system", "developer", "user", "assistant", "tool", "function"]);

function partText(part: unknown): string {
  if (typeof part === "string") return part;
  if (!isObject(part)) return "";
  for (const key of ["text", "refusal", "content"]) if (typeof part[key] === "string") return part[key];
  return typeof part.type === "string" ? `[${part.type}]` : "";
}

/** Text of a message's content: text, null, or a list of parts (parts that are not text give their type in brackets). */
export function contentText(content: unknown): string {
  if (content === null || content === undefined) return "";
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map(partText).join("");
  throw wrongField("content", "text, null or a list of parts", content);
}

function readCall(value: unknown): IssuedCall {
  if (!isObject(value)) throw wrongField("tool_calls", "a list of calls", value);
  const body = [value.function, value.custom, value].find(isObject) as JsonObject;
  if (typeof body.name !== "string") throw wrongField("tool_calls.function.name", "text", body.name);
  const call = { id: typeof value.id === "string" && value.id !== "" ? value.id : null, name: body.name };
  const given = body.arguments ?? body.input ?? {};
  if (typeof given !== "string" || body === value.custom) return { ...call, arguments: given, wellFormed: true };
  if (given.trim() === "") return { ...call, arguments: {}, wellFormed: true };
  try {
    return { ...call, arguments: JSON.parse(given), wellFormed: true };
  } catch {
    return { ...call, arguments: given, wellFormed: false };
  }
}

function readCalls(message: JsonObject): IssuedCall[] {
  const list = message.tool_calls ?? [];
  if (!Array.isArray(list)) throw wrongField("tool_calls", "a list or null", list);
  const legacy = message.function_call ?? null;
  return (legacy === null ? list : [...list, legacy]).map(readCall);
}

function readMessage(value: unknown): ChatMessage {
  if (!isObject(value))
    throw new InputError("not a message", { expected: "an object with a role", got: describe(value) });
  const { role } = value;
  if (typeof role !== "string" || !roles.has(role)) {
    throw wrongField("role", "system, developer, user, assistant, tool or function", role);
  }
  const reasoning = value.reasoning_content ?? value.reasoning ?? null;
  const calls = readCalls(value);
  return {
    role,
    name: typeof value.name === "string" && value.name !== "" ? value.name : null,
    text: contentText(value.content),
    reasoning: typeof reasoning === "string" && reasoning !== "" ? reasoning : null,
    calls,
    answers:
      typeof value.tool_call_id === "string" ? value.tool_call_id : typeof value.id === "string" ? value.id : null,
    hidden: role === "tool" && value.requestor === "user",
    reward: scoreField(value, "reward"),
  };
}

/**
 * Reads a list of chat messages: roles system, developer, user, assistant, tool and the older `function`; `tool_calls`
 * with arguments as JSON text or as an object, the older `function_call`; content as text, null or parts.
 * @throws InputError naming the message (`messages[3]`) and the field.
 */
export function readMessages(list: unknown, field = "messages"): ChatMessage[] {
  if (!Array.isArray(list)) throw wrongField(field, "a list of messages", list);
  return list.map((value, k) => {
    try {
      return readMessage(value);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new InputError(`${field}[${k}]: ${error.problem}`, error.at);
    }
  });
}

function renderCall(call: IssuedCall): string {
  return `${call.name}(${call.wellFormed ? JSON.stringify(call.arguments) : call.arguments})`;
}

/** What a message says, in text: its content, then its calls as `name({…})`. */
export function spoken(message: ChatMessage): string {
  const calls = message.calls.map(renderCall).join("\n");
  return message.text !== "" && calls !== "" ? `${message.text}\n${calls}` : message.text + calls;
}

function observed(message: ChatMessage): string {
  const tool = message.role === "tool" || message.role === "function";
  return tool && message.name !== null ? `${message.name}: ${message.text}` : message.text;
}

/** Messages cut into turns: one assistant message and what follows it until the next. */
export interface ChatTurns {
  /** Messages before the first turn. */
  promptLength: number;
  /** Number of the message that opens each turn. */
  at: number[];
  /** Columns of the turn level. */
  columns: Record<string, unknown[]>;
}

/** Numbers of the assistant messages, from message `from` on. */
export function assistantMessages(messages: readonly ChatMessage[], from = 0): number[] {
  return messages.flatMap((message, k) => (k >= from && message.role === "assistant" ? [k] : []));
}

/**
 * Turns of a conversation. One turn is one message of the agent together with the messages that follow it until the
 * next turn. Columns: `agent` (name of the speaker, else `agentName`), `role`, `text` (what was written), `observation`
 * (what followed), `tool_calls` (well-formed calls), `message` (number of the message that opens the turn), and
 * `reasoning` and `reward` where any message has them.
 * @param at numbers of the messages that open a turn (default: every assistant message); those before are the prompt.
 */
export function chatTurns(
  messages: readonly ChatMessage[],
  agentName = "assistant",
  at = assistantMessages(messages),
): ChatTurns {
  const said = at.map((k) => messages[k]);
  const columns: Record<string, unknown[]> = {
    agent: said.map((message) => message.name ?? agentName),
    role: said.map((message) => message.role),
    text: said.map(spoken),
    observation: at.map((k, turn) => observation(messages.slice(k + 1, at[turn + 1] ?? messages.length))),
    tool_calls: said.map(wellFormedCalls),
    message: [...at],
  };
  if (said.some((message) => message.reasoning !== null)) columns.reasoning = said.map((message) => message.reasoning);
  if (said.some((message) => message.reward !== null)) columns.reward = said.map((message) => message.reward);
  return { promptLength: at.length > 0 ? at[0] : messages.length, at, columns };
}

function observation(followed: readonly ChatMessage[]): string {
  return followed
    .filter((message) => !message.hidden && message.text !== "")
    .map(observed)
    .join("\n");
}

/** The calls of a message that can be read, as methods want them. */
export function wellFormedCalls(message: ChatMessage): ToolCall[] {
  return message.calls
    .filter((call) => call.wellFormed)
    .map(({ name, arguments: given }) => ({ name, arguments: given }));
}
