import type { Command } from "commander";
import { InputError } from "../rollouts/errors.ts";
import { locateFault } from "./locate.ts";
import { collect, formatCount, plural } from "./options.ts";
import { parseParam, readValue } from "./params.ts";
import { startProgress } from "./progress.ts";
import { abortOnInterrupt, removeUnfinishedAtExit } from "./signals.ts";

interface Flags {
  output?: string;
  param?: string[];
  list?: boolean;
  quiet?: boolean;
}

async function list(): Promise<void> {
  const { exporters } = await import("../formats/export/index.ts");
  for (const { id, trainer, describe, format, params } of exporters.values()) {
    process.stdout.write(`${id} (${format})\n    ${describe}\n    For ${trainer}.\n`);
    for (const [name, schema] of Object.entries(params.shape)) {
      process.stdout.write(`    --param ${name}: ${schema.meta()?.description ?? ""}\n`);
    }
  }
}

async function run(kind: string | undefined, inputs: readonly string[], flags: Flags): Promise<void> {
  if (flags.list === true) return list();
  if (kind === undefined || inputs.length === 0 || flags.output === undefined) {
    throw new InputError("nothing to export", {
      expected: "a kind, files and an output: apportion export verl credited.parquet -o train.parquet",
      hint: "`apportion export --list` names the kinds",
    });
  }
  const { exportBatches, findExporter } = await import("../formats/export/index.ts");
  const { wholeGroups } = await import("../formats/chunks.ts");
  const { readBatches } = await import("../formats/read.ts");
  const { removeUnfinished } = await import("../formats/write.ts");
  removeUnfinishedAtExit(removeUnfinished);
  const { shape } = findExporter(kind).params;
  const given = (flags.param ?? []).map(parseParam);
  const params = Object.fromEntries(given.map(({ name, value }) => [name, readValue(shape[name], value as string)]));
  const signal = abortOnInterrupt();
  const progress = startProgress();
  try {
    const batches = wholeGroups(readBatches(inputs, { signal, onProgress: progress.read }));
    const report = await exportBatches(batches, kind, flags.output, { params, signal });
    progress.stop();
    if (flags.quiet === true) return;
    const output = flags.output === "-" ? "standard output" : flags.output;
    const { rollouts, exported, rows, leftOut } = report;
    process.stderr.write(
      `${kind}: ${plural(rows, "row")} from ${formatCount(exported)} of ${plural(rollouts, "rollout")} to ${output}\n`,
    );
    for (const { reason, count, ids } of leftOut) {
      const more = count > ids.length ? ", …" : "";
      process.stderr.write(`left out ${plural(count, "rollout")}: ${reason} (${ids.join(", ")}${more})\n`);
    }
  } catch (error) {
    progress.stop();
    throw await locateFault(error, inputs);
  }
}

const examples = `
Examples:
  apportion export --list
  apportion export verl credited.parquet -o train.parquet
  apportion export preference credited.jsonl --param column=rollout.reward -o pairs.jsonl`;

/** Adds the `export` command. */
export function register(program: Command): void {
  program
    .command("export")
    .summary("write credited rollouts in the form that a trainer reads")
    .description(
      "Writes credited rollouts as training data: with advantages per token, as pairs, or weighted examples.",
    )
    .argument("[kind]", "what to write; --list names the kinds")
    .argument("[in...]", "files, folders or patterns of credited rollouts; - for standard input")
    .option("--list", "name the kinds and their parameters")
    .option("-o, --output <file>", "where to write; - is standard output")
    .option("-p, --param <name=value>", "parameter of the kind (may be repeated)", collect)
    .option("-q, --quiet", "no summary on standard error")
    .addHelpText("after", examples)
    .action(run);
}
