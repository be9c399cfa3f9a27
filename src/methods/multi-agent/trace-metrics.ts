import { z } from "zod";
import { functionArgs } from "../arguments.ts";
import { type TraceEvent, type TraceGraph, topologicalOrder, traceGraph, traceProblems } from "./trace-events.ts";

const traceArgs = z.object({ trace: z.unknown() });

/** Codes of everything that is wrong with an orchestration trace, empty when it is valid; see `traceProblems` for the codes. */
export function validateTrace(args: { trace: unknown }): string[] {
  return traceProblems(functionArgs(traceArgs, args).trace);
}

/** Distance above which one time counts as later than another. */
const slack = 1e-12;

interface CriticalPath {
  serial: number;
  parallel: number;
  speedup: number;
  path: string[];
}

function pathOf({ events, next }: TraceGraph): CriticalPath {
  const before: number[][] = events.map(() => []);
  next.forEach((targets, k) => {
    for (const target of targets) before[target].push(k);
  });
  // Predecessors stand in ascending order, so that the first of equals is the lowest.
  const latest = (candidates: readonly number[], least: number) => {
    let best = -1;
    let time = least;
    for (const k of candidates) {
      if (finish[k] <= time + slack) continue;
      best = k;
      time = finish[k];
    }
    return best;
  };
  const finish = new Float64Array(events.length);
  for (const k of topologicalOrder(next)) {
    finish[k] = before[k].reduce((most, p) => Math.max(most, finish[p]), 0) + events[k].duration;
  }
  const all = [...events.keys()];
  const path: string[] = [];
  for (let k = latest(all, Number.NEGATIVE_INFINITY); k >= 0; k = latest(before[k], 0)) path.unshift(events[k].id);
  const serial = events.reduce((sum, event) => sum + event.duration, 0);
  const parallel = finish.reduce((a, b) => Math.max(a, b), 0);
  return { serial, parallel, speedup: parallel === 0 ? 1 : serial / parallel, path };
}

/**
 * Critical path of a trace: finish(i) = max(0, finish of the events before it) + duration_i. `serial` = sum of durations,
 * `parallel` = largest finish, `speedup` = serial / parallel (1 when nothing takes time), `path` = ids from the first event
 * of the longest chain to its last, ties going to the lowest number.
 * @throws InputError when the trace is not valid.
 */
export function criticalPath(args: { trace: unknown }): CriticalPath {
  return pathOf(traceGraph(functionArgs(traceArgs, args).trace));
}

const stepsArgs = z.object({
  stages: z.array(z.object({ main: z.number().min(0), sub: z.array(z.number().min(0)) })),
});

/** Critical steps (Kimi K2.5 report): Σ over stages of the main agent's steps plus those of its longest sub-agent. */
export function criticalSteps(args: z.input<typeof stepsArgs>): number {
  const { stages } = functionArgs(stepsArgs, args);
  return stages.reduce((sum, { main, sub }) => sum + main + sub.reduce((a, b) => Math.max(a, b), 0), 0);
}

/** Names of the agents that spawn events start, in order, repeats kept. */
export function spawnedAgents(events: readonly TraceEvent[]): string[] {
  return events.flatMap(({ type, to }) => (type === "spawn" && to ? [to] : []));
}

const protocol: ReadonlySet<string> = new Set(["orchestrator_decision", "spawn", "despawn", "message", "aggregate"]);

/** Ratio of two counts, `null` without anything to divide by. */
const ratio = (part: number, whole: number) => (whole > 0 ? part / whole : null);

function utilisation(events: readonly TraceEvent[]): number | null {
  const spawned = new Set(spawnedAgents(events));
  const theirs = events.filter(({ agent }) => spawned.has(agent));
  return ratio(theirs.filter(({ useful }) => useful).length, theirs.length);
}

function overhead(events: readonly TraceEvent[]): number | null {
  const tokens = (list: readonly TraceEvent[]) => list.reduce((sum, event) => sum + event.tokens, 0);
  return ratio(tokens(events.filter(({ type }) => protocol.has(type))), tokens(events));
}

function redundancy(events: readonly TraceEvent[]): number | null {
  const messages = events.filter(({ type }) => type === "message");
  const seen = new Set<string>();
  const repeated = messages.filter(({ content_ref }) => {
    if (content_ref === null || content_ref === undefined) return false;
    if (seen.has(content_ref)) return true;
    seen.add(content_ref);
    return false;
  });
  return ratio(repeated.length, messages.length);
}

/** Corrupted events that origins reach through corrupted events, per origin. */
function amplification({ events, next }: TraceGraph): number | null {
  const open = [...events.keys()].filter((k) => events[k].corrupted_origin);
  const origins = open.length;
  const reached = new Set<number>();
  for (let k = open.pop(); k !== undefined; k = open.pop()) {
    for (const target of next[k]) {
      const { corrupted, corrupted_origin } = events[target];
      if (!corrupted || corrupted_origin || reached.has(target)) continue;
      reached.add(target);
      open.push(target);
    }
  }
  return ratio(reached.size, origins);
}

/**
 * Metrics of a trace, null where a ratio has nothing to divide by: `parallelismEfficiency` = costs.serial_s /
 * costs.wall_clock_s where both are given, else the speedup of the critical path; `usefulAgentUtilisation` = useful events of
 * spawned agents over all their events; `protocolOverhead` = tokens of decisions, spawns, despawns, messages and aggregates
 * over all tokens; `messageRedundancy` = messages whose content an earlier message had; `errorAmplification` = corrupted
 * events that origins reach along corrupted events, per origin.
 * @throws InputError when the trace is not valid.
 */
export function masMetrics(args: {
  trace: unknown;
}): Record<
  "parallelismEfficiency" | "usefulAgentUtilisation" | "protocolOverhead" | "messageRedundancy" | "errorAmplification",
  number | null
> {
  const graph = traceGraph(functionArgs(traceArgs, args).trace);
  const { events, costs } = graph;
  const timed = costs.serial_s !== undefined && costs.wall_clock_s !== undefined;
  return {
    parallelismEfficiency: timed ? ratio(costs.serial_s, costs.wall_clock_s) : pathOf(graph).speedup,
    usefulAgentUtilisation: utilisation(events),
    protocolOverhead: overhead(events),
    messageRedundancy: redundancy(events),
    errorAmplification: amplification(graph),
  };
}
