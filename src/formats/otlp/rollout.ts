import type { RolloutObject } from "../../rollouts/index.ts";
import { isObject, type JsonObject, present } from "../import/fields.ts";
import { chatTurns, readMessages } from "../import/messages.ts";
import { conversationOf, kindOf, toolOf, treeUnder } from "./said.ts";
import type { Span } from "./span.ts";

const byStart = (a: Span, b: Span) => {
  if (a.start.length !== b.start.length) return a.start.length - b.start.length;
  return a.start < b.start ? -1 : a.start > b.start ? 1 : 0;
};

const firstText = (attributes: JsonObject, ...names: readonly string[]): string | null => {
  for (const name of names)
    if (typeof attributes[name] === "string" && attributes[name] !== "") return attributes[name];
  return null;
};

const firstNumber = (attributes: JsonObject, ...names: readonly string[]): number | null => {
  for (const name of names) if (Number.isFinite(attributes[name])) return attributes[name] as number;
  return null;
};

/** The spans above a span, the nearest first; a loop in broken data ends it. */
function* above(span: Span, byId: ReadonlyMap<string, Span>): Generator<Span> {
  const seen = new Set<string>();
  for (let id = span.parentId; id !== null && !seen.has(id); ) {
    seen.add(id);
    const parent = byId.get(id);
    if (parent === undefined) return;
    yield parent;
    id = parent.parentId;
  }
}

const agentNames = ["gen_ai.agent.name", "agent.name", "graph.node.id", "ai.telemetry.functionId"] as const;

function agentOf(span: Span, byId: ReadonlyMap<string, Span>): string {
  for (const one of [span, ...above(span, byId)]) {
    const name = firstText(one.attributes, ...agentNames);
    if (name !== null) return name;
  }
  return "assistant";
}

/** The nearest agent above a span: calls under the same one share a conversation. */
function scopeOf(span: Span, byId: ReadonlyMap<string, Span>): string {
  let top = "";
  for (const one of above(span, byId)) {
    if (kindOf(one) === "agent" && one.attributes["gen_ai.operation.name"] !== "agent_step") return one.spanId;
    top = one.spanId;
  }
  return top;
}

/** Scores in a trace by name: evaluation events, annotations, rewards of other tools' names. */
function scoresOf(spans: readonly Span[]): { reward: number | null; rewards: Record<string, number> } {
  const rewards: Record<string, number> = {};
  let own: number | null = null;
  const note = (name: unknown, value: unknown) => {
    const score = typeof value === "boolean" ? Number(value) : value;
    if (typeof score !== "number" || !Number.isFinite(score)) return;
    const key = typeof name === "string" && /^[A-Za-z_][\w-]*$/.test(name) ? name : "reward";
    if (key === "reward") own = score;
    else rewards[key] = score;
  };
  for (const { attributes, events } of spans) {
    note("reward", attributes["apportion.reward"]);
    for (const { name, attributes: given } of events) {
      if (name === "gen_ai.evaluation.result")
        note(given["gen_ai.evaluation.name"], given["gen_ai.evaluation.score.value"]);
    }
    const annotations = treeUnder(attributes, "annotations");
    if (Array.isArray(annotations)) {
      for (const one of annotations) {
        const inner = isObject(one) && isObject(one.annotation) ? one.annotation : {};
        note(inner.name, inner.score);
      }
    }
    const lightning = treeUnder(attributes, "agentlightning.reward");
    if (Array.isArray(lightning)) for (const one of lightning) if (isObject(one)) note(one.name, one.value);
  }
  const only = Object.values(rewards);
  return { reward: own ?? (only.length === 1 ? only[0] : null), rewards };
}

interface Turn {
  span: Span;
  agent: string;
  scope: string;
  input: JsonObject[];
  output: JsonObject;
  tools: Span[];
}

/** What followed a turn before the same agent spoke again: as the next call to the model tells it, else as the tools do. */
function followed(turn: Turn, next: Turn | undefined): JsonObject[] {
  const length = turn.input.length + 1;
  const told = next !== undefined && next.input.length > length && next.input[length - 1].role === "assistant";
  if (told) return next.input.slice(length).filter(({ role }) => role !== "system");
  return turn.tools.map(toolOf).map(({ id, name, result }) => ({
    role: "tool",
    name,
    content: result,
    ...(id === null ? {} : { tool_call_id: id }),
  }));
}

function turnsOf(spans: readonly Span[], byId: ReadonlyMap<string, Span>): Turn[] {
  const turns: Turn[] = [];
  for (const span of spans) {
    const kind = kindOf(span);
    if (kind === "model") {
      const { input, output } = conversationOf(span);
      const [said = { role: "assistant", content: "" }] = output;
      turns.push({ span, agent: agentOf(span, byId), scope: scopeOf(span, byId), input, output: said, tools: [] });
    } else if (kind === "tool") {
      const scope = scopeOf(span, byId);
      const caller = turns.findLast((turn) => turn.scope === scope) ?? turns.at(-1);
      caller?.tools.push(span);
    }
  }
  return turns;
}

const inputTokens = [
  "gen_ai.usage.input_tokens",
  "gen_ai.usage.prompt_tokens",
  "llm.token_count.prompt",
  "ai.usage.inputTokens",
  "ai.usage.promptTokens",
] as const;
const outputTokens = [
  "gen_ai.usage.output_tokens",
  "gen_ai.usage.completion_tokens",
  "llm.token_count.completion",
  "ai.usage.outputTokens",
  "ai.usage.completionTokens",
] as const;
const models = ["gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "ai.model.id"] as const;

/**
 * The spans of one trace as a rollout: a turn per call of a model, in order of their starts, with what was said, the calls
 * of tools, what came back (`observation`), the agent that spoke, `turns.span_id`, tokens used, and errors; the outcome
 * from `apportion.reward`, evaluation events, annotations or rewards. Id and group may be named by `apportion.rollout.id`
 * and `apportion.group`; else the id is the trace's. `null` when no model was called.
 */
export function rolloutOfTrace(trace: readonly Span[]): RolloutObject | null {
  const spans = [...trace].sort(byStart);
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const turns = turnsOf(spans, byId);
  if (turns.length === 0) return null;
  const seen = new Set<string>();
  const messages: JsonObject[] = [];
  const at: number[] = [];
  turns.forEach((turn, k) => {
    if (!seen.has(turn.scope)) messages.push(...turn.input);
    seen.add(turn.scope);
    at.push(messages.length);
    const next = turns.slice(k + 1).find((one) => one.scope === turn.scope);
    messages.push({ ...turn.output, role: "assistant", name: turn.agent }, ...followed(turn, next));
  });
  const { columns } = chatTurns(readMessages(messages), "assistant", at);
  const use = (names: readonly string[]) => turns.map(({ span }) => firstNumber(span.attributes, ...names));
  const extra: Record<string, unknown[]> = {
    span_id: turns.map(({ span }) => span.spanId),
    model: turns.map(({ span }) => firstText(span.attributes, ...models)),
    input_tokens: use(inputTokens),
    output_tokens: use(outputTokens),
    error: turns.map(({ span, tools }) => span.error ?? tools.find(({ error }) => error !== null)?.error ?? null),
  };
  const filled = Object.entries(extra).filter(([, cells]) => cells.some((cell) => cell !== null));
  const all: JsonObject = Object.assign({}, ...spans.map((span) => span.attributes).reverse());
  const { reward, rewards } = scoresOf(spans);
  const group = firstText(all, "apportion.group");
  return {
    id: firstText(all, "apportion.rollout.id") ?? spans[0].traceId,
    ...(group === null ? {} : { group }),
    reward,
    ...(Object.keys(rewards).length > 0 ? { rewards } : {}),
    turns: { ...columns, ...Object.fromEntries(filled) },
    messages,
    meta: present({
      trace_id: spans[0].traceId,
      conversation: firstText(all, "gen_ai.conversation.id", "session.id"),
      service: spans[0].service,
    }),
  };
}
