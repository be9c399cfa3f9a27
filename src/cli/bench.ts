import type { Command } from "commander";
import type { Entry } from "../lab/benchmark/entries.ts";
import { InputError } from "../rollouts/errors.ts";
import { collect, collectList, parseWhole, plural } from "./options.ts";
import { paramsByMethod, parseParam } from "./params.ts";
import { abortOnInterrupt } from "./signals.ts";

interface Flags {
  methods?: string[];
  param?: string[];
  tasks?: string[];
  seeds: string;
  out?: string;
  cache?: string;
  threads?: string;
  quick?: boolean;
  json?: boolean;
  width?: string;
  color: boolean;
}

/** What is to be run: all methods, or those named; with parameters those that were given instead of the defaults. */
async function entriesFor(flags: Flags): Promise<Entry[]> {
  const { allEntries, entriesOf, entryOf } = await import("../lab/benchmark/entries.ts");
  const { yardstickIds } = await import("../lab/benchmark/apply.ts");
  const { findMethod } = await import("../methods/registry.ts");
  const { methodParams } = await import("../methods/assign.ts");
  const names = [...new Set(flags.methods ?? ["all"])];
  const all = allEntries();
  const isAll = names.includes("all");
  const plain = names.filter((name) => name !== "all" && !yardstickIds.includes(name)).map(findMethod);
  const chosen = isAll
    ? all.filter(({ method }) => !yardstickIds.includes(method)).map(({ method }) => findMethod(method))
    : plain;
  const given = paramsByMethod([...new Set(chosen)], (flags.param ?? []).map(parseParam));
  for (const [id, params] of given) methodParams(findMethod(id), params);
  const yardsticks = all.filter(({ method }) => yardstickIds.includes(method));
  const entries = [...new Set(chosen)].flatMap((method) => {
    const params = given.get(method.id);
    if (params !== undefined && Object.keys(params).length > 0) return [entryOf(method.id, params)];
    return method.assign === undefined ? [entryOf(method.id, {})] : entriesOf(method);
  });
  return [...yardsticks, ...entries];
}

async function tasksFor(flags: Flags): Promise<string[]> {
  const { benchTasks } = await import("../lab/benchmark/tasks.ts");
  const known = Object.keys(benchTasks);
  const asked = [...new Set(flags.tasks ?? known)];
  for (const name of asked) {
    if (known.includes(name)) continue;
    throw new InputError(`unknown task ${JSON.stringify(name)}`, { expected: `one of ${known.join(", ")}` });
  }
  return asked;
}

/** Says on a terminal how far the work is; elsewhere nothing. */
function progressLine(stream: NodeJS.WriteStream = process.stderr) {
  let last = 0;
  const show = (part: string, done: number, of: number) => {
    const now = Date.now();
    if (!stream.isTTY || (now - last < 100 && done < of)) return;
    last = now;
    const text = `${Math.floor((100 * done) / of)}%  ${done} of ${of}  ${part}`;
    stream.write(`\r\x1b[2K${text.slice(0, (stream.columns ?? 80) - 1)}`);
  };
  return { show, clear: () => stream.isTTY && stream.write("\r\x1b[2K") };
}

async function run(flags: Flags): Promise<void> {
  const most = flags.quick === true ? 1 : 5;
  const seeds = parseWhole("--seeds", flags.seeds === "auto" ? `${most}` : flags.seeds, 1, 1000);
  const { availableParallelism } = await import("node:os");
  const threads = flags.threads === undefined ? availableParallelism() : parseWhole("--threads", flags.threads, 1, 256);
  const [entries, tasks] = [await entriesFor(flags), await tasksFor(flags)];
  const { terminal } = await import("./render/terminal.ts");
  const view = terminal(flags);
  const { Cache, defaultCache } = await import("./bench/cache.ts");
  const { runBench } = await import("./bench/run.ts");
  const signal = abortOnInterrupt();
  const progress = progressLine();
  const cache = new Cache(flags.cache ?? defaultCache(process.env));
  let done = 0;
  const start = Date.now();
  const { summary, measured, known } = await runBench({
    entries,
    tasks,
    seeds: Array.from({ length: seeds }, (_, k) => k + 1),
    scale: flags.quick === true ? "quick" : "full",
    threads,
    cache,
    signal,
    onProgress: (part, at, of) => {
      done = at;
      progress.show(part, at, of);
    },
  }).catch((error) => {
    progress.clear();
    if (signal.aborted) process.stderr.write(`apportion: ${plural(done, "result")} kept in ${cache.folder}\n`);
    throw error;
  });
  progress.clear();
  if (flags.json === true) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else {
    const { benchLines } = await import("./bench/render.ts");
    process.stdout.write(`\n${benchLines(summary, view).join("\n")}\n\n`);
  }
  if (flags.out !== undefined) {
    const { writeReport } = await import("./bench/report.ts");
    for (const file of writeReport(summary, flags.out)) process.stderr.write(`wrote ${file}\n`);
  }
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  process.stderr.write(
    `${plural(measured, "result")} measured in ${seconds} s, ${known} known from before (${cache.folder})\n`,
  );
}

const examples = `
Every method is fed from sampled episodes of tasks whose values are known exactly, and its credit is held against them:
how well it follows the true advantages, whether the gradient that it gives is biased, how fast a tabular policy learns with
it, and what it costs. Signals of trained models and judges are stood in for by the exact values with stated errors.
Results are kept, so that a second run only measures what has changed.

Examples:
  apportion bench --quick --methods grpo,tempo
  apportion bench --methods grpo,gae,igpo --tasks key-door,gates --seeds 10
  apportion bench --methods mt-grpo --param mt-grpo.leave_one_out=true --tasks search-fixed,search-stop
  apportion bench --out docs                           all methods; writes benchmark.md, plots and JSON`;

/** Adds the `bench` command. */
export function register(program: Command): void {
  program
    .command("bench")
    .summary("hold credit against exact truth on small tasks")
    .description("Runs methods on exactly solvable tasks and measures credit, gradients, learning and cost.")
    .option("--methods <ids>", "methods, separated by commas, or all", collectList)
    .option("--param <name=value>", "parameter of all methods that have it, or METHOD.NAME=VALUE of one", collect)
    .option("--tasks <ids>", "tasks, separated by commas (default: all)", collectList)
    .option("--seeds <count>", "seeds (default: 5; quick: 1)", "auto")
    .option("--out <folder>", "write benchmark.md, and plots and JSON in benchmark/ beside it")
    .option("--cache <folder>", "where results are kept (default: apportion/bench in the user's cache folder)")
    .option("--threads <count>", "worker threads (default: as many as cores)")
    .option("--quick", "a first look: fewer episodes, one seed")
    .option("--json", "print JSON")
    .option("--width <columns>", "width of the output (default: of the terminal)")
    .option("--no-color", "no colours")
    .addHelpText("after", examples)
    .action(run);
}
