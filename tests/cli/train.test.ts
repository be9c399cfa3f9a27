import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect, onTestFinished, test } from "vitest";
import { readSafetensors } from "../../src/lab/policies/safetensors.ts";
import { apportion, folderWith, startApportion } from "./run-cli.ts";

const posix = process.platform !== "win32";
const small = ["--env", "chain", "--env-param", "length=2", "--groups", "2", "--group-size", "4"];

const emptyFolder = () => folderWith({}, onTestFinished).path;

/** Rows that a query over a Parquet file gives. */
async function asked(sql: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(sql);
  const rows = reader.getRowObjectsJS();
  connection.closeSync();
  instance.closeSync();
  return rows;
}

test("a run leaves a complete folder, and says how the methods did", async () => {
  const cwd = emptyFolder();
  const methods = ["--methods", "grpo,kl-shaping+reinforce-pp", "--seeds", "2", "--updates", "20"];
  const { code, stdout, stderr } = apportion(["train", ...small, ...methods, "--width", "120"], { cwd });
  expect(stderr).toBe("runs/chain: config.json, metrics.parquet, rollouts, checkpoints, report.html\n");
  expect(code).toBe(0);
  expect(stdout).toMatch(/true reward over updates/);
  expect(stdout).toMatch(/^ grpo .*±.*%/m);
  expect(stdout).toMatch(/^ kl-shaping\+reinforce-pp .*±/m);
  const folder = join(cwd, "runs", "chain");
  expect(readdirSync(folder).sort()).toEqual([
    "checkpoints",
    "config.json",
    "metrics.parquet",
    "report.html",
    "rollouts",
  ]);
  const rows = await asked(
    `SELECT method, seed::INT AS seed, count(*)::INT AS rows, max(update)::INT AS last, count(expected_reward)::INT AS evaluated,
     min(credit_s) > 0 AS timed FROM '${join(folder, "metrics.parquet")}' WHERE update > 0 GROUP BY ALL ORDER BY method, seed`,
  );
  const row = { rows: 20, last: 20, evaluated: 2, timed: true };
  expect(rows).toEqual(
    ["grpo", "kl-shaping+reinforce-pp"].flatMap((method) => [1, 2].map((seed) => ({ method, seed, ...row }))),
  );
  const checkpoints = ["grpo", "kl-shaping+reinforce-pp"].flatMap((method) =>
    [1, 2].flatMap((seed) =>
      ["safetensors", "state.safetensors"].map((ending) => `${method}-seed${seed}-update20.${ending}`),
    ),
  );
  expect(readdirSync(join(folder, "checkpoints")).sort()).toEqual(checkpoints.sort());
  const policy = readSafetensors(readFileSync(join(folder, "checkpoints", "grpo-seed1-update20.safetensors")));
  expect(policy.tensors.logits.shape).toEqual([2, 4]);
  expect(policy.metadata.kind).toBe("tabular");
  const rollouts = join(folder, "rollouts", "grpo-seed1-update20.jsonl");
  expect(readFileSync(rollouts, "utf8").trimEnd().split("\n")).toHaveLength(8);
  expect(apportion(["inspect", rollouts]).code).toBe(0);
  const report = readFileSync(join(folder, "report.html"), "utf8");
  expect(report.match(/<svg/g)?.length).toBeGreaterThan(5);
  expect(report).toContain("prefers-color-scheme:dark");
  expect(report).not.toMatch(/(?:src|href)="?http/);
  const again = apportion(["train", "--resume", "--out", "runs/chain", "--width", "120"], { cwd });
  expect(again.code).toBe(0);
  expect(again.stdout).toBe(stdout); // nothing was left to do
});

test.skipIf(!posix)("Ctrl-C keeps a checkpoint, and the run goes on to the same bits", async () => {
  const cwd = emptyFolder();
  const run = [
    "train",
    ...small,
    "--methods",
    "grpo,gae",
    "--seeds",
    "1",
    "--updates",
    "600",
    "-q",
    "--set",
    "kl_coef=0.01",
  ];
  expect(apportion([...run, "--out", "whole"], { cwd }).code).toBe(0);
  const child = startApportion([...run, "--out", "cut"], { cwd, stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  const rollouts = join(cwd, "cut", "rollouts", "gae-seed1-update1.jsonl");
  while (!existsSync(rollouts) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 10));
  child.kill("SIGINT");
  const [code] = await once(child, "close");
  expect(code).toBe(130);
  const hint = "apportion: stopped with a checkpoint; go on with: apportion train --resume --out cut\n";
  expect(stderr).toBe(`${hint}apportion: interrupted\n`);
  const left = readdirSync(join(cwd, "cut"));
  expect(left.sort()).toEqual(["checkpoints", "config.json", "metrics.parquet", "report.html", "rollouts"]);
  expect(readdirSync(join(cwd, "cut", "checkpoints")).some((name) => name.includes("update600"))).toBe(false);
  expect(apportion(["train", "--resume", "--out", "cut", "-q"], { cwd }).code).toBe(0);
  for (const name of ["grpo-seed1-update600", "gae-seed1-update600"]) {
    for (const ending of ["safetensors", "state.safetensors"]) {
      const [whole, cut] = ["whole", "cut"].map((one) =>
        readFileSync(join(cwd, one, "checkpoints", `${name}.${ending}`)),
      );
      expect(cut.equals(whole), `${name}.${ending}`).toBe(true);
    }
  }
  const columns = "COLUMNS(c -> NOT c LIKE '%\\_s' ESCAPE '\\' AND c <> 'credit_share')";
  const metrics = (one: string) =>
    asked(`SELECT ${columns} FROM '${join(cwd, one, "metrics.parquet")}' ORDER BY method, seed, update`);
  expect(await metrics("cut")).toEqual(await metrics("whole"));
});

const wrong: [string, string[], RegExp][] = [
  ["no environment", ["--methods", "grpo"], /no environment was named.*key-door/],
  ["unknown environment", ["--env", "key-dor", "--methods", "grpo"], /unknown environment "key-dor".*key-door/],
  ["no method", ["--env", "chain"], /no method was named/],
  ["unknown method", ["--env", "chain", "--methods", "grpoo"], /unknown method "grpoo".*did you mean grpo/],
  ["a card without credit", ["--env", "chain", "--methods", "policy-losses"], /policy-losses.*no credit rule/],
  ["unknown parameter", ["--env", "chain", "--methods", "grpo", "-p", "epsilon=1"], /unknown parameter epsilon.*eps/],
  ["parameter out of range", ["--env", "chain", "--methods", "grpo", "-p", "ddof=7"], /parameter ddof.*7/],
  [
    "unknown parameter of the environment",
    ["--env", "chain", "--env-param", "size=1", "--methods", "grpo"],
    /unknown parameter size.*length.*environment chain/,
  ],
  ["unknown setting", ["--env", "chain", "--methods", "grpo", "--set", "kl=1"], /unknown setting kl.*kl_coef/],
  ["wrong setting", ["--env", "chain", "--methods", "grpo", "--set", "loss=ppo"], /setting loss.*"ppo"/],
  ["wrong policy", ["--env", "chain", "--methods", "grpo", "--policy", "rnn"], /--policy.*tabular, mlp, transformer/],
  [
    "wrong parameter of the policy",
    ["--env", "chain", "--methods", "grpo", "--policy", "mlp", "--policy-param", "depth=2"],
    /unknown parameter depth.*hidden/,
  ],
  [
    "a column that nobody gives",
    [...small, "--methods", "prime"],
    /tokens\.prm_logprob.*method prime.*environment chain with a tabular policy/,
  ],
  ["resuming nothing", ["--resume", "--out", "nowhere"], /nowhere/],
  ["resuming without a folder", ["--resume"], /--resume needs the folder/],
  ["resuming with other settings", ["--resume", "--out", "x", "--updates", "9"], /--updates cannot be changed/],
];

test.each(wrong)("bad input: %s", (_, args, message) => {
  const cwd = emptyFolder();
  const { code, stdout, stderr } = apportion(["train", ...args], { cwd });
  expect(stderr).toMatch(message);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(stdout).toBe("");
  expect(code).toBe(2);
  expect(readdirSync(cwd)).toEqual([]);
});

test("a folder with something in it is not written to", () => {
  const folder = folderWith({ "out/notes.txt": "mine" }, onTestFinished);
  const args = ["train", ...small, "--methods", "grpo", "--out", "out"];
  const { code, stderr } = apportion(args, { cwd: folder.path });
  expect(stderr).toMatch(/out: the folder is not empty/);
  expect(code).toBe(2);
  expect(readdirSync(join(folder.path, "out"))).toEqual(["notes.txt"]);
});
