import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { apportion, folderWith, lines, pair } from "./run-cli.ts";

test("runs are added, listed, asked and removed", () => {
  const folder = folderWith({ "in.jsonl": lines(...pair), "broken.jsonl": "{\n" }, onTestFinished);
  const run = (...args: string[]) => apportion(args, { cwd: folder.path });
  expect(run("runs")).toMatchObject({ code: 2, stderr: expect.stringContaining("there is no workspace here") });
  expect(run("runs", "add", "first", "in.jsonl")).toMatchObject({
    code: 0,
    stderr: "added 2 rollouts as run first to .apportion\n",
  });
  expect(run("runs", "add", "first", "in.jsonl").stderr).toContain('there is already a run "first"');
  expect(run("runs", "add", "second", "broken.jsonl")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("broken.jsonl:1"),
  });
  expect(run("runs").stdout).toMatch(/first +\d{4}-\d\d-\d\d \d\d:\d\d +2 /);
  expect(JSON.parse(run("runs", "--json").stdout)).toMatchObject({ name: "first", rollouts: 2, source: "in.jsonl" });
  const sql = "select id, reward from rollouts order by id";
  expect(run("query", sql, "--as", "csv").stdout).toBe("id,reward\na,1\nb,0\n");
  expect(run("query", sql, "--as", "json", "--limit", "1")).toEqual({
    code: 0,
    stdout: '{"id":"a","reward":1}\n',
    stderr: "only the first 1 row; a larger --limit shows more\n",
  });
  expect(run("query", sql).stdout).toMatch(/id +reward\n a +1\n b +0\n/);
  expect(run("query", "selec")).toMatchObject({ code: 2, stderr: expect.stringContaining("the query was refused") });
  expect(run("inspect", join(".apportion", "runs", "first")).stdout).toContain("2 rollouts in 1 group");
  expect(run("runs", "rm", "first", "nope").stderr).toContain('there is no run "nope"');
  expect(run("runs", "rm", "first").code).toBe(0);
  expect(run("runs").stdout).toContain("No runs in .apportion yet");
});

test("the workspace can lie elsewhere", () => {
  const folder = folderWith({ "in.jsonl": lines(...pair) }, onTestFinished);
  const run = (...args: string[]) => apportion(args, { cwd: folder.path });
  expect(run("runs", "add", "one", "in.jsonl", "--workspace", "there").code).toBe(0);
  expect(folder.list()).toEqual(["in.jsonl", "there"]);
  const asked = run("query", "select name from runs", "--workspace", "there", "--as", "json");
  expect(asked.stdout).toBe('{"name":"one"}\n');
});
