import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { binary } from "./run-cli.ts";

const megabyte = 1e6;
const limit = 512 * megabyte;
let folder = "";

/** Numbers with several digits, without a generator per digit: every rollout starts elsewhere in one long list. */
const digits = Array.from({ length: 20_000 }, (_, k) => (Math.sin(k) * 2).toFixed(5));
const numbers = (from: number, count: number) => digits.slice(from, from + count).join(",");

/** Rollouts in groups of four: numbers mostly, or text mostly. */
function line(i: number, kind: "numbers" | "text"): string {
  const tokens = kind === "numbers" ? 3000 : 50;
  const at = (i * 37) % 15_000;
  const content = digits.slice(at, at + (kind === "text" ? 2500 : 3)).join(" ");
  const ids = Array.from({ length: tokens }, (_, t) => (t * 7 + i) % 1000).join(",");
  const table = `{"id":[${ids}],"logprob":[${numbers(at, tokens)}],"value":[${numbers(at + 9, tokens)}]}`;
  const messages = JSON.stringify([{ role: "user", content }]);
  return `{"id":"r${i}","group":"g${i >> 2}","reward":${i % 3 === 0 ? 1 : 0},"tokens":${table},"messages":${messages}}\n`;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "apportion-memory-"));
  for (const kind of ["numbers", "text"] as const) {
    const file = openSync(join(folder, `${kind}.jsonl`), "w");
    for (let i = 0, bytes = 0; bytes < 1.15 * limit; i += 64) {
      const piece = Array.from({ length: 64 }, (_, k) => line(i + k, kind)).join("");
      bytes += writeSync(file, piece);
    }
    closeSync(file);
  }
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/**
 * Peak memory of the process in kB, told by itself at its end. On Linux the system's figure for a process is at least what
 * its parent held when it was started, so that the one in /proc has to be asked.
 */
const peakScript = `import { existsSync, readFileSync } from "node:fs";
const own = () => /VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1];
const peak = () => existsSync("/proc/self/status") ? own() : process.resourceUsage().maxRSS;
process.on("exit", () => process.stderr.write("peak " + peak() + "\\n"));`;
const tell = `data:text/javascript,${encodeURIComponent(peakScript)}`;

test.each([
  ["numbers", "grpo", "1"],
  ["numbers", "tempo", "2"],
  ["numbers", "gae", "1"],
  ["text", "grpo", "1"],
])(
  "--memory holds for a file that is larger: %s, %s, %s thread(s)",
  (kind, method, threads) => {
    const input = join(folder, `${kind}.jsonl`);
    expect(statSync(input).size).toBeGreaterThan(limit);
    const args = ["assign", input, "--method", method, "--threads", threads, "--memory", "512MB"];
    const output = join(folder, "out.jsonl");
    const ended = spawnSync(process.execPath, ["--import", tell, binary, ...args, "-o", output], { encoding: "utf8" });
    expect(ended.status).toBe(0);
    const peak = Number(/^peak (\d+)$/m.exec(ended.stderr)?.[1]) * 1024;
    expect(peak).toBeLessThan(limit);
    expect(statSync(output).size).toBeGreaterThan(limit);
  },
  300_000,
);

test("what needs the whole input says so and leaves no file", () => {
  const output = join(folder, "whole.jsonl");
  const args = ["assign", join(folder, "numbers.jsonl"), "--method", "grpo", "-p", "std_scope=batch", "-o", output];
  const { status, stderr } = spawnSync(process.execPath, [binary, ...args, "--memory", "512MB"], { encoding: "utf8" });
  expect(stderr).toMatch(/^apportion: method grpo: .*whole input.*limit of 512 MB.*--param std_scope=group[^\n]*\n$/);
  expect(status).toBe(2);
  expect(() => statSync(output)).toThrow();
});
