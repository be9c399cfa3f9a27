import type { Command } from "commander";
import type { Format, RolloutSink } from "../formats/types.ts";
import { InputError } from "../rollouts/errors.ts";
import { parseChoice, plural } from "./options.ts";
import { startProgress } from "./progress.ts";
import { collectRejects } from "./rejects.ts";
import { abortOnInterrupt, removeUnfinishedAtExit } from "./signals.ts";

interface Flags {
  output: string;
  format?: string;
  onError: string;
  rejects?: string;
  group?: string;
  reward?: string;
  words?: boolean;
  list?: boolean;
  quiet?: boolean;
}

const formats: readonly Format[] = ["jsonl", "parquet", "arrow"];

async function list(): Promise<void> {
  const { importers } = await import("../formats/import/index.ts");
  for (const { id, title, looksFor } of importers.values()) {
    process.stdout.write(`${id}\n    ${title}\n    takes ${looksFor}\n`);
  }
}

/** Files that a folder holds besides logs, for the closing lines: some by name, the rest as a number. */
function passedOver(files: readonly string[]): string {
  if (files.length === 0) return "";
  const shown = files.slice(0, 3).join("; ");
  const more = files.length > 3 ? `; and ${files.length - 3} more` : "";
  return `passed over ${plural(files.length, "file")}: ${shown}${more}\n`;
}

async function run(importer: string | undefined, inputs: readonly string[], flags: Flags): Promise<void> {
  if (flags.list === true) return list();
  if (importer === undefined || inputs.length === 0) {
    throw new InputError("nothing to import", {
      expected: "an importer (or auto) and files: apportion import auto logs/ -o rollouts.jsonl",
      hint: "`apportion import --list` names the importers",
    });
  }
  const onError = parseChoice("--on-error", flags.onError, ["stop", "skip"]);
  const format = flags.format === undefined ? undefined : parseChoice("--format", flags.format, formats);
  const { importFiles } = await import("../formats/import/index.ts");
  const { openSink, removeUnfinished } = await import("../formats/write.ts");
  removeUnfinishedAtExit(removeUnfinished);
  const signal = abortOnInterrupt();
  const rejects = collectRejects(flags.rejects ?? (flags.output === "-" ? null : `${flags.output}.rejects.jsonl`));
  const progress = startProgress();
  const skipped: string[] = [];
  const count = { rollouts: 0, groups: 0, turns: 0 };
  let sink: RolloutSink | null = null;
  try {
    const { group, reward, words } = flags;
    const onSkip = (file: string, reason: string) => skipped.push(`${file} (${reason})`);
    const onProgress = progress.read;
    const options = { group, reward, words, onError, onReject: rejects.add, onSkip, onProgress, signal };
    sink = await openSink(flags.output, { format });
    for await (const batch of importFiles(inputs, importer, options)) {
      await sink.write(batch);
      count.rollouts += batch.size;
      count.groups += batch.groupCount;
      count.turns += batch.count("turn");
    }
    signal.throwIfAborted();
    await sink.close();
    rejects.finish();
  } catch (error) {
    await sink?.abort();
    rejects.discard();
    throw error;
  } finally {
    progress.stop();
  }
  if (flags.quiet === true) return;
  const what = [plural(count.rollouts, "rollout"), plural(count.groups, "group"), plural(count.turns, "turn")];
  const output = flags.output === "-" ? "standard output" : flags.output;
  process.stderr.write(`${passedOver(skipped)}imported ${what.join(", ")} to ${output}${rejects.describe()}\n`);
}

const examples = `
Examples:
  apportion import --list
  apportion import auto logs/ -o rollouts.jsonl
  apportion import tau-bench results.json -o rollouts.parquet
  apportion import openai chats.jsonl --group prompt --reward score --words -o rollouts.jsonl`;

/** Adds the `import` command. */
export function register(program: Command): void {
  program
    .command("import")
    .summary("turn logs of other tools into rollouts")
    .description("Reads chat logs, benchmark results and other tools' dumps, and writes them as rollouts.")
    .argument("[importer]", "name of an importer, or auto to tell the kind from the content")
    .argument("[in...]", "files, folders or patterns")
    .option("--list", "name the importers and what they take")
    .option("-o, --output <file>", "where to write; - is standard output", "-")
    .option("--format <name>", "jsonl, parquet or arrow (default: by the name of the output, else jsonl)")
    .option("--group <field>", "field that names the group of a record; prompt groups equal prompts")
    .option("--reward <field>", "field that holds the reward of a record")
    .option("--words", "cut text without token ids into words, for methods on tokens")
    .option("--on-error <action>", "a record that cannot be read: stop, or skip it", "stop")
    .option("--rejects <file>", "where skipped records go with the reason (default: OUTPUT.rejects.jsonl; none for -)")
    .option("-q, --quiet", "no summary on standard error")
    .addHelpText("after", examples)
    .action(run);
}
