import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { VectorFile } from "../conformance/run.ts";
import type { Method } from "../methods/method.ts";
import { InputError } from "../rollouts/errors.ts";
import { startProgress } from "./progress.ts";

interface Flags {
  level?: string;
  methodology?: string;
  year?: string;
  scope?: string;
  writes?: string;
  search?: string;
  for?: string;
  example?: boolean;
  width?: string;
  json?: boolean;
  color: boolean;
}

/** A first case of a method's vector file: rollouts that it can be run on, and the parameters they were made for. */
interface Example {
  rollouts: readonly unknown[];
  params: Readonly<Record<string, unknown>>;
}

/** The first credit case of the vector file that comes with the package; `null` when there is none. */
async function exampleOf(method: Method): Promise<Example | null> {
  if (method.assign === undefined) return null;
  let text: string;
  try {
    text = await readFile(new URL(`../../conformance/${method.id}.json`, import.meta.url), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  const { cases } = JSON.parse(text) as VectorFile;
  const first = cases.find(({ kind, expect }) => kind === "credit" && expect.error !== true);
  return first?.rollouts === undefined ? null : { rollouts: first.rollouts, params: first.params ?? {} };
}

/** A value as a shell takes it. */
function shellWord(text: string): string {
  return /^[\w.,:/=+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function commandsOf(method: Method, example: Example | null): string[] {
  if (example === null) return [];
  const given = Object.entries(example.params).map(([name, value]) => {
    return ` --param ${shellWord(`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)}`;
  });
  return [
    `apportion methods ${method.id} --example > example.jsonl`,
    `apportion assign example.jsonl --method ${method.id}${given.join("")} -o -`,
  ];
}

function methodJson(method: Method, schemas: Record<string, unknown>, scope: string | null) {
  const { id, title, summary, facts, equations, presets = {}, reads, writes, functions = {} } = method;
  const { unscored = false, branches = false } = method;
  const names = Object.keys(functions);
  return {
    id,
    title,
    summary,
    facts,
    equations,
    reads,
    writes,
    scope,
    unscored,
    branches,
    params: schemas,
    presets,
    functions: names,
  };
}

function isWanted(method: Method, flags: Flags, scope: string | null): boolean {
  const { facts, id, title, summary, writes } = method;
  const text = [id, title, summary, facts.paper.title, facts.headline, facts.methodology.join(" ")]
    .join(" ")
    .toLowerCase();
  const words = (flags.search ?? "").toLowerCase().split(/\s+/);
  return (
    (flags.level === undefined || facts.granularity === flags.level) &&
    (flags.methodology === undefined || facts.methodology.some((one) => one === flags.methodology)) &&
    (flags.year === undefined || facts.paper.date.startsWith(flags.year)) &&
    (flags.scope === undefined || scope === flags.scope) &&
    (flags.writes === undefined ||
      writes.some((path) => path === flags.writes || path.startsWith(`${flags.writes}.`))) &&
    words.every((word) => text.includes(word))
  );
}

/** Filters must name something that the catalogue knows. */
function checkFilters(all: readonly Method[], flags: Flags): void {
  const known = {
    level: new Set<string>(all.map((method) => method.facts.granularity)),
    methodology: new Set<string>(all.flatMap((method) => method.facts.methodology)),
    scope: new Set(["rollout", "group", "batch"]),
  };
  for (const [name, values] of Object.entries(known)) {
    const given = flags[name as keyof typeof known];
    if (given === undefined || values.has(given)) continue;
    throw new InputError(`--${name} is not valid`, { expected: `one of ${[...values].sort().join(", ")}`, got: given });
  }
}

async function showOne(id: string, flags: Flags): Promise<void> {
  const { findMethod } = await import("../methods/registry.ts");
  const { methodPage, paramSchemas } = await import("./render/method-page.ts");
  const { scopeOf } = await import("./render/catalogue.ts");
  const { terminal } = await import("./render/terminal.ts");
  const method = findMethod(id);
  const example = await exampleOf(method);
  if (flags.example === true) {
    if (example === null) throw new InputError("this method has no example", { method: id });
    process.stdout.write(example.rollouts.map((rollout) => `${JSON.stringify(rollout)}\n`).join(""));
  } else if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(methodJson(method, paramSchemas(method), scopeOf(method)))}\n`);
  } else process.stdout.write(`\n${methodPage(method, commandsOf(method, example), terminal(flags)).join("\n")}\n\n`);
}

async function showFeed(methods: readonly Method[], file: string, flags: Flags): Promise<void> {
  const { FeedCollector } = await import("../analysis/feed.ts");
  const { feedLines } = await import("./render/catalogue.ts");
  const { terminal } = await import("./render/terminal.ts");
  const { readBatches } = await import("../formats/read.ts");
  const view = terminal(flags);
  const collector = new FeedCollector(methods);
  const progress = startProgress();
  try {
    for await (const batch of readBatches(file, { onProgress: progress.read })) collector.add(batch);
  } finally {
    progress.stop();
  }
  const feed = collector.finish();
  if (flags.json === true) {
    const feeds = feed.feeds.map(({ method, ...rest }) => ({ id: method.id, runs: rest.params !== null, ...rest }));
    process.stdout.write(`${JSON.stringify({ ...feed, feeds })}\n`);
  } else process.stdout.write(`\n${feedLines(feed, view).join("\n")}\n\n`);
}

async function run(id: string | undefined, flags: Flags): Promise<void> {
  if (id !== undefined) return showOne(id, flags);
  if (flags.example === true)
    throw new InputError("--example needs a method", { hint: "apportion methods ID --example" });
  const { methods } = await import("../methods/registry.ts");
  const { catalogueLines, scopeOf } = await import("./render/catalogue.ts");
  const all = [...methods.values()];
  checkFilters(all, flags);
  const wanted = all.filter((method) => isWanted(method, flags, scopeOf(method)));
  if (flags.for !== undefined) return showFeed(wanted, flags.for, flags);
  if (flags.json === true) {
    const { paramSchemas } = await import("./render/method-page.ts");
    const list = wanted.map((method) => methodJson(method, paramSchemas(method), scopeOf(method)));
    process.stdout.write(`${JSON.stringify(list)}\n`);
    return;
  }
  const { terminal } = await import("./render/terminal.ts");
  process.stdout.write(`\n${catalogueLines(wanted, all.length, terminal(flags)).join("\n")}\n\n`);
}

const examples = `
Examples:
  apportion methods                             all of them
  apportion methods --level turn --year 2026
  apportion methods --search "tool calls"
  apportion methods --for rollouts.jsonl        which of them this file can feed, and what the others miss
  apportion methods gigpo                       one method: equations, columns, parameters, an example
  apportion methods gigpo --example > example.jsonl`;

/** Adds the `methods` command. */
export function register(program: Command): void {
  program
    .command("methods")
    .summary("the catalogue of methods, or one of them")
    .description("Lists the methods, or explains one: equations, columns, parameters and an example that runs.")
    .argument("[id]", "a method")
    .option("--level <level>", "only methods with credit per token, step, turn, …")
    .option("--methodology <kind>", "only methods of this kind, such as tree or verifier")
    .option("--year <year>", "only methods first published in this year (or month, 2026-01)")
    .option("--scope <scope>", "only methods that need this much in one call: rollout, group or batch")
    .option("--writes <column>", "only methods that write this column, or any column of this level (turns)")
    .option("--search <text>", "only methods whose name, summary or paper holds these words")
    .option("--for <file>", "which methods can run on this file")
    .option("--example", "print rollouts to try the method on, as JSONL")
    .option("--width <columns>", "width of the output (default: of the terminal)")
    .option("--json", "print JSON")
    .option("--no-color", "no colours")
    .addHelpText("after", examples)
    .action(run);
}
