import type { ChildProcess } from "node:child_process";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { dist } from "./dist.ts";
import { apportion, binary, folderWith, lines, pair, startApportion } from "./run-cli.ts";

const posix = process.platform !== "win32";

async function ended(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = "";
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, "close");
  return { code, stderr };
}

/** Waits until the folder holds a file that the child is writing. */
async function writing(folder: string, names: readonly string[]): Promise<void> {
  for (let k = 0; k < 400; k++) {
    if (readdirSync(folder).some((name) => !names.includes(name))) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error("nothing was written");
}

/** Rollouts that are alone in their groups, wide enough that a few of them fill a small batch. */
function wideRollouts(count: number): unknown[] {
  const tokens = { id: new Array(3000).fill(7), value: new Array(3000).fill(0.123456789) };
  return Array.from({ length: count }, (_, i) => ({ id: `r${i}`, reward: 1, tokens }));
}

test.skipIf(!posix).each(["jsonl", "jsonl.gz", "arrow", "parquet"])(
  "Ctrl-C leaves no file behind: %s",
  async (ending) => {
    const folder = folderWith({}, onTestFinished);
    const args = ["assign", "-", "--method", "dr-grpo", "--grouped", "--memory", "1MB", "--on-error", "skip"];
    const child = startApportion([...args, "-o", `out.${ending}`], {
      cwd: folder.path,
      stdio: ["pipe", "ignore", "pipe"],
    });
    const end = ended(child);
    child.stdin?.on("error", () => {}); // it goes away before it has read everything
    child.stdin?.write(lines("{", ...wideRollouts(120)));
    await writing(folder.path, []);
    child.kill("SIGINT");
    expect(await end).toEqual({ code: 130, stderr: "apportion: interrupted\n" });
    expect(folder.list()).toEqual([]);
  },
);

test.skipIf(!posix)("Ctrl-C while threads are at work", async () => {
  const folder = folderWith({}, onTestFinished);
  const args = [
    "assign",
    "-",
    "--method",
    "grpo",
    "--grouped",
    "--threads",
    "2",
    "--memory",
    "200MB",
    "-o",
    "out.jsonl",
  ];
  const child = startApportion(args, { cwd: folder.path, stdio: ["pipe", "ignore", "pipe"] });
  const end = ended(child);
  child.stdin?.on("error", () => {}); // it goes away before it has read everything
  const text = lines(...wideRollouts(50));
  const feed = (round: number) => {
    child.stdin?.write(
      text.replaceAll('"id":"r', `"id":"${round}-r`),
      (error) => error ?? setImmediate(feed, round + 1),
    );
  };
  feed(0); // an input that never ends
  await writing(folder.path, []);
  await new Promise((resolve) => setTimeout(resolve, 300));
  child.kill("SIGTERM");
  expect(await end).toEqual({ code: 143, stderr: "apportion: interrupted\n" });
  expect(folder.list()).toEqual([]);
});

test.skipIf(!posix)("a second Ctrl-C exits at once", async () => {
  const signals = pathToFileURL(join(dist, "cli", "signals.js")).href;
  const script = `import(${JSON.stringify(signals)}).then(({ abortOnInterrupt }) => {
    abortOnInterrupt().addEventListener("abort", () => console.log("once"));
    console.log("ready");
    setInterval(() => {}, 1000);
  })`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const said = (word: string) =>
    new Promise<void>((resolve) => child.stdout.on("data", (d) => `${d}`.includes(word) && resolve()));
  await said("ready");
  child.kill("SIGINT");
  await said("once");
  expect(child.exitCode).toBeNull();
  child.kill("SIGINT");
  const [code] = await once(child, "exit");
  expect(code).toBe(130);
});

/** A shell pipeline; the exit code of each of its commands. */
function pipeline(command: string, cwd: string) {
  const script = `${command}; echo "\${PIPESTATUS[@]}" >&2`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script], { cwd, encoding: "utf8" });
  return { stdout, stderr };
}

const hasBash = posix && spawnSync("bash", ["--version"]).status === 0;

test.skipIf(!hasBash)("a reader that has seen enough is no fault", () => {
  const folder = folderWith({ "in.jsonl": lines(...wideRollouts(200)) }, onTestFinished);
  const command = `"${process.execPath}" "${binary}"`;
  const { stdout, stderr } = pipeline(`${command} assign in.jsonl --method grpo | head -n 2`, folder.path);
  expect(stdout.split("\n")).toHaveLength(3);
  expect(stderr).toBe("0 0\n");
  expect(pipeline(`${command} vectors --json | head -n 1`, folder.path).stderr).toBe("0 0\n");
  expect(pipeline(`${command} --help | true`, folder.path).stderr).toBe("0 0\n");
  expect(folder.list()).toEqual(["in.jsonl"]);
});

const hasFull = process.platform === "linux";

test.skipIf(!hasBash || !hasFull)("a full disk: standard output", () => {
  const folder = folderWith({ "in.jsonl": lines(...pair) }, onTestFinished);
  const { stderr } = pipeline(
    `"${process.execPath}" "${binary}" assign in.jsonl --method grpo > /dev/full`,
    folder.path,
  );
  expect(stderr).toMatch(/^apportion: standard output: [^\n]*(no space|full)[^\n]*\n2\n$/);
});

/** A file system of 256 kB, where we may mount one. */
function tinyDisk(folder: string): boolean {
  if (process.getuid?.() !== 0 || process.platform !== "linux") return false;
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]).status === 0;
  if (mounted) onTestFinished(() => void execFileSync("umount", [folder]));
  return mounted;
}

test("a full disk: files", ({ skip }) => {
  const folder = folderWith({ "in.jsonl": lines(...wideRollouts(40)) }, onTestFinished);
  const disk = join(folder.path, "disk");
  mkdirSync(disk);
  if (!tinyDisk(disk)) skip("a file system that is full needs the right to mount one");
  for (const name of ["out.jsonl", "out.arrow", "out.parquet"]) {
    const full = apportion(["assign", "in.jsonl", "--method", "grpo", "-o", `disk/${name}`], { cwd: folder.path });
    expect(full.stderr).toMatch(/^apportion: [^\n]*(no space|full)[^\n]*\n$/i);
    expect(full.stderr).toContain(`disk/${name}`);
    expect(full.code).toBe(2);
    expect(readdirSync(disk)).toEqual([]);
  }
});
