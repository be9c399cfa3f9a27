import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { apportion, startApportion } from "./run-cli.ts";

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), "apportion-bench-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const quick = ["bench", "--quick", "--methods", "grpo,tempo", "--tasks", "gates,essay", "--threads", "1"];

test("a second run measures nothing, a further one only what is new", () => {
  const cache = temporary();
  const first = apportion([...quick, "--cache", cache, "--json"]);
  expect(first.code).toBe(0);
  expect(first.stderr).toMatch(/8 results measured in .* s, 0 known from before/);
  const summary = JSON.parse(first.stdout);
  const labels = summary.entries.map(({ label }: { label: string }) => label);
  expect(labels.toSorted()).toEqual(["bare reward", "grpo", "tempo", "true advantage"]);
  const truth = summary.entries.find(({ label }: { label: string }) => label === "true advantage");
  expect(truth.overall.pearson.mean).toBeCloseTo(1, 9);
  appendFileSync(join(cache, "grpo.jsonl"), '{"key":"half a li');
  const again = apportion([...quick, "--cache", cache, "--json"]);
  expect(again.stderr).toContain("0 results measured");
  expect(again.stdout).toBe(first.stdout);
  const more = apportion([...quick, "--cache", cache, "--seeds", "2", "--param", "grpo.norm_by_std=false", "--json"]);
  expect(more.stderr).toMatch(/10 results measured in .* s, 6 known from before/);
  expect(more.stdout).toContain('"label":"grpo norm_by_std=false"');
});

test("the table names what was left out, and the report has plots that it links", () => {
  const folder = temporary();
  const args = ["bench", "--quick", "--methods", "rloo,carl-driving", "--tasks", "search-fixed,search-stop,essay"];
  const shown = apportion([...args, "--cache", join(folder, "cache"), "--out", join(folder, "docs"), "--width", "140"]);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(/^ rloo +\d+ +\d\/2/m);
  expect(shown.stdout).toMatch(/carl-driving +needs steps\.route_completion/);
  const page = readFileSync(join(folder, "docs", "benchmark.md"), "utf8");
  const linked = [...page.matchAll(/\]\((benchmark\/[\w-]+\.svg)\)/g)].map(([, file]) => file);
  expect(linked.length).toBeGreaterThan(3);
  for (const file of linked) expect(existsSync(join(folder, "docs", file))).toBe(true);
  const drawn = readdirSync(join(folder, "docs", "benchmark")).filter((name) => name.endsWith(".svg"));
  expect(drawn.length).toBe(linked.length);
  expect(page).not.toMatch(/NaN|Infinity|undefined/);
});

test("an interrupted run keeps what it has", async () => {
  const cache = temporary();
  const args = ["bench", "--methods", "rloo", "--seeds", "40", "--threads", "1", "--cache", cache];
  const child = startApportion(args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr?.on("data", (text) => {
    said += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const file = join(cache, "true-advantage.jsonl");
  const lines = () => (existsSync(file) ? readFileSync(file, "utf8").split("\n").length - 1 : 0);
  for (let k = 0; k < 400 && lines() < 3; k++) await new Promise((resolve) => setTimeout(resolve, 50));
  child.kill("SIGINT");
  expect(await ended).toBe(130);
  expect(lines()).toBeGreaterThanOrEqual(3);
  expect(said).toMatch(/\d+ results kept in/);
}, 30_000);

test.each([
  ["an unknown task", ["--tasks", "gate"], /unknown task "gate"; expected one of gates, luck/],
  ["an unknown method", ["--methods", "grpoo"], /unknown method "grpoo".*grpo/],
  ["a parameter out of range", ["--methods", "grpo", "--param", "grpo.eps=-1"], /eps is not valid/],
  ["no seeds", ["--seeds", "0"], /--seeds is not valid/],
])("%s is refused", (_, options, message) => {
  const { code, stdout, stderr } = apportion(["bench", ...options, "--cache", temporary()]);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(message);
});
