import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { apportion, folderWith } from "./run-cli.ts";

test("some methods give a table in words, without colour where there is no terminal", () => {
  const { code, stdout, stderr } = apportion(["certify", "rloo", "grpo", "--law", "scale", "--law", "length-neutral"]);
  expect(code).toBe(0);
  expect(stderr).toBe("");
  expect(stdout).not.toContain("\x1b");
  expect(stdout).toMatch(/rloo +factor +yes/);
  expect(stdout).toMatch(/grpo +yes +no/);
});

test("one method is explained, with a command that shows its counterexample again", () => {
  const { code, stdout } = apportion(["certify", "grpo", "--width", "88"]);
  expect(code).toBe(0);
  expect(stdout).toContain("Two tokens that decide nothing are put at the end of rollout 1.");
  expect(stdout).toMatch(/norm_by_std=false +yes/);
  const prose = stdout.split("\n").filter((line) => !line.includes("apportion certify"));
  for (const line of prose) expect(line.length).toBeLessThanOrEqual(88);
  const command = stdout.split("\n").find((line) => line.includes("--law length-neutral --replay"));
  const replayed = apportion((command ?? "").trim().split(" ").slice(1));
  expect(replayed.code).toBe(0);
  expect(replayed.stdout).toContain('"tokens":{"id":[97,7,7]}');
  expect(replayed.stdout).toContain("Largest difference 0.471404");
});

test("the rollouts of a counterexample can be saved and credited", () => {
  const folder = folderWith({}, onTestFinished);
  const file = join(folder.path, "case.jsonl");
  const { code, stderr } = apportion(["certify", "grpo", "--law", "length-neutral", "--save", file]);
  expect(code).toBe(0);
  expect(folder.list()).toEqual(["case.changed.jsonl", "case.jsonl"]);
  const commands = stderr.trim().split("\n");
  expect(commands.length).toBe(2);
  const advantages = commands.map((command) => {
    const { code: ended, stdout } = apportion(command.split(" ").slice(1));
    expect(ended).toBe(0);
    const rollout = JSON.parse(stdout.split("\n")[0]);
    return rollout.tokens.advantage[0] * rollout.tokens.weight[0];
  });
  expect(advantages[0] - advantages[1]).toBeCloseTo(0.471404, 6);
  expect(readFileSync(file, "utf8").trim().split("\n").length).toBe(2);
});

test("--json gives a line per law; the rollouts only with --replay", () => {
  const lines = apportion(["certify", "gae", "--param", "whiten_advantage=false", "--json"]).stdout.trim().split("\n");
  const found = lines.map((line) => JSON.parse(line));
  expect(found.map(({ law }) => law)).toContain("unbiased-stop");
  for (const { method, params, verdict } of found) {
    expect(method).toBe("gae");
    expect(params).toEqual({ whiten_advantage: false });
    expect(["yes", "factor", "no", "none"]).toContain(verdict);
  }
  const replayed = JSON.parse(apportion(["certify", "grpo", "--law", "length-neutral", "--replay", "--json"]).stdout);
  expect(replayed.counterexample.rollouts.length).toBe(2);
});

test("what cannot be done is said in a sentence", () => {
  const cases: [string[], string][] = [
    [["certify", "nope"], 'unknown method "nope"'],
    [["certify", "grpo", "--law", "gravity"], "--law is not valid; expected one of unbiased-fixed"],
    [["certify", "grpo", "--param", "no_such=1"], "unknown parameter no_such"],
    [["certify", "--param", "eps=1"], "--param needs a method"],
    [["certify", "grpo", "--replay"], "--replay needs one method and one law"],
    [["certify", "rloo", "--law", "zero-mean", "--replay"], "there is no counterexample"],
    [["certify", "rloo", "--out", "x"], "--out writes the page of all methods and laws"],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = apportion(args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  }
});
