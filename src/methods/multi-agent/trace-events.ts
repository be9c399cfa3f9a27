import { z } from "zod";
import { InputError } from "../../rollouts/index.ts";
import { bit } from "../arguments.ts";

/** Kinds of events of an orchestration trace. */
export const eventTypes = [
  "orchestrator_decision",
  "spawn",
  "despawn",
  "message",
  "tool_call",
  "tool_result",
  "return",
  "aggregate",
  "human_intervention",
  "safety_event",
] as const;

const edgeTypes: readonly unknown[] = [
  "temporal",
  "causal",
  "spawn",
  "message",
  "tool_dependency",
  "return",
  "aggregate",
  "safety_flow",
];

const id = z.union([z.string(), z.number()]).transform(String);
const amount = z
  .number()
  .min(0)
  .nullish()
  .transform((x) => x ?? 0);
const flag = z.union([z.boolean(), bit.transform(Boolean)]).nullish();

/** One event; everything but type and agent is optional here, as the reward needs no more. */
export const eventSchema = z.object({
  type: z.enum(eventTypes),
  agent: id,
  to: id.nullish(),
  duration: amount,
  tokens: amount,
  useful: flag.transform((x) => x ?? true),
  corrupted: flag.transform((x) => x ?? false),
  corrupted_origin: flag.transform((x) => x ?? false),
  content_ref: id.nullish(),
});
export type TraceEvent = z.output<typeof eventSchema>;

const traceSchema = z.object({
  events: z.array(eventSchema.extend({ id })),
  edges: z.array(z.object({ src: id, dst: id })),
  costs: z.record(z.string(), z.number()),
});

/** A valid trace: its events, the events that follow each (by number), and its costs. */
export interface TraceGraph {
  events: readonly (TraceEvent & { id: string })[];
  /** Per event the numbers of its successors, as often as there are edges. */
  next: readonly (readonly number[])[];
  costs: Readonly<Record<string, number>>;
}

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  value !== null && typeof value === "object" && !Array.isArray(value);
const has = (object: Json, key: string) => Object.hasOwn(object, key) && object[key] !== null;

const requiredOfTrace = ["trace_id", "task_id", "events", "edges", "rewards", "costs"] as const;
const requiredOfEvent = ["id", "t", "type", "agent"] as const;

function missingKeys(trace: Json): string[] {
  const isRight = (key: string) => {
    if (key === "events" || key === "edges") return Array.isArray(trace[key]);
    return key === "rewards" || key === "costs" ? isObject(trace[key]) : has(trace, key);
  };
  return requiredOfTrace.filter((key) => !isRight(key)).map((key) => `missing:${key}`);
}

function eventProblems(events: readonly unknown[], known: Set<string>): string[] {
  return events.flatMap((given) => {
    const event = isObject(given) ? given : {};
    const found = requiredOfEvent.filter((key) => !has(event, key)).map((key) => `event:missing:${key}`);
    const name = has(event, "id") ? String(event.id) : "";
    if (has(event, "type") && !eventTypes.some((type) => type === event.type)) found.push(`event:type:${name}`);
    if (has(event, "id") && known.has(name)) found.push(`event:duplicate:${name}`);
    if (has(event, "t") && !(typeof event.t === "number" && event.t >= 0)) found.push(`event:time:${name}`);
    if (has(event, "id")) known.add(name);
    return found;
  });
}

function edgeProblems(edges: readonly unknown[], known: ReadonlySet<string>): string[] {
  return edges.flatMap((given) => {
    const edge = isObject(given) ? given : {};
    const [src, dst] = [String(edge.src), String(edge.dst)];
    const found = edgeTypes.includes(edge.type) ? [] : [`edge:type:${src}>${dst}`];
    if (!known.has(src)) found.push(`edge:src:${src}`);
    if (!known.has(dst)) found.push(`edge:dst:${dst}`);
    return found;
  });
}

function successors(events: readonly { id: unknown }[], edges: readonly { src: unknown; dst: unknown }[]): number[][] {
  const place = new Map(events.map((event, k) => [String(event.id), k]));
  const next: number[][] = events.map(() => []);
  for (const { src, dst } of edges) next[place.get(String(src)) as number].push(place.get(String(dst)) as number);
  return next;
}

/** Events in topological order, of those that are free the smallest number first; shorter than the events on a cycle. */
export function topologicalOrder(next: readonly (readonly number[])[]): number[] {
  const waiting = new Int32Array(next.length);
  for (const targets of next) for (const k of targets) waiting[k]++;
  const free = new MinHeap();
  waiting.forEach((n, k) => {
    if (n === 0) free.push(k);
  });
  const order: number[] = [];
  for (let k = free.pop(); k !== undefined; k = free.pop()) {
    order.push(k);
    for (const target of next[k]) if (--waiting[target] === 0) free.push(target);
  }
  return order;
}

/** Smallest number first, O(log n) each. */
class MinHeap {
  readonly #heap: number[] = [];

  push(value: number): void {
    const heap = this.#heap;
    let at = heap.push(value) - 1;
    for (let up = (at - 1) >> 1; at > 0 && heap[up] > heap[at]; at = up, up = (at - 1) >> 1) {
      [heap[up], heap[at]] = [heap[at], heap[up]];
    }
  }

  pop(): number | undefined {
    const heap = this.#heap;
    const [top] = heap;
    const last = heap.pop();
    if (heap.length === 0 || last === undefined) return top;
    heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const least = left + 1 < heap.length && heap[left + 1] < heap[left] ? left + 1 : left;
      if (least >= heap.length || heap[least] >= heap[at]) return top;
      [heap[least], heap[at]] = [heap[at], heap[least]];
      at = least;
    }
  }
}

/**
 * Everything that is wrong with a trace as short codes; an empty list means that it is valid. In order: `missing:KEY` of the
 * trace (then nothing else is looked at); `events:empty`; per event `event:missing:KEY`, `event:type:ID`,
 * `event:duplicate:ID`, `event:time:ID`; per edge `edge:type:SRC>DST`, `edge:src:ID`, `edge:dst:ID`; `cost:negative:KEY`
 * (anything but a number of at least 0); and, when nothing else was wrong, `edges:cycle`.
 */
export function traceProblems(trace: unknown): string[] {
  if (!isObject(trace)) return requiredOfTrace.map((key) => `missing:${key}`);
  const missing = missingKeys(trace);
  if (missing.length > 0) return missing;
  const events = trace.events as unknown[];
  const edges = trace.edges as unknown[];
  const known = new Set<string>();
  const found = [
    ...(events.length === 0 ? ["events:empty"] : []),
    ...eventProblems(events, known),
    ...edgeProblems(edges, known),
    ...Object.entries(trace.costs as Json)
      .filter(([, cost]) => !(typeof cost === "number" && cost >= 0 && Number.isFinite(cost)))
      .map(([key]) => `cost:negative:${key}`),
  ];
  if (found.length > 0) return found;
  const next = successors(events as { id: unknown }[], edges as { src: unknown; dst: unknown }[]);
  return topologicalOrder(next).length < events.length ? ["edges:cycle"] : [];
}

/**
 * A trace ready to be measured.
 * @throws InputError naming the codes of `traceProblems`, or the field of an event that has a wrong type.
 */
export function traceGraph(trace: unknown): TraceGraph {
  const problems = traceProblems(trace);
  if (problems.length > 0) throw new InputError("the trace is not valid", { got: problems.join(", ") });
  const parsed = traceSchema.safeParse(trace);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new InputError(`trace.${issue.path.join(".")} not valid`, { expected: issue.message });
  }
  const { events, edges, costs } = parsed.data;
  return { events, next: successors(events, edges), costs };
}
