import type { Command } from "commander";
import { locateFault } from "./locate.ts";
import { formatCount, formatSize, plural } from "./options.ts";
import { startProgress } from "./progress.ts";
import { tableLines } from "./render/table.ts";
import { terminal } from "./render/terminal.ts";
import { abortOnInterrupt, removeUnfinishedAtExit } from "./signals.ts";
import { withWorkspace, workspaceFolder } from "./workspace-option.ts";

interface Flags {
  workspace?: string;
  json?: boolean;
  source?: string;
  quiet?: boolean;
}

async function list({ workspace, json }: Flags): Promise<void> {
  const { Workspace } = await import("../workspace/workspace.ts");
  const folder = workspaceFolder(workspace);
  const runs = await (await Workspace.existing(folder)).list();
  if (json === true) {
    process.stdout.write(runs.map((run) => `${JSON.stringify(run)}\n`).join(""));
    return;
  }
  if (runs.length === 0) {
    process.stdout.write(`\n No runs in ${folder} yet: apportion runs add NAME FILE\n\n`);
    return;
  }
  const { style, width } = terminal({});
  const table = tableLines(
    [
      { title: "run" },
      { title: "made" },
      { title: "rollouts", align: "right" },
      { title: "tokens", align: "right" },
      { title: "size", align: "right" },
      { title: "from", shrinkTo: 12 },
    ],
    runs.map((run) => [
      run.name,
      run.created.slice(0, 16).replace("T", " "),
      formatCount(run.rollouts),
      formatCount(run.tokens),
      formatSize(run.bytes),
      run.source,
    ]),
    { style, width },
  );
  process.stdout.write(`\n${table.join("\n")}\n\n`);
}

async function add(name: string, inputs: readonly string[], flags: Flags): Promise<void> {
  const { Workspace } = await import("../workspace/workspace.ts");
  const { readBatches } = await import("../formats/read.ts");
  const { removeUnfinished } = await import("../formats/write.ts");
  removeUnfinishedAtExit(removeUnfinished);
  const signal = abortOnInterrupt();
  const progress = startProgress();
  try {
    const folder = workspaceFolder(flags.workspace);
    const workspace = await Workspace.open(folder);
    const source = flags.source ?? inputs.join(", ");
    const batches = readBatches(inputs, { signal, onProgress: progress.read });
    const { rollouts } = await workspace.add(name, batches, { source });
    progress.stop();
    if (flags.quiet !== true)
      process.stderr.write(`added ${plural(rollouts, "rollout")} as run ${name} to ${folder}\n`);
  } catch (error) {
    progress.stop();
    throw await locateFault(error, inputs);
  }
}

async function remove(names: readonly string[], flags: Flags): Promise<void> {
  const { Workspace } = await import("../workspace/workspace.ts");
  const workspace = await Workspace.existing(workspaceFolder(flags.workspace));
  for (const name of names) await workspace.manifest(name); // all of them are there before any goes
  for (const name of names) await workspace.remove(name);
  if (flags.quiet !== true) process.stderr.write(`removed ${plural(names.length, "run")}\n`);
}

const examples = `
Examples:
  apportion runs add tau-42 credited.parquet
  apportion runs
  apportion query "select run, avg(reward) from rollouts group by run"
  apportion runs rm tau-42`;

/** Adds the `runs` command. */
export function register(program: Command): void {
  const runs = withWorkspace(
    program
      .command("runs")
      .summary("keep rollouts and their credit as runs on disk")
      .description("Lists the runs of the workspace; adds and removes them.")
      .option("--json", "one line of JSON per run")
      .addHelpText("after", examples),
  );
  runs.action(list);
  withWorkspace(
    runs
      .command("add <name> <in...>")
      .description("Adds rollouts, credited or not, as a new run: all of them or, on any fault, none.")
      .option("--source <text>", "where they come from (default: the names of the files)")
      .option("-q, --quiet", "no summary on standard error"),
  ).action((name: string, inputs: string[], _flags: Flags, command: Command) =>
    add(name, inputs, command.optsWithGlobals()),
  );
  withWorkspace(
    runs
      .command("rm <name...>")
      .description("Removes runs and their files.")
      .option("-q, --quiet", "no summary on standard error"),
  ).action((names: string[], _flags: Flags, command: Command) => remove(names, command.optsWithGlobals()));
}
