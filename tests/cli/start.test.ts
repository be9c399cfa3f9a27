import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { root } from "./dist.ts";
import { apportion, binary, folderWith, lines, pair } from "./run-cli.ts";

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const commands = [
  ...["demo", "assign", "compare", "inspect", "methods", "advise", "import", "export"],
  ...["trace", "starc", "check", "vectors"],
];

test("--version", () => {
  expect(apportion(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test("starting loads neither methods nor formats, which is what keeps it quick", () => {
  const folder = folderWith({}, onTestFinished);
  const env = { ...process.env, NODE_V8_COVERAGE: folder.path };
  expect(spawnSync(process.execPath, [binary, "--help"], { env }).status).toBe(0);
  const [report] = folder.list();
  const { result } = JSON.parse(readFileSync(join(folder.path, report), "utf8")) as { result: { url: string }[] };
  const loaded = result.map(({ url }) => url).filter((url) => url.startsWith("file:"));
  expect(loaded.some((url) => url.endsWith("/cli/program.js"))).toBe(true);
  expect(loaded.filter((url) => /zod|arrow|duckdb|catalogue|\/(formats|operators|analysis)\//.test(url))).toEqual([]);
});

describe("help", () => {
  test("names the commands, and is what comes without arguments", () => {
    const help = apportion(["--help"]);
    expect(help.code).toBe(0);
    for (const name of commands) expect(help.stdout).toMatch(new RegExp(`^ {2}${name}\\b`, "m"));
    expect(apportion([])).toEqual(help);
  });

  test.each(commands)("%s: usage and examples that name the command", (name) => {
    const help = apportion([name, "--help"]);
    expect(help.code).toBe(0);
    expect(help.stdout).toMatch(new RegExp(`^Usage: apportion ${name}`));
    expect(help.stdout).toMatch(new RegExp(`Examples?:\\n(?:.*\\n)*? +.*apportion ${name}`));
    expect(help.stdout.split("\n").filter((line) => line.length > 130)).toEqual([]);
    expect(apportion(["help", name]).stdout).toBe(help.stdout);
  });
});

test("no colours where there is no terminal, unless they are asked for", () => {
  const folder = folderWith({ "in.jsonl": lines(...pair) }, onTestFinished);
  const run = (env: NodeJS.ProcessEnv) => {
    const { FORCE_COLOR, NO_COLOR, ...rest } = process.env;
    const args = [binary, "assign", "in.jsonl", "--method", "nope"];
    return spawnSync(process.execPath, args, { cwd: folder.path, env: { ...rest, ...env }, encoding: "utf8" }).stderr;
  };
  expect(run({})).not.toContain("\x1b[");
  expect(run({ NO_COLOR: "1" })).not.toContain("\x1b[");
});
