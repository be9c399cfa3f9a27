import { Command } from "commander";
import { register as registerAdvise } from "./advise.ts";
import { register as registerAssign } from "./assign.ts";
import { register as registerBench } from "./bench.ts";
import { register as registerCertify } from "./certify.ts";
import { register as registerCheck } from "./check.ts";
import { register as registerCompare } from "./compare.ts";
import { register as registerDemo } from "./demo.ts";
import { endingOf, isBrokenPipe } from "./errors.ts";
import { register as registerExport } from "./export.ts";
import { register as registerImport } from "./import.ts";
import { register as registerInspect } from "./inspect.ts";
import { register as registerMethods } from "./methods.ts";
import { register as registerQuery } from "./query.ts";
import { register as registerReproduce } from "./reproduce.ts";
import { register as registerRuns } from "./runs.ts";
import { register as registerServe } from "./serve.ts";
import { interruptCode } from "./signals.ts";
import { register as registerStarc } from "./starc.ts";
import { register as registerTrace } from "./trace.ts";
import { register as registerTrain } from "./train.ts";
import { register as registerVectors } from "./vectors.ts";

const examples = `
Examples:
  apportion demo                                       see it work, no files needed
  apportion methods --for rollouts.jsonl               which methods this file can feed
  apportion assign rollouts.jsonl --method grpo -o credited.parquet
  apportion inspect credited.parquet                   groups, then one rollout with its credit
  apportion compare rollouts.jsonl --methods grpo,rloo,gigpo

Exit status: 0 done, 1 a fault in apportion (check: something is missing), 2 bad input, 130 interrupted.
\`apportion COMMAND --help\` explains a command.`;

/** The command line. Each command loads what it needs when it runs, so that starting costs little. */
function commandLine(version: string): Command {
  const program = new Command("apportion")
    .description("Says which token, step, turn or agent earned the reward.")
    .version(version, "-V, --version", "print the version")
    .option("--debug", "print the stack trace of an error")
    .helpOption("-h, --help", "explain the command")
    .helpCommand("help [command]", "explain a command")
    .addHelpText("after", examples)
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  const commands = [
    registerDemo,
    registerAssign,
    registerCompare,
    registerInspect,
    registerMethods,
    registerAdvise,
    registerImport,
    registerExport,
    registerRuns,
    registerQuery,
    registerServe,
    registerTrace,
    registerTrain,
    registerReproduce,
    registerStarc,
    registerBench,
    registerCheck,
    registerCertify,
    registerVectors,
  ];
  for (const register of commands) register(program);
  return program;
}

/** Says why a run ended, on standard error, and ends the process. */
async function end(error: unknown, debug: boolean, name?: string): Promise<never> {
  const interrupted = interruptCode();
  const ending = interrupted === null ? await endingOf(error, name) : { code: interrupted, message: "interrupted" };
  const { code, message } = ending;
  if (message !== null) process.stderr.write(`apportion: ${message}\n`);
  if (message !== null && debug && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exit(code);
}

/** Runs a command line: the arguments behind the name of the program. */
export async function main(argv: readonly string[], version: string): Promise<void> {
  const debug = argv.includes("--debug");
  process.on("uncaughtException", (error) => void end(error, debug));
  // A reader of our output that went away (`apportion … | head`) has seen enough.
  process.stdout.on("error", (error) => (isBrokenPipe(error) ? process.exit(0) : end(error, debug, "standard output")));
  process.stderr.on("error", () => process.exit(1));
  try {
    const program = commandLine(version);
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    await end(error, debug);
  }
}
