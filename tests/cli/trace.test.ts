import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { vectorFiles } from "../methods/samples.ts";
import { apportion } from "./run-cli.ts";

const folder = mkdtempSync(join(tmpdir(), "apportion-trace-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const cases = vectorFiles.get("orchestration-traces")?.cases ?? [];
const { trace: valid } = cases.flatMap(({ function: name, args }) =>
  name === "criticalPath" ? [args as { trace: Record<string, unknown> }] : [],
)[0];

function file(name: string, ...traces: unknown[]): string {
  const path = join(folder, name);
  writeFileSync(path, traces.map((trace) => `${JSON.stringify(trace)}\n`).join(""));
  return path;
}

test("a valid trace is drawn and measured", () => {
  const { code, stdout } = apportion(["trace", file("one.json", valid), "--no-color", "--width", "80"]);
  expect(code).toBe(0);
  expect(stdout).toContain("d → s2 → w2 → g");
  expect(stdout).toMatch(/parallelismEfficiency +1\.44/);
  for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
});

test("each problem is named and explained, a line of JSON per trace", () => {
  const broken = { ...valid, edges: [{ src: "nobody", dst: "g", type: "causal" }] };
  const path = file("two.jsonl", valid, broken);
  const shown = apportion(["trace", path, "--no-color"]);
  expect(shown.code).toBe(2);
  expect(shown.stdout).toContain("an edge starts at nobody, which is no event");
  const json = apportion(["trace", path, "--json"])
    .stdout.trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(json.map(({ line, problems }) => [line, problems])).toEqual([
    [1, []],
    [2, ["edge:src:nobody"]],
  ]);
  expect(json[0].reward.total).toBeCloseTo(1.2, 9);
});

test("what is not a trace is refused with its place", () => {
  for (const [name, text, place] of [
    ["list.json", "[1]", "list.json"],
    ["cut.jsonl", `${JSON.stringify(valid)}\n{"trace_id":`, "cut.jsonl:2"],
  ]) {
    writeFileSync(join(folder, name), text);
    const { code, stderr } = apportion(["trace", join(folder, name)]);
    expect(code).toBe(2);
    expect(stderr).toContain(place);
  }
  expect(apportion(["trace", join(folder, "one.json"), "--progress", "2"]).stderr).toContain("--progress");
});
