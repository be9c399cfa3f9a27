import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { VectorFile } from "../../src/conformance/run.ts";
import { root } from "./dist.ts";
import { apportion, folderWith } from "./run-cli.ts";

const own = (name: string) => readFileSync(join(root, "conformance", name), "utf8");
const gae = JSON.parse(own("gae.json")) as VectorFile;

/** The vectors of gae with the expectation of the first case moved. */
function moved(): string {
  const copy = structuredClone(gae) as unknown as { cases: { expect: { columns: Record<string, number[][]> } }[] };
  copy.cases[0].expect.columns["tokens.advantage"][0][0] += 0.125;
  return JSON.stringify(copy);
}

test("one line per file, exit code 0 when all pass", () => {
  const folder = folderWith({ "gae.json": own("gae.json"), "grpo.json": own("grpo.json") }, onTestFinished);
  const { code, stdout } = apportion(["vectors", "gae.json", "grpo.json"], { cwd: folder.path });
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^ok +gae\.json: \d+ passed, 0 failed\nok +grpo\.json: \d+ passed, 0 failed\n2 files: \d+ passed, 0 failed\n$/,
  );
});

test("a difference is named, and the exit code is 1", () => {
  const folder = folderWith({ "gae.json": moved() }, onTestFinished);
  const { code, stdout } = apportion(["vectors", "."], { cwd: folder.path });
  expect(code).toBe(1);
  expect(stdout).toMatch(
    new RegExp(`gae.json: ${gae.cases[0].name.slice(0, 12)}.*tokens.advantage\\[0\\]\\[0\\]: expected .*, got`),
  );
  expect(stdout).toContain(`FAILED gae.json: ${gae.cases.length - 1} passed, 1 failed`);
});

test("--json gives exactly one line per case", () => {
  const folder = folderWith({ "gae.json": moved() }, onTestFinished);
  const { code, stdout } = apportion(["vectors", "--json", "gae.json"], { cwd: folder.path });
  expect(code).toBe(1);
  const results = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  expect(results.map((result) => result.case)).toEqual(gae.cases.map(({ name }) => name));
  for (const result of results) {
    expect(Object.keys(result)).toEqual(["file", "case", "kind", "ok", "max_abs_diff", "tolerance", "actual"]);
    expect(result.file).toBe("gae.json");
  }
  expect(results.map(({ ok }) => ok)).toEqual(gae.cases.map((_, k) => k > 0));
  expect(results[0].max_abs_diff).toBeCloseTo(0.125, 6);
  expect(results[0].actual["tokens.advantage"]).toEqual(expect.any(Array));
  expect(results[0].tolerance).toBe(gae.cases[0].expect.tolerance);
});

test("a refusal that is expected passes and tells its message; one that is not fails", () => {
  const rollouts = [{ id: "a", reward: 1, tokens: { logprob: [0] } }];
  const cases = [true, undefined].map((error) => ({
    kind: "credit",
    name: `error ${error}`,
    rollouts,
    expect: { error, columns: { "tokens.advantage": [[0]] } },
  }));
  const folder = folderWith({ "v.json": JSON.stringify({ id: "gae", cases }) }, onTestFinished);
  const { code, stdout } = apportion(["vectors", "--json", "v.json"], { cwd: folder.path });
  expect(code).toBe(1);
  const results = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  expect(results.map(({ ok }) => ok)).toEqual([true, false]);
  for (const { actual } of results) expect(actual).toMatch(/tokens\.value.*missing/);
});

test("a method that is not in the catalogue fails, also where a refusal is expected", () => {
  const content = { id: "no-such", cases: [{ kind: "credit", name: "x", rollouts: [], expect: { error: true } }] };
  const folder = folderWith({ "v.json": JSON.stringify(content) }, onTestFinished);
  const { code, stdout } = apportion(["vectors", "v.json"], { cwd: folder.path });
  expect(code).toBe(1);
  expect(stdout).toContain('unknown method "no-such"');
});

test("without files: those of the package", () => {
  const { stdout } = apportion(["vectors"]);
  expect(stdout).toMatch(/conformance[/\\]gae\.json: \d+ passed/);
  expect(stdout).toMatch(/\n\d+ files: \d+ passed, \d+ failed.*\n$/);
});

const expectation = { columns: { "tokens.advantage": [[0]] } };
test.each([
  ["not JSON", '{"id"', ["JSON"]],
  ["a list", "[]", ["an object", "a list of 0"]],
  ["no id", '{"cases":[]}', ["wrong id", "a string"]],
  ["no cases", '{"id":"gae"}', ["wrong cases", "a list"]],
  ["a case of no kind", { name: "x", rollouts: [], expect: expectation }, ["cases[0].kind"]],
  ["a case without a name", { kind: "credit", rollouts: [], expect: expectation }, ["cases[0].name"]],
  ["no rollouts", { kind: "credit", name: "x", expect: expectation }, ["cases[0].rollouts"]],
  ["no expectation", { kind: "credit", name: "x", rollouts: [] }, ["cases[0].expect"]],
  ["nothing expected", { kind: "credit", name: "x", rollouts: [], expect: {} }, ["cases[0].expect.columns"]],
  ["no function", { kind: "function", name: "x", expect: { value: 1 } }, ["cases[0].function"]],
  ["no value", { kind: "function", name: "x", function: "f", expect: {} }, ["cases[0].expect.value"]],
  [
    "a wrong tolerance",
    { kind: "credit", name: "x", rollouts: [], expect: { ...expectation, tolerance: "1" } },
    ["tolerance"],
  ],
])("a file that is none: %s", (_, content, says) => {
  const text = typeof content === "string" ? content : JSON.stringify({ id: "gae", cases: [content] });
  const folder = folderWith({ "good.json": own("gae.json"), "v.json": text }, onTestFinished);
  const { code, stdout, stderr } = apportion(["vectors", "--json", "good.json", "v.json"], { cwd: folder.path });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^apportion: v\.json: not a vector file[^\n]+\n$/);
  for (const said of says) expect(stderr).toContain(said);
});
