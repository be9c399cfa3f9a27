import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { dist } from "./dist.ts";

/** The built binary. */
export const binary = join(dist, "cli", "main.js");

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  input?: string | Buffer;
  /** Options of Node itself. */
  node?: readonly string[];
}

const { FORCE_COLOR: _force, NO_COLOR: _none, ...inherited } = process.env;

/** Runs the built command line in a child process. */
export function apportion(args: readonly string[], { node = [], ...options }: RunOptions = {}): Ended {
  const result = spawnSync(process.execPath, [...node, binary, ...args], {
    ...options,
    env: inherited,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** Starts the built command line without waiting for it. */
export function startApportion(args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  return spawn(process.execPath, [binary, ...args], { env: inherited, ...options });
}

/** A folder of its own with these files, gone when the test is over. */
export function folderWith(
  files: Readonly<Record<string, string | Buffer>>,
  onTestFinished: (clean: () => void) => void,
) {
  const folder = mkdtempSync(join(tmpdir(), "apportion-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return { path: folder, list: () => readdirSync(folder).sort() };
}

/** Rollouts as lines of text. */
export function lines(...rollouts: readonly unknown[]): string {
  return rollouts.map((rollout) => `${typeof rollout === "string" ? rollout : JSON.stringify(rollout)}\n`).join("");
}

/** A group of two rollouts that every simple method takes. */
export const pair = [
  {
    id: "a",
    group: "g",
    reward: 1,
    tokens: { id: [1, 2], value: [0.5, 0.25], logprob: [-1, -2] },
    turns: { end: [2] },
  },
  {
    id: "b",
    group: "g",
    reward: 0,
    tokens: { id: [1, 3], value: [0.5, 0.75], logprob: [-1, -2] },
    turns: { end: [2] },
  },
] as const;
