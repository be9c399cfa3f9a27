import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { checklist } from "../../src/methods/survey/checklist.ts";
import { apportion, folderWith } from "./run-cli.ts";

const names = checklist.map(({ id }) => id);

function report(text: string): string {
  return join(folderWith({ "report.yaml": text }, onTestFinished).path, "report.yaml");
}

/** The template with its examples filled in. */
function filled(): string {
  const { stdout } = apportion(["check", "--new"]);
  return stdout.replace(/^# e\.g\. (.*)\n(\w+):$/gm, "$2: $1");
}

test("the template names every item, is empty, and its examples make a whole report", () => {
  const { code, stdout } = apportion(["check", "--new"]);
  expect(code).toBe(0);
  expect(Object.entries(parse(stdout) as object)).toEqual(names.map((name) => [name, null]));
  const empty = JSON.parse(apportion(["check", report(stdout), "--json"]).stdout);
  expect([empty.score, empty.findings.length]).toEqual([0, 15]);
  const whole = apportion(["check", report(filled()), "--no-color"]);
  expect([whole.code, whole.stderr]).toEqual([0, ""]);
  expect(whole.stdout).toContain("15 of 15");
  expect(whole.stdout).toContain("Nothing is missing.");
});

test("each finding says what is missing and why it matters", () => {
  const without = filled()
    .replace(/^seeds:.*$/m, "seeds: []")
    .replace(/^gpu_hours:.*$/m, "gpu_hour: 12");
  const path = report(without);
  const { code, stdout } = apportion(["check", path, "--no-color", "--width", "70"]);
  expect(code).toBe(1);
  expect(stdout).toContain("13 of 15");
  expect(stdout).toMatch(/✗ seeds\n +the random seeds of training.*\n +why: the spread between seeds/);
  expect(stdout).toContain("gpu_hour is not on the checklist; did you mean gpu_hours?");
  for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(70);
  const json = apportion(["check", path, "--json"]);
  expect(json.code).toBe(1);
  const { score, findings, unknown } = JSON.parse(json.stdout);
  expect(score).toBeCloseTo(13 / 15, 12);
  expect(findings.map(({ item }: { item: string }) => item)).toEqual(["seeds", "gpu_hours"]);
  expect(unknown).toEqual(["gpu_hour"]);
});

test.each([
  ["a list", "- 1\n- 2\n", /report\.yaml: not a report; expected a mapping/],
  ["nothing", "", /not a report/],
  ["broken YAML", "seeds: [1, 2\ncode: x\n", /report\.yaml:\d+: not YAML/],
  ["an alias of nothing", "seeds: *a\n", /not YAML/],
])("%s is refused", (_, text, message) => {
  const { code, stdout, stderr } = apportion(["check", report(text)]);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(message);
});

test("a report has to be named, and to be there", () => {
  expect(apportion(["check"])).toMatchObject({ code: 2, stdout: "" });
  expect(apportion(["check", "--new", "report.yaml"])).toMatchObject({ code: 2, stdout: "" });
  expect(apportion(["check", "no-such.yaml"]).stderr).toContain("no such file");
  expect(apportion(["check", "-"], { input: filled() }).code).toBe(0);
});
