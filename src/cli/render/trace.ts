import { magnitude } from "./numbers.ts";
import { tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { truncate, wrap } from "./text.ts";

/** One event of a trace as it is drawn. */
export interface DrawnEvent {
  id: string;
  agent: string;
  type: string;
  start: number;
  duration: number;
  critical: boolean;
}

/** What `apportion trace` found out about one trace. */
export interface TraceReport {
  trace: string;
  task: string;
  problems: readonly string[];
  events: readonly DrawnEvent[];
  criticalPath: { serial: number; parallel: number; speedup: number; path: readonly string[] } | null;
  metrics: Readonly<Record<string, number | null>>;
  reward: Readonly<Record<string, number>> | null;
}

const meanings: readonly (readonly [RegExp, (match: RegExpExecArray) => string])[] = [
  [/^missing:(.*)$/, ([, key]) => `the trace has no ${key}, or it is of the wrong type`],
  [/^events:empty$/, () => "there are no events"],
  [/^event:missing:(.*)$/, ([, key]) => `an event has no ${key}`],
  [/^event:type:(.*)$/, ([, id]) => `event ${id} is of an unknown type`],
  [/^event:duplicate:(.*)$/, ([, id]) => `two events are called ${id}`],
  [/^event:time:(.*)$/, ([, id]) => `the time of event ${id} is not a number of 0 or more`],
  [/^edge:type:(.*)$/, ([, edge]) => `edge ${edge} is of an unknown type`],
  [
    /^edge:(src|dst):(.*)$/,
    ([, end, id]) => `an edge ${end === "src" ? "starts" : "ends"} at ${id}, which is no event`,
  ],
  [/^cost:negative:(.*)$/, ([, key]) => `cost ${key} is negative`],
  [/^edges:cycle$/, () => "the edges run in a circle"],
];

/** What a code of the validator means; unknown codes as they are. */
export function meaningOf(code: string): string {
  for (const [pattern, say] of meanings) {
    const match = pattern.exec(code);
    if (match !== null) return say(match);
  }
  return code;
}

const metricTexts: Readonly<Record<string, string>> = {
  parallelismEfficiency: "serial time over wall-clock time",
  usefulAgentUtilisation: "share of the sub-agents' events that were useful",
  protocolOverhead: "share of tokens spent on orchestration",
  messageRedundancy: "share of messages that repeat an earlier one",
  errorAmplification: "events corrupted by each origin of an error",
};

/** A lane per agent: its events as bars over time, those of the critical path in the accent. */
function lanes(report: TraceReport, { style, width }: Terminal): string[] {
  const agents = [...new Set(report.events.map(({ agent }) => agent))];
  const label = Math.min(16, Math.max(...agents.map((agent) => agent.length)));
  const room = Math.max(20, width - label - 6);
  const last = Math.max(...report.events.map(({ start, duration }) => start + duration), 1e-9);
  const column = (time: number) => Math.min(room - 1, Math.floor((time / last) * room));
  return agents.map((agent) => {
    const cells = new Array<string>(room).fill(style.dim("·"));
    for (const { start, duration, critical } of report.events.filter((event) => event.agent === agent)) {
      const to = Math.max(column(start + duration), column(start) + 1);
      const glyph = duration === 0 ? "▏" : critical ? "█" : "▒";
      for (let at = column(start); at < to; at++) cells[at] = critical ? style.accent(glyph) : glyph;
    }
    return `   ${truncate(agent, label).padEnd(label)} ${cells.join("")}`;
  });
}

function rewardLine(reward: Readonly<Record<string, number>>): string {
  const { total, r_parallel, lambda_parallel, r_finish, lambda_finish } = reward;
  const parts = [`${magnitude(lambda_parallel)} × ${magnitude(r_parallel)} for starting sub-agents`];
  parts.push(`${magnitude(lambda_finish)} × ${magnitude(r_finish)} for their finishing`);
  return `${magnitude(total)}, of it ${parts.join(" and ")}`;
}

/** The view of one trace: what is wrong with it, or its lanes, critical path, metrics and reward. */
export function traceLines(report: TraceReport, terminal: Terminal): string[] {
  const { style, width } = terminal;
  const head = ` ${style.bold(report.trace)}  ${style.dim(`task ${report.task} · ${report.events.length} events`)}`;
  if (report.problems.length > 0) {
    const rows = report.problems.map((code) => [code, meaningOf(code)]);
    const table = tableLines([{ title: "" }, { title: "", shrinkTo: 20, wraps: true }], rows, {
      style,
      width,
      indent: 3,
    });
    return [
      head,
      "",
      ` ${report.problems.length === 1 ? "1 problem" : `${report.problems.length} problems`}`,
      ...table,
    ];
  }
  const lines = [head, "", ...lanes(report, terminal), ""];
  if (report.criticalPath !== null) {
    const { serial, parallel, speedup, path } = report.criticalPath;
    const times = `${magnitude(parallel)} s for ${magnitude(serial)} s of work, speedup ${magnitude(speedup)}`;
    lines.push(` ${style.accent("critical path")}  ${times}`, `   ${truncate(path.join(" → "), width - 3)}`, "");
  }
  const rows = Object.entries(report.metrics).map(([name, value]) => [
    name,
    value === null ? "–" : magnitude(value),
    metricTexts[name] ?? "",
  ]);
  lines.push(
    ...tableLines([{ title: "metric" }, { title: "", align: "right" }, { title: "", shrinkTo: 20 }], rows, {
      style,
      width,
    }),
  );
  if (report.reward !== null) {
    lines.push(
      "",
      ` ${style.accent("reward")}`,
      ...wrap(rewardLine(report.reward), width - 3).map((line) => `   ${line}`),
    );
  }
  return lines;
}
