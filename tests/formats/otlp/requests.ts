/** Builds OTLP requests in JSON form for tests. */

type Value = string | number | boolean | readonly Value[];

export function anyValue(value: Value): unknown {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value !== "number") return { arrayValue: { values: value.map(anyValue) } };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

const keyValues = (attributes: Readonly<Record<string, Value>>) =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));

export interface SpanSpec {
  id: number;
  parent?: number;
  name?: string;
  attributes?: Readonly<Record<string, Value>>;
  events?: readonly { name: string; attributes: Readonly<Record<string, Value>> }[];
  error?: string;
}

const hex = (number: number, digits: number) => number.toString(16).padStart(digits, "0");

/** Spans of one trace, started in the order of their list. */
export function request(trace: number, spans: readonly SpanSpec[]) {
  return {
    resourceSpans: [
      {
        resource: { attributes: keyValues({ "service.name": "shop" }) },
        scopeSpans: [
          {
            spans: spans.map(({ id, parent, name = "span", attributes = {}, events = [], error }, k) => ({
              traceId: hex(trace, 32),
              spanId: hex(id, 16),
              ...(parent === undefined ? {} : { parentSpanId: hex(parent, 16) }),
              name,
              startTimeUnixNano: String(1_700_000_000_000_000_000n + BigInt(k) * 1000n),
              endTimeUnixNano: String(1_700_000_000_000_900_000n),
              attributes: keyValues(attributes),
              events: events.map((event) => ({ name: event.name, attributes: keyValues(event.attributes) })),
              ...(error === undefined ? {} : { status: { code: 2, message: error } }),
            })),
          },
        ],
      },
    ],
  };
}

const json = JSON.stringify;

/** An agent that calls a tool and answers, in the names of OpenTelemetry's GenAI conventions. */
export const genAi = (trace = 1) =>
  request(trace, [
    {
      id: 1,
      name: "invoke_agent clerk",
      attributes: {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "clerk",
        "gen_ai.conversation.id": "c7",
      },
    },
    {
      id: 2,
      parent: 1,
      name: "chat m",
      attributes: {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.system_instructions": json([{ type: "text", content: "Be brief." }]),
        "gen_ai.input.messages": json([{ role: "user", parts: [{ type: "text", content: "Price of tea?" }] }]),
        "gen_ai.output.messages": json([
          { role: "assistant", parts: [{ type: "tool_call", id: "t1", name: "price", arguments: { of: "tea" } }] },
        ]),
      },
    },
    {
      id: 3,
      parent: 1,
      name: "execute_tool price",
      attributes: {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "price",
        "gen_ai.tool.call.id": "t1",
        "gen_ai.tool.call.result": "3 euros",
      },
    },
    {
      id: 4,
      parent: 1,
      name: "chat m",
      attributes: {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.output.messages": json([{ role: "assistant", parts: [{ type: "text", content: "Three euros." }] }]),
      },
      events: [
        {
          name: "gen_ai.evaluation.result",
          attributes: { "gen_ai.evaluation.name": "correct", "gen_ai.evaluation.score.value": 1 },
        },
      ],
    },
  ]);

/** The same in OpenInference's names. */
export const openInference = (trace = 2) =>
  request(trace, [
    {
      id: 1,
      attributes: {
        "openinference.span.kind": "AGENT",
        "agent.name": "clerk",
        "session.id": "c7",
        "annotations.0.annotation.name": "correct",
        "annotations.0.annotation.score": 1,
      },
    },
    {
      id: 2,
      parent: 1,
      attributes: {
        "openinference.span.kind": "LLM",
        "llm.model_name": "m",
        "llm.token_count.prompt": 12,
        "llm.token_count.completion": 5,
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "Be brief.",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.content": "Price of tea?",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.id": "t1",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "price",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"of":"tea"}',
      },
    },
    {
      id: 3,
      parent: 1,
      attributes: {
        "openinference.span.kind": "TOOL",
        "tool.name": "price",
        "tool.id": "t1",
        "output.value": "3 euros",
      },
    },
    {
      id: 4,
      parent: 1,
      attributes: {
        "openinference.span.kind": "LLM",
        "llm.model_name": "m",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "Three euros.",
      },
    },
  ]);

/** The same in the AI SDK's own names. */
export const aiSdk = (trace = 3) =>
  request(trace, [
    {
      id: 1,
      attributes: { "ai.operationId": "ai.generateText", "ai.telemetry.functionId": "clerk", "apportion.reward": 1 },
    },
    {
      id: 2,
      parent: 1,
      attributes: {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": "m",
        "ai.usage.inputTokens": 12,
        "ai.usage.outputTokens": 5,
        "ai.prompt.messages": json([
          { role: "system", content: "Be brief." },
          { role: "user", content: [{ type: "text", text: "Price of tea?" }] },
        ]),
        "ai.response.toolCalls": json([{ toolCallId: "t1", toolName: "price", input: '{"of":"tea"}' }]),
      },
    },
    {
      id: 3,
      parent: 1,
      attributes: {
        "ai.operationId": "ai.toolCall",
        "ai.toolCall.name": "price",
        "ai.toolCall.id": "t1",
        "ai.toolCall.result": '"3 euros"',
      },
    },
    {
      id: 4,
      parent: 1,
      attributes: {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": "m",
        "ai.prompt.messages": json([
          { role: "system", content: "Be brief." },
          { role: "user", content: [{ type: "text", text: "Price of tea?" }] },
          {
            role: "assistant",
            content: [{ type: "tool-call", toolCallId: "t1", toolName: "price", input: { of: "tea" } }],
          },
          {
            role: "tool",
            content: [
              { type: "tool-result", toolCallId: "t1", toolName: "price", output: { type: "text", value: "3 euros" } },
            ],
          },
        ]),
        "ai.response.text": "Three euros.",
      },
    },
  ]);
