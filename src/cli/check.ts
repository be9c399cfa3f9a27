import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import type { ChecklistItem } from "../methods/survey/checklist.ts";
import { describe, InputError } from "../rollouts/errors.ts";

interface Flags {
  new?: boolean;
  width?: string;
  json?: boolean;
  color?: boolean;
}

/** A report to fill in: every item with what belongs there, why, and an example. */
function template(items: readonly ChecklistItem[]): string {
  const entries = items.map(({ id, what, why, example }) => `# ${what}\n# why: ${why}\n# e.g. ${example}\n${id}:\n`);
  const head = [
    "# Report of a credit-assignment study. Fill in, then: apportion check REPORT.yaml",
    "# The items are those of the checklist of arXiv 2604.09459, as far as they could be put together.",
  ];
  return `${head.join("\n")}\n\n${entries.join("\n")}`;
}

/** The report in a file: a mapping from items to what is said about them. */
async function reportOf(file: string): Promise<Record<string, unknown>> {
  const { LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  const document = parseDocument(await (file === "-" ? text(process.stdin) : readFile(file, "utf8")), {
    lineCounter: lines,
    prettyErrors: false,
  });
  const [fault] = document.errors;
  if (fault !== undefined) {
    const { line } = lines.linePos(fault.pos[0]);
    throw new InputError("not YAML", { file, line, got: fault.message });
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new InputError("not YAML", { file, got: error instanceof Error ? error.message : String(error) });
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InputError("not a report", {
    file,
    expected: "a mapping such as `seeds: [1, 2, 3]`",
    got: describe(value),
    hint: "apportion check --new > report.yaml makes one to fill in",
  });
}

async function run(file: string | undefined, flags: Flags): Promise<void> {
  const { checklist, missingItems } = await import("../methods/survey/checklist.ts");
  if (flags.new === true) {
    if (file !== undefined)
      throw new InputError("--new takes no file", { hint: "apportion check --new > report.yaml" });
    process.stdout.write(template(checklist));
    return;
  }
  if (file === undefined) {
    throw new InputError("no report", { hint: "apportion check REPORT.yaml, or apportion check --new for a template" });
  }
  const report = await reportOf(file);
  const missing = missingItems(report);
  const { closest } = await import("../methods/closest.ts");
  const names = checklist.map(({ id }) => id);
  const unknown = Object.keys(report).flatMap((key) => {
    if (names.includes(key)) return [];
    return [
      {
        key,
        near: closest(
          key,
          missing.map(({ id }) => id),
        ),
      },
    ];
  });
  const present = checklist.length - missing.length;
  if (missing.length > 0) process.exitCode = 1;
  if (flags.json === true) {
    const findings = missing.map(({ id, what, why }) => ({ item: id, missing: what, why }));
    const score = present / checklist.length;
    const others = unknown.map(({ key }) => key);
    process.stdout.write(
      `${JSON.stringify({ file, score, present, items: checklist.length, findings, unknown: others })}\n`,
    );
    return;
  }
  const { checkLines } = await import("./render/check.ts");
  const { terminal } = await import("./render/terminal.ts");
  const found = { file, items: checklist.length, missing, unknown };
  process.stdout.write(`\n${checkLines(found, terminal(flags)).join("\n")}\n\n`);
}

const examples = `
Examples:
  apportion check --new > report.yaml      a report to fill in, with what belongs in each entry and why
  apportion check report.yaml              what is missing, and what a reader cannot judge without it
  apportion check report.yaml --json

An entry that is empty, null or false is missing. Exit status: 0 when nothing is missing, 1 when something is, 2 when the
file is not a report. The checklist follows the survey arXiv 2604.09459.`;

/** Adds the `check` command. */
export function register(program: Command): void {
  program
    .command("check")
    .summary("what the report of a study lacks")
    .description(
      "Holds the report of a credit-assignment study to a checklist: seeds, baselines, compute, and the like.",
    )
    .argument("[report]", "YAML (or JSON) file, - for standard input")
    .option("--new", "print a report to fill in")
    .option("--width <columns>", "width of the output (default: of the terminal)")
    .option("--json", "print JSON")
    .option("--no-color", "no colours")
    .addHelpText("after", examples)
    .action(run);
}
