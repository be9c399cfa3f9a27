import type { Command } from "commander";
import type { QueryResult } from "../workspace/query.ts";
import { parseChoice, parseWhole, plural } from "./options.ts";
import { tableLines } from "./render/table.ts";
import { terminal } from "./render/terminal.ts";
import { withWorkspace, workspaceFolder } from "./workspace-option.ts";

interface Flags {
  workspace?: string;
  as: string;
  limit: string;
}

const forms = ["table", "json", "csv"] as const;

function cellText(value: unknown): string {
  if (value === null) return "";
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(6)));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function csvCell(value: unknown): string {
  const text = value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Text of an answer; a table is for people, the others are for programs. */
function answerText({ columns, rows }: QueryResult, form: (typeof forms)[number]): string {
  if (form === "json") {
    const objects = rows.map((row) => JSON.stringify(Object.fromEntries(columns.map((column, k) => [column, row[k]]))));
    return objects.map((line) => `${line}\n`).join("");
  }
  if (form === "csv") return [columns, ...rows].map((row) => `${row.map(csvCell).join(",")}\n`).join("");
  const { style, width } = terminal({});
  const isNumber = columns.map((_, k) => rows.some((row) => typeof row[k] === "number"));
  const titles = columns.map((title, k) => ({
    title,
    align: isNumber[k] ? ("right" as const) : ("left" as const),
    shrinkTo: 8,
  }));
  const cells = rows.map((row) => row.map(cellText));
  return `\n${tableLines(titles, cells, { style, width }).join("\n")}\n\n`;
}

async function run(sql: string, flags: Flags): Promise<void> {
  const form = parseChoice("--as", flags.as, forms);
  const limit = parseWhole("--limit", flags.limit, 1, 100_000_000);
  const { Workspace } = await import("../workspace/workspace.ts");
  const { query } = await import("../workspace/query.ts");
  const result = await query(await Workspace.existing(workspaceFolder(flags.workspace)), sql, limit);
  process.stdout.write(answerText(result, form));
  if (result.more) process.stderr.write(`only the first ${plural(limit, "row")}; a larger --limit shows more\n`);
}

const help = `
Tables:
  runs       a row per run: name, created, source, rollouts, tokens, bytes
  rollouts   a row per rollout: run, id, "group", reward, advantage, "tokens.advantage" (a list), messages, …
  turns, steps, tokens, reference, edges
             a row per row of the level: run, rollout, "group", index (from 0), and its columns, as reward, advantage

Examples:
  apportion query "select run, count(*), avg(reward) from rollouts group by run"
  apportion query "select index, avg(advantage) from turns group by index order by index" --as csv
  apportion query "select rollout, text, advantage from tokens order by abs(advantage) desc limit 20"`;

/** Adds the `query` command. */
export function register(program: Command): void {
  withWorkspace(
    program
      .command("query")
      .summary("ask the runs of the workspace in SQL")
      .description("Answers SQL (as DuckDB speaks it) over the rollouts and the credit of all runs.")
      .argument("<sql>", "the question")
      .option("--as <form>", "table, json (a line per row) or csv", "table")
      .option("--limit <rows>", "most rows to print", "1000")
      .addHelpText("after", help),
  ).action(run);
}
