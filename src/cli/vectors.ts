import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { CaseResult, VectorCase, VectorFile } from "../conformance/run.ts";
import { describe, InputError } from "../rollouts/errors.ts";
import { plural } from "./options.ts";

interface Loaded {
  /** The path as given. */
  name: string;
  content: VectorFile;
}

/** Folder of the vector files that come with the package. */
const bundled = fileURLToPath(new URL("../../conformance/", import.meta.url));

async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => name.endsWith(".json")).sort();
  if (names.length === 0) throw new InputError("no vector files in this folder", { file: path });
  return names.map((name) => join(path, name));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function fault(file: string, where: string, expected: string, got: unknown): InputError {
  const place = where === "" ? "not a vector file" : `not a vector file: wrong ${where}`;
  return new InputError(place, { file, expected, got: describe(got) });
}

function checkCase(file: string, value: unknown, index: number): VectorCase {
  const where = `cases[${index}]`;
  if (!isObject(value)) throw fault(file, where, "an object", value);
  const { kind, name, params, rollouts, expect } = value;
  if (kind !== "credit" && kind !== "function") throw fault(file, `${where}.kind`, '"credit" or "function"', kind);
  if (typeof name !== "string") throw fault(file, `${where}.name`, "a string", name);
  if (params !== undefined && !isObject(params)) throw fault(file, `${where}.params`, "an object", params);
  if (!isObject(expect)) throw fault(file, `${where}.expect`, "an object", expect);
  if (kind === "credit" && !Array.isArray(rollouts)) throw fault(file, `${where}.rollouts`, "a list", rollouts);
  if (kind === "function" && typeof value.function !== "string")
    throw fault(file, `${where}.function`, "a string", value.function);
  const { tolerance, columns, error } = expect;
  if (tolerance !== undefined && typeof tolerance !== "number")
    throw fault(file, `${where}.expect.tolerance`, "a number", tolerance);
  if (error !== undefined && typeof error !== "boolean")
    throw fault(file, `${where}.expect.error`, "true or false", error);
  if (error !== true) {
    if (kind === "credit" && !isObject(columns)) throw fault(file, `${where}.expect.columns`, "an object", columns);
    if (kind === "function" && !("value" in expect)) throw fault(file, `${where}.expect.value`, "a value", undefined);
  }
  return value as unknown as VectorCase;
}

async function load(name: string): Promise<Loaded> {
  let parsed: unknown;
  const text = await readFile(name, "utf8");
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new InputError("not a vector file", { file: name, expected: "JSON", got: (error as Error).message });
  }
  if (!isObject(parsed)) throw fault(name, "", "an object with id and cases", parsed);
  if (typeof parsed.id !== "string") throw fault(name, "id", "a string", parsed.id);
  if (!Array.isArray(parsed.cases)) throw fault(name, "cases", "a list", parsed.cases);
  const cases = parsed.cases.map((test, index) => checkCase(name, test, index));
  return { name, content: { id: parsed.id, cases } };
}

function jsonLine(file: string, result: CaseResult): string {
  const { case: name, kind, ok, max_abs_diff, tolerance, actual } = result;
  return `${JSON.stringify({ file, case: name, kind, ok, max_abs_diff, tolerance, actual })}\n`;
}

async function run(paths: readonly string[], options: { json?: boolean }): Promise<void> {
  const { runCase } = await import("../conformance/run.ts");
  const { findMethod, methods } = await import("../methods/registry.ts");
  const names = (await Promise.all((paths.length > 0 ? paths : [bundled]).map(filesOf))).flat();
  const files = await Promise.all(names.map(load));
  const total = { passed: 0, failed: 0, failedFiles: 0 };
  for (const { name, content } of files) {
    let failed = 0;
    for (const test of content.cases) {
      const result = methods.has(content.id) ? await runCase(content.id, test) : unknown(content.id, test, findMethod);
      if (!result.ok) failed++;
      if (options.json === true) process.stdout.write(jsonLine(name, result));
      else if (!result.ok) process.stdout.write(`${name}: ${test.name}: ${result.difference ?? "differs"}\n`);
    }
    total.failed += failed;
    total.passed += content.cases.length - failed;
    if (failed > 0) total.failedFiles++;
    if (options.json === true) continue;
    const passed = content.cases.length - failed;
    process.stdout.write(`${failed === 0 ? "ok    " : "FAILED"} ${name}: ${passed} passed, ${failed} failed\n`);
  }
  if (options.json !== true) {
    const where = total.failedFiles > 0 ? ` (in ${plural(total.failedFiles, "file")})` : "";
    process.stdout.write(`${plural(files.length, "file")}: ${total.passed} passed, ${total.failed} failed${where}\n`);
  }
  if (total.failed > 0) process.exitCode = 1;
}

/** A case of a method that is not in the catalogue: it fails even where a refusal is expected. */
function unknown(id: string, test: VectorCase, find: (id: string) => unknown): CaseResult {
  let message = "";
  try {
    find(id);
  } catch (error) {
    message = (error as Error).message;
  }
  const { kind, expect } = test;
  const tolerance = expect.tolerance ?? null;
  return { case: test.name, kind, ok: false, max_abs_diff: null, tolerance, actual: message, difference: message };
}

const examples = `
Examples:
  apportion vectors                     check every method against the vectors that come with the package
  apportion vectors my-vectors/gae.json
  apportion vectors --json conformance  one line of JSON per case

Exit status: 0 when all cases pass, 1 when one fails, 2 when a file is not a vector file.`;

/** Adds the `vectors` command. */
export function register(program: Command): void {
  program
    .command("vectors")
    .summary("run conformance files through the methods")
    .description("Runs conformance (vector) files through the public functions and says what differs.")
    .argument("[files...]", "vector files or folders of them (default: those of the package)")
    .option("--json", "one line of JSON per case: file, case, kind, ok, max_abs_diff, tolerance, actual")
    .addHelpText("after", examples)
    .action(run);
}
