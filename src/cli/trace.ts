import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { InputError } from "../rollouts/errors.ts";
import type { TraceReport } from "./render/trace.ts";

interface Flags {
  json?: boolean;
  color?: boolean;
  width?: string;
  progress: string;
}

interface Found {
  file: string;
  line?: number;
  value: unknown;
}

/** Traces of a file: one JSON document, a list of them, or one per line. */
async function tracesOf(file: string): Promise<Found[]> {
  const text = await readFile(file, "utf8");
  try {
    const whole: unknown = JSON.parse(text);
    return (Array.isArray(whole) ? whole : [whole]).map((value) => ({ file, value }));
  } catch (error) {
    const lines = text.split("\n").map((one, k) => ({ one, line: k + 1 }));
    return lines
      .filter(({ one }) => one.trim() !== "")
      .map(({ one, line }) => {
        try {
          return { file, line, value: JSON.parse(one) as unknown };
        } catch {
          const got = error instanceof Error ? error.message : "";
          throw new InputError("not JSON", {
            file,
            line,
            expected: "a trace, a list of traces, or one trace per line",
            got,
          });
        }
      });
  }
}

type Json = Record<string, unknown>;
const asObject = (value: unknown): Json => (value !== null && typeof value === "object" ? (value as Json) : {});
const asNumber = (value: unknown) => (typeof value === "number" ? value : 0);

async function report({ file, line, value }: Found, progress: number): Promise<TraceReport> {
  const { criticalPath, masMetrics, validateTrace } = await import("../methods/multi-agent/trace-metrics.ts");
  const { parlReward } = await import("../methods/multi-agent/orchestration-rewards.ts");
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new InputError("not a trace", {
      file,
      line,
      expected: "a JSON object with events and edges",
      got: JSON.stringify(value)?.slice(0, 40),
    });
  }
  const trace = value as Json;
  const problems = validateTrace({ trace });
  const events = (Array.isArray(trace.events) ? trace.events : []).map(asObject);
  const path = problems.length === 0 ? criticalPath({ trace }) : null;
  const team = asObject(trace.rewards).team;
  const rewarded = problems.length === 0 && typeof team === "number";
  return {
    trace: String(trace.trace_id ?? "?"),
    task: String(trace.task_id ?? "?"),
    problems,
    events: events.map((event) => ({
      id: String(event.id),
      agent: String(event.agent),
      type: String(event.type),
      start: asNumber(event.t),
      duration: asNumber(event.duration),
      critical: path?.path.includes(String(event.id)) ?? false,
    })),
    criticalPath: path,
    metrics: problems.length === 0 ? masMetrics({ trace }) : {},
    reward: rewarded ? parlReward({ perf: team, events: events as never, progress }) : null,
  };
}

async function run(files: readonly string[], flags: Flags): Promise<void> {
  const progress = Number(flags.progress);
  if (!(progress >= 0 && progress <= 1)) {
    throw new InputError("--progress is not valid", { expected: "a number from 0 to 1", got: flags.progress });
  }
  const found = (await Promise.all(files.map(tracesOf))).flat();
  const { terminal } = await import("./render/terminal.ts");
  const { traceLines } = await import("./render/trace.ts");
  for (const one of found) {
    const result = await report(one, progress);
    if (result.problems.length > 0) process.exitCode = 2;
    if (flags.json === true) {
      const { trace, task, problems, criticalPath, metrics, reward } = result;
      const place = one.line === undefined ? { file: one.file } : { file: one.file, line: one.line };
      process.stdout.write(`${JSON.stringify({ ...place, trace, task, problems, criticalPath, metrics, reward })}\n`);
    } else process.stdout.write(`\n${traceLines(result, terminal(flags)).join("\n")}\n`);
  }
  if (flags.json !== true) process.stdout.write("\n");
}

const examples = `
Examples:
  apportion trace run.json             what is wrong with it, or its lanes, critical path, metrics and reward
  apportion trace runs.jsonl --json    one line of JSON per trace

A trace: {"trace_id", "task_id", "events": [{"id", "t", "type", "agent", "to"?, "duration"?, "tokens"?, …}],
"edges": [{"src", "dst", "type"}], "rewards": {"team": …}, "costs": {…}}. Exit status 2 when a trace is not valid.`;

/** Adds the `trace` command. */
export function register(program: Command): void {
  program
    .command("trace")
    .summary("check an orchestration trace and measure it")
    .description("Validates traces of multi-agent runs and shows their lanes, critical path, metrics and reward.")
    .argument("<files...>", "JSON: one trace, a list, or one per line")
    .option("--progress <share>", "training progress from 0 to 1, by which the auxiliary rewards fade", "0")
    .option("--width <columns>", "width of the output (default: of the terminal)")
    .option("--json", "print a line of JSON per trace")
    .option("--no-color", "no colours")
    .addHelpText("after", examples)
    .action(run);
}
