import { isObject, type JsonObject } from "../import/fields.ts";
import type { Span } from "./span.ts";

/** What kind of work a span stands for. */
export type SpanKind = "model" | "tool" | "agent" | "other";

const byOperation: Readonly<Record<string, SpanKind>> = {
  chat: "model",
  generate_content: "model",
  text_completion: "model",
  execute_tool: "tool",
  invoke_agent: "agent",
  create_agent: "agent",
  agent_step: "agent",
  invoke_workflow: "agent",
};

const byInferenceKind: Readonly<Record<string, SpanKind>> = { LLM: "model", TOOL: "tool", AGENT: "agent" };

/** The kind of a span, by the names of OpenTelemetry GenAI, OpenInference or the AI SDK. */
export function kindOf({ attributes }: Span): SpanKind {
  const operation = attributes["gen_ai.operation.name"];
  if (typeof operation === "string" && Object.hasOwn(byOperation, operation)) return byOperation[operation];
  const inference = attributes["openinference.span.kind"];
  if (typeof inference === "string") return byInferenceKind[inference.toUpperCase()] ?? "other";
  const own = attributes["ai.operationId"];
  if (typeof own !== "string") return "other";
  if (own === "ai.toolCall") return "tool";
  if (/\.do(Generate|Stream)$/.test(own)) return "model";
  return /^ai\.(generate|stream)(Text|Object)$/.test(own) ? "agent" : "other";
}

/** A value that may be JSON text, as many exporters write lists. */
export function unpacked(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** Attributes under a prefix as the tree that their dotted names stand for: `llm.input_messages.0.message.role`. */
export function treeUnder(attributes: JsonObject, prefix: string): unknown {
  const tree: JsonObject = Object.create(null);
  let any = false;
  for (const [name, value] of Object.entries(attributes)) {
    if (!name.startsWith(`${prefix}.`)) continue;
    any = true;
    const path = name
      .slice(prefix.length + 1)
      .split(".")
      .slice(0, 12);
    let at = tree;
    for (const key of path.slice(0, -1)) {
      if (!isObject(at[key])) at[key] = Object.create(null);
      at = at[key] as JsonObject;
    }
    at[path[path.length - 1]] = value;
  }
  return any ? listsIn(tree) : undefined;
}

/** Objects whose keys are 0, 1, … as lists. */
function listsIn(value: unknown): unknown {
  if (!isObject(value)) return value;
  const keys = Object.keys(value);
  if (keys.length > 0 && keys.every((key) => /^\d{1,6}$/.test(key))) {
    return keys.sort((a, b) => Number(a) - Number(b)).map((key) => listsIn(value[key]));
  }
  return Object.fromEntries(keys.map((key) => [key, listsIn(value[key])]));
}

const call = (id: unknown, name: unknown, given: unknown): JsonObject => ({
  id: typeof id === "string" ? id : undefined,
  type: "function",
  function: {
    name: typeof name === "string" ? name : "unknown",
    arguments: typeof given === "string" ? given : JSON.stringify(given ?? {}),
  },
});

const text = (value: unknown): string =>
  typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);

const known = new Set(["system", "developer", "user", "assistant", "tool", "function"]);

const roleOf = (role: unknown): string =>
  typeof role === "string" && known.has(role) ? role : role === "model" || role === "ai" ? "assistant" : "user";

/** One message of any of the three conventions as chat messages: results of several tools become a message each. */
export function chatMessages(value: unknown): JsonObject[] {
  if (!isObject(value)) return [];
  const inner = isObject(value.message) ? value.message : value;
  const role = roleOf(inner.role);
  const parts = Array.isArray(inner.parts) ? inner.parts : Array.isArray(inner.content) ? inner.content : null;
  const calls = Array.isArray(inner.tool_calls) ? inner.tool_calls.filter(isObject).map(listedCall) : [];
  if (parts === null) {
    const content = text(inner.content ?? (Array.isArray(inner.contents) ? textOfContents(inner.contents) : ""));
    return [{ role, content, ...withCalls(calls), ...answerTo(inner.tool_call_id) }];
  }
  const said: string[] = [];
  const thought: string[] = [];
  const results: JsonObject[] = [];
  for (const part of parts.filter(isObject)) {
    const { type } = part;
    if (type === "text") said.push(text(part.content ?? part.text));
    else if (type === "reasoning" || type === "thinking") thought.push(text(part.content ?? part.text));
    else if (type === "tool_call" || type === "tool-call") {
      calls.push(
        call(part.id ?? part.toolCallId, part.name ?? part.toolName, part.arguments ?? part.args ?? part.input),
      );
    } else if (type === "tool_call_response" || type === "tool-result") {
      const content = text(part.response ?? part.result ?? unwrapped(part.output));
      results.push({
        role: "tool",
        content,
        ...answerTo(part.id ?? part.toolCallId),
        name: part.name ?? part.toolName,
      });
    } else if (typeof type === "string") said.push(`[${type}]`);
  }
  const spoken = said.length > 0 || calls.length > 0 || thought.length > 0 || results.length === 0;
  const reasoning = thought.length > 0 ? { reasoning_content: thought.join("\n") } : {};
  const own = spoken ? [{ role, content: said.join("\n"), ...reasoning, ...withCalls(calls) }] : [];
  return [...own, ...results];
}

function textOfContents(contents: readonly unknown[]): string {
  return contents
    .filter(isObject)
    .map((one) => (isObject(one.message_content) ? text(one.message_content.text) : ""))
    .join("\n");
}

/** Results of the AI SDK come as `{type: "text" | "json", value}`. */
const unwrapped = (output: unknown): unknown => (isObject(output) && "value" in output ? output.value : output);

const withCalls = (calls: readonly JsonObject[]) => (calls.length > 0 ? { tool_calls: calls } : {});
const answerTo = (id: unknown) => (typeof id === "string" && id !== "" ? { tool_call_id: id } : {});

function listedCall(value: JsonObject): JsonObject {
  const inner = isObject(value.tool_call) ? value.tool_call : value;
  const body = isObject(inner.function) ? inner.function : inner;
  return call(inner.id, body.name, body.arguments);
}

/** Messages in a list, or in JSON text of one; plain text is one message. */
export function messagesIn(value: unknown, role: "user" | "assistant"): JsonObject[] {
  const list = unpacked(value);
  if (Array.isArray(list)) return list.flatMap(chatMessages);
  if (typeof list === "string") return list === "" ? [] : [{ role, content: list }];
  if (!isObject(list)) return [];
  if (Array.isArray(list.messages)) return list.messages.flatMap(chatMessages);
  return "role" in list ? chatMessages(list) : [{ role, content: text(list) }];
}

const first = (...values: readonly unknown[]): unknown => values.find((value) => value !== undefined && value !== null);

/** Attributes of a span and, where messages are kept apart, of the event that carries them. */
function withDetails({ attributes, events }: Span): JsonObject {
  const details = events.filter(({ name }) => name === "gen_ai.client.inference.operation.details");
  return Object.assign({}, ...details.map((event) => event.attributes), attributes);
}

/** What a model was given and what it answered, as chat messages. */
export function conversationOf(span: Span): { input: JsonObject[]; output: JsonObject[] } {
  const given = withDetails(span);
  const system = messagesIn(
    given["gen_ai.system_instructions"] === undefined
      ? []
      : [{ role: "system", parts: unpacked(given["gen_ai.system_instructions"]) }],
    "user",
  );
  const input = first(
    given["gen_ai.input.messages"],
    treeUnder(given, "llm.input_messages"),
    given["ai.prompt.messages"],
    given["ai.prompt"],
    given["input.value"],
  );
  const output = first(
    given["gen_ai.output.messages"],
    treeUnder(given, "llm.output_messages"),
    ownResponse(given),
    given["output.value"],
  );
  const answered = messagesIn(output, "assistant").map((message) => ({ ...message, role: "assistant" }));
  return { input: [...system, ...messagesIn(input, "user")], output: answered };
}

/** What the AI SDK's own names say of an answer. */
function ownResponse(given: JsonObject): unknown {
  const calls = unpacked(given["ai.response.toolCalls"]);
  const said = first(given["ai.response.text"], given["ai.response.object"]);
  if (said === undefined && !Array.isArray(calls)) return undefined;
  const parts = [
    ...(given["ai.response.reasoning"] === undefined
      ? []
      : [{ type: "reasoning", content: given["ai.response.reasoning"] }]),
    ...(said === undefined || said === "" ? [] : [{ type: "text", content: text(said) }]),
    ...(Array.isArray(calls) ? calls.filter(isObject).map((one) => ({ ...one, type: "tool-call" })) : []),
  ];
  return [{ role: "assistant", parts }];
}

/** Name, arguments and result of a tool span, with the id of the call where it is known. */
export function toolOf({ attributes, error, name }: Span): { id: string | null; name: string; result: string } {
  const id = first(
    attributes["gen_ai.tool.call.id"],
    attributes["tool.id"],
    attributes["tool_call.id"],
    attributes["ai.toolCall.id"],
  );
  const called = first(attributes["gen_ai.tool.name"], attributes["tool.name"], attributes["ai.toolCall.name"], name);
  const result = first(
    attributes["gen_ai.tool.call.result"],
    attributes["output.value"],
    attributes["ai.toolCall.result"],
  );
  const told = result === undefined && error !== null ? `error: ${error}` : text(result);
  return { id: typeof id === "string" ? id : null, name: text(called), result: told };
}
