import type { Command } from "commander";
import type { Format, ReadProgress, Reject, RolloutSink } from "../formats/types.ts";
import type { Method } from "../methods/method.ts";
import type { SettledCall } from "../pipeline/calls.ts";
import { InputError } from "../rollouts/errors.ts";
import { locateFault } from "./locate.ts";
import { collect, collectList, formatSize, parseChoice, parseSize, parseWhole } from "./options.ts";
import { paramsByMethod, parseParam, readParamsFile } from "./params.ts";
import { startProgress } from "./progress.ts";
import { collectRejects, type Rejects } from "./rejects.ts";
import { abortOnInterrupt, removeUnfinishedAtExit } from "./signals.ts";
import { Notes, Tally } from "./summary.ts";

interface Flags {
  method?: string[];
  methods?: string[];
  param?: string[];
  params?: string;
  preset?: string;
  output: string;
  format?: string;
  inputFormat?: string;
  onError: string;
  rejects?: string;
  unscored: string;
  branches?: string;
  grouped?: boolean;
  threads?: string;
  memory?: string;
  columnsOnly?: boolean;
  keep?: string[];
  quiet?: boolean;
}

/** What wants to hear of the work while it is under way. */
interface Hooks {
  signal: AbortSignal;
  onReject: (reject: Reject) => void;
  onProgress: (progress: ReadProgress) => void;
  warn: (message: string) => void;
}

const formats: readonly Format[] = ["jsonl", "parquet", "arrow"];

/** The options with their values read. */
function settingsOf(flags: Flags) {
  const formatOf = (option: string, text: string | undefined) =>
    text === undefined ? undefined : parseChoice(option, text, formats);
  return {
    onError: parseChoice("--on-error", flags.onError, ["stop", "skip"]),
    unscored: parseChoice("--unscored", flags.unscored, ["stop", "leave-out"]),
    branches: flags.branches === undefined ? undefined : parseChoice("--branches", flags.branches, ["paths", "trunk"]),
    threads: flags.threads === undefined ? undefined : parseWhole("--threads", flags.threads, 1, 256),
    memory: flags.memory === undefined ? undefined : parseSize("--memory", flags.memory),
    format: formatOf("--format", flags.format),
    inputFormat: formatOf("--input-format", flags.inputFormat),
    /** What to keep of the input; `null` = everything. */
    keep: flags.columnsOnly === true || flags.keep !== undefined ? (flags.keep ?? []) : null,
  };
}

/** Methods and parameters of the command line, looked up and filled in. */
async function callsOf(flags: Flags): Promise<SettledCall[]> {
  const { findMethod } = await import("../methods/registry.ts");
  const { methodParams } = await import("../methods/assign.ts");
  const ids = [...new Set([...(flags.method ?? []), ...(flags.methods ?? [])])];
  if (ids.length === 0) {
    throw new InputError("no method was named", { hint: "--method ID; `apportion methods` lists them all" });
  }
  const methods = ids.map(findMethod);
  const fromFile = flags.params === undefined ? [] : await readParamsFile(flags.params, ids);
  const given = paramsByMethod(methods, [...fromFile, ...(flags.param ?? []).map(parseParam)]);
  return methods.map((method) => {
    const params = methodParams(method, given.get(method.id), presetFor(method, methods, flags.preset));
    return { method, params };
  });
}

/** With several methods, a preset goes to those that have it. */
function presetFor(method: Method, methods: readonly Method[], preset: string | undefined): string | undefined {
  const has = (one: Method) => preset !== undefined && one.presets !== undefined && preset in one.presets;
  return has(method) || !methods.some(has) ? preset : undefined;
}

/** The first bytes of standard input, which stay to be read. */
async function headOfStandardInput(): Promise<Buffer> {
  const { fstatSync, readSync } = await import("node:fs");
  const head = Buffer.alloc(8);
  if (fstatSync(0).isFile()) return head.subarray(0, readSync(0, head, 0, head.length, 0));
  const { stdin } = process;
  await new Promise((resolve) => stdin.once("readable", resolve).once("error", resolve));
  const first: Buffer | null = stdin.read();
  if (first !== null) stdin.unshift(first);
  return first ?? head.subarray(0, 0);
}

async function standardInputIsArrow(): Promise<boolean> {
  const head = await headOfStandardInput();
  return head.length >= 4 && (head.readUInt32LE(0) === 0xffffffff || head.toString("latin1", 0, 6) === "ARROW1");
}

/** Format of the output: as asked; Arrow for Arrow where both ends are streams; else what the name says. */
async function outputFormat(inputs: readonly string[], flags: Flags, asked: Format | undefined, from?: Format) {
  if (asked !== undefined || flags.output !== "-") return asked;
  if (from === "arrow" && inputs.includes("-")) return "arrow";
  const isStream = inputs.length === 1 && inputs[0] === "-" && from === undefined;
  return isStream && (await standardInputIsArrow()) ? "arrow" : "jsonl";
}

function rejectsOf(flags: Flags): Rejects {
  const beside = flags.output === "-" ? null : `${flags.output}.rejects.jsonl`;
  return collectRejects(flags.rejects ?? beside);
}

/** How large the inputs are on disk, and whether they can be read from the start again: not so pipes. */
async function survey(inputs: readonly string[]): Promise<{ inputBytes: number; readTwice: boolean }> {
  const { stat } = await import("node:fs/promises");
  const { resolveInputs } = await import("../formats/inputs.ts");
  const sources = await resolveInputs(inputs);
  const found = await Promise.all(sources.map(({ path }) => (path === null ? null : stat(path).catch(() => null))));
  const inputBytes = found.reduce((sum, file) => sum + (file?.size ?? 0), 0);
  return { inputBytes, readTwice: found.every((file) => file?.isFile() === true) };
}

/** The batches of the inputs with credit. */
async function credit(inputs: readonly string[], flags: Flags, calls: readonly SettledCall[], hooks: Hooks) {
  const { creditStream } = await import("../pipeline/assign-stream.ts");
  const { groupExtents } = await import("../formats/chunks.ts");
  const { readBatches } = await import("../formats/read.ts");
  const { inputFormat: format, onError, unscored, branches, threads, memory } = settingsOf(flags);
  const { signal, onReject, onProgress, warn } = hooks;
  const reading = { format, onError, signal, onProgress };
  return creditStream(
    ({ chunkBytes, pass }) =>
      readBatches(inputs, { ...reading, chunkBytes, onReject: pass === 1 ? onReject : undefined }),
    calls,
    {
      unscored,
      branches,
      threads,
      memory,
      warn,
      ...(await survey(inputs)),
      contiguous: flags.grouped,
      transient: true,
      extents: () => groupExtents(inputs, { format, signal }),
      signal,
    },
  );
}

async function run(inputs: readonly string[], flags: Flags): Promise<void> {
  const settings = settingsOf(flags);
  const calls = await callsOf(flags);
  const { onlyColumns } = await import("../pipeline/calls.ts");
  const { openSink, removeUnfinished } = await import("../formats/write.ts");
  removeUnfinishedAtExit(removeUnfinished);
  const signal = abortOnInterrupt();
  const format = await outputFormat(inputs, flags, settings.format, settings.inputFormat);
  if (format === "arrow" && flags.output === "-" && process.stdout.isTTY) {
    throw new InputError("Arrow is not for a terminal", { hint: "name a file with -o, or choose --format jsonl" });
  }
  const rejects = rejectsOf(flags);
  const notes = new Notes();
  const tally = new Tally();
  const progress = startProgress();
  const hooks = { signal, onReject: rejects.add, onProgress: progress.read, warn: notes.add };
  let sink: RolloutSink | null = null;
  try {
    sink = await openSink(flags.output, { format });
    for await (const { batch, written } of await credit(inputs, flags, calls, hooks)) {
      await sink.write(settings.keep === null ? batch : onlyColumns(batch, written, settings.keep));
      tally.add(batch, written);
    }
    signal.throwIfAborted();
    await sink.close();
    rejects.finish();
  } catch (error) {
    progress.stop();
    await sink?.abort();
    rejects.discard();
    throw await locateFault(error, inputs);
  }
  progress.stop();
  if (flags.quiet === true) return;
  await warnOfMemory(settings.memory);
  for (const line of notes.lines(tally.batches)) process.stderr.write(line);
  const ids = calls.map(({ method }) => method.id);
  const output = flags.output === "-" ? "standard output" : flags.output;
  process.stderr.write(`${tally.describe(ids, output)}${rejects.describe()}\n`);
}

async function warnOfMemory(memory: number | undefined): Promise<void> {
  const { leastMemory } = await import("../pipeline/memory.ts");
  if (memory === undefined || memory >= leastMemory) return;
  const [given, least] = [formatSize(memory), formatSize(leastMemory)];
  process.stderr.write(`apportion: warning: --memory ${given} cannot be kept: the program itself takes ${least}\n`);
}

const examples = `
Examples:
  apportion assign rollouts.jsonl --method grpo -o credited.jsonl
  apportion assign 'runs/*.parquet' --method gae --param lam=0.95 -o credited.parquet
  apportion assign rollouts.jsonl.gz --methods grpo,rloo --columns-only -o both.parquet
  cat rollouts.jsonl | apportion assign - --method tempo | head -3

Several methods: each reads the rollouts as they came, and its columns are named after it: tokens.advantage of grpo
becomes tokens.grpo_advantage. A parameter goes to every method that has it; --param grpo.eps=1e-4 names one.

Memory: methods that look at single rollouts or groups run piece by piece, so the input may be larger than memory.
Methods that take statistics over the whole input (\`apportion methods ID\` says which) read it twice where they can;
otherwise it has to fit.`;

/** Adds the `assign` command. */
export function register(program: Command): void {
  program
    .command("assign")
    .summary("credit rollouts with a method")
    .description("Reads rollouts, runs credit methods on them, and writes them with the columns of credit added.")
    .argument("<in...>", "files, folders or patterns of rollouts; - for standard input")
    .option("-m, --method <id>", "method to run (may be repeated)", collect)
    .option("--methods <ids>", "several methods: a,b,c", collectList)
    .option("-p, --param <name=value>", "parameter of the method (may be repeated)", collect)
    .option("--params <file>", "parameters from a JSON file; those of several methods under their ids")
    .option("--preset <name>", "named set of parameters, such as paper or official; --param wins over it")
    .option("-o, --output <file>", "where to write; - is standard output", "-")
    .option("--format <name>", "jsonl, parquet or arrow (default: by the name of the output, else jsonl)")
    .option("--input-format <name>", "jsonl, parquet or arrow (default: by name, else by the first bytes)")
    .option("--on-error <action>", "a rollout that does not conform: stop, or skip it", "stop")
    .option("--rejects <file>", "where skipped rollouts go with the reason (default: OUTPUT.rejects.jsonl; none for -)")
    .option("--unscored <action>", "rollouts without a reward: stop, or leave-out (advantage 0, in no pool)", "stop")
    .option("--branches <reading>", "turns that are a tree: credit every path (paths) or the last one (trunk)")
    .option("--grouped", "the rollouts of each group stand together: no need to look for more of them further down")
    .option("--columns-only", "write ids, groups and the columns of credit only")
    .option("--keep <columns>", "as --columns-only, with these columns or levels too: tokens.id,turns", collectList)
    .option("--threads <count>", "worker threads (default: as many as cores, when it pays; 1 = none)")
    .option("--memory <size>", "what the process may take, such as 512MB (default: 60% of the machine's)")
    .option("-q, --quiet", "no summary on standard error")
    .addHelpText("after", examples)
    .action(run);
}
