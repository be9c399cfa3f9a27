import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { exporters } from "../../src/formats/export/index.ts";
import { importers } from "../../src/formats/import/index.ts";
import { apportion, folderWith, lines, pair } from "./run-cli.ts";

const chat = (question: string, answer: string, score: number) => ({
  messages: [
    { role: "user", content: question },
    { role: "assistant", content: answer },
  ],
  score,
});
const chats = [chat("2 + 2?", "It is four.", 1), chat("2 + 2?", "Five", 0)];
const parsed = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test("logs become rollouts, rollouts get credit, credit becomes training data", () => {
  const folder = folderWith({ "chats.jsonl": lines(...chats) }, onTestFinished);
  const run = (...args: string[]) => {
    const ended = apportion(args, { cwd: folder.path });
    expect(ended.stderr).not.toMatch(/^apportion:/);
    expect(ended.code).toBe(0);
    return ended;
  };
  const args = ["--group", "prompt", "--reward", "score", "--words"];
  const imported = run("import", "auto", "chats.jsonl", ...args, "-o", "in.jsonl");
  expect(imported.stderr).toBe("imported 2 rollouts, 1 group, 2 turns to in.jsonl\n");
  run("assign", "in.jsonl", "--method", "grpo", "-o", "out.jsonl");
  const exported = run("export", "preference", "out.jsonl", "-o", "pairs.jsonl");
  expect(exported.stderr).toMatch(/^preference: 1 row from 2 of 2 rollouts to pairs\.jsonl\n/);
  const [row] = parsed(readFileSync(join(folder.path, "pairs.jsonl"), "utf8"));
  expect(JSON.stringify(row.chosen)).toContain("It is four.");
  expect(JSON.stringify(row.rejected)).toContain("Five");
  expect(folder.list()).toEqual(["chats.jsonl", "in.jsonl", "out.jsonl", "pairs.jsonl"]);
});

test("an import to standard output pipes into assign", () => {
  const folder = folderWith({ "chats.jsonl": lines(...chats) }, onTestFinished);
  const imported = apportion(["import", "openai", "chats.jsonl", "--reward", "score"], { cwd: folder.path });
  const assigned = apportion(["assign", "-", "--method", "grpo", "-q"], { input: imported.stdout });
  expect(assigned).toMatchObject({ code: 0, stderr: "" });
  expect(parsed(assigned.stdout)).toHaveLength(2);
});

test("records that cannot be read are skipped into a file with the reason", () => {
  const folder = folderWith({ "chats.jsonl": lines(chats[0], "{", { messages: 7 }, chats[1]) }, onTestFinished);
  const args = ["import", "openai", "chats.jsonl", "--reward", "score", "-o", "in.jsonl"];
  const stopped = apportion(args, { cwd: folder.path });
  expect(stopped.code).toBe(2);
  expect(stopped.stderr).toMatch(/^apportion: chats\.jsonl:2: [^\n]+\n$/);
  expect(folder.list()).toEqual(["chats.jsonl"]);
  const skipped = apportion([...args, "--on-error", "skip"], { cwd: folder.path });
  expect(skipped.code).toBe(0);
  expect(skipped.stderr).toContain("2 rollouts skipped (see in.jsonl.rejects.jsonl)");
  const rejects = parsed(readFileSync(join(folder.path, "in.jsonl.rejects.jsonl"), "utf8"));
  expect(rejects.map(({ line }) => line)).toEqual([2, 3]);
});

test("files in a folder that are no logs are passed over by name", () => {
  const files = { "logs/a.jsonl": lines(...chats), "logs/notes.json": '{"color": "blue"}' };
  const folder = folderWith(files, onTestFinished);
  const { code, stderr } = apportion(["import", "auto", "logs", "-o", "in.jsonl"], { cwd: folder.path });
  expect(code).toBe(0);
  expect(stderr).toMatch(/passed over 1 file: .*notes\.json \(/);
});

test("--list names importers and exporters with what they take", () => {
  const imports = apportion(["import", "--list"]).stdout;
  for (const id of importers.keys()) expect(imports).toMatch(new RegExp(`^${id}$`, "m"));
  const exports = apportion(["export", "--list"]).stdout;
  for (const { id, params } of exporters.values()) {
    expect(exports).toMatch(new RegExp(`^${id} \\(`, "m"));
    for (const name of Object.keys(params.shape)) expect(exports).toMatch(new RegExp(`--param ${name}: \\w`));
  }
});

test("an export says what it left out, and leaves no file when there is nothing to write", () => {
  const folder = folderWith({ "in.jsonl": lines(...pair) }, onTestFinished);
  apportion(["assign", "in.jsonl", "--method", "grpo", "-o", "out.jsonl"], { cwd: folder.path });
  const { code, stderr } = apportion(["export", "trl", "out.jsonl", "-o", "train.jsonl"], { cwd: folder.path });
  expect(code).toBe(2);
  expect(stderr).toMatch(/^apportion: [^\n]*nothing to export[^\n]*\n$/);
  expect(folder.list()).toEqual(["in.jsonl", "out.jsonl"]);
});
