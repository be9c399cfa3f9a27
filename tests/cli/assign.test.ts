import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { assign } from "../../src/methods/assign.ts";
import { batchFromObjects, type RolloutObject, rolloutObjects } from "../../src/rollouts/index.ts";
import { apportion, binary, folderWith, lines, pair } from "./run-cli.ts";

const [a, b] = pair;
const good = lines(a, b);
const parsed = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as RolloutObject);
const withFiles = (files: Record<string, string>) => folderWith(files, onTestFinished);
const credited = (method: string, params = {}) => [...rolloutObjects(assign(batchFromObjects(pair), method, params))];

describe("where rollouts come from and go to", () => {
  test("standard input to standard output, as lines", () => {
    const { code, stdout, stderr } = apportion(["assign", "-", "--method", "grpo"], { input: good });
    expect(code).toBe(0);
    expect(parsed(stdout)).toEqual(credited("grpo"));
    expect(stderr).toMatch(
      /^grpo: 2 rollouts, 1 group, 4 tokens in .* wrote rollout\.advantage, .* to standard output\n$/,
    );
  });

  test("a file to a file of another kind, and back", () => {
    const folder = withFiles({ "in.jsonl": good });
    const steps = ["out.parquet", "out.arrow", "out.jsonl.gz", "out.jsonl"];
    let from = "in.jsonl";
    for (const to of steps) {
      const args = from === "in.jsonl" ? ["--method", "grpo"] : ["--method", "grpo", "-q"];
      expect(apportion(["assign", from, ...args, "-o", to], { cwd: folder.path }).code).toBe(0);
      from = to;
    }
    const [expected, got] = [credited("grpo"), parsed(readFileSync(join(folder.path, "out.jsonl"), "utf8"))];
    expect(got).toEqual(expected);
    expect(parsed(gunzipSync(readFileSync(join(folder.path, "out.jsonl.gz"))).toString())).toEqual(expected);
    expect(folder.list()).toEqual(["in.jsonl", ...steps].sort());
  });

  test("files, folders and patterns in one go", () => {
    const rollout = (id: string) => lines({ ...a, id, group: id });
    const folder = withFiles({ "x.jsonl": rollout("x"), "run/y.jsonl": rollout("y"), "z1.jsonl": rollout("z") });
    const { stdout } = apportion(["assign", "x.jsonl", "run", "z*.jsonl", "--method", "grpo"], { cwd: folder.path });
    expect(parsed(stdout).map(({ id }) => id)).toEqual(["x", "y", "z"]);
  });

  test("Arrow on both ends of a pipe, unless something else is asked for", () => {
    const folder = withFiles({ "in.jsonl": good });
    apportion(["assign", "in.jsonl", "--method", "grpo", "-o", "in.arrow"], { cwd: folder.path });
    const input = readFileSync(join(folder.path, "in.arrow"));
    const asLines = apportion(["assign", "-", "--method", "grpo", "--format", "jsonl"], { input });
    expect(parsed(asLines.stdout)).toEqual(credited("grpo"));
    const plain = apportion(["assign", "-", "--method", "grpo"], { input });
    expect(plain.code).toBe(0);
    expect(plain.stdout.slice(0, 200)).not.toContain("{");
    expect(plain.stdout.length).toBeGreaterThan(200);
  });

  test("a file in the place of standard input", () => {
    const folder = withFiles({ "in.jsonl": good });
    apportion(["assign", "in.jsonl", "--method", "grpo", "-o", "in.arrow"], { cwd: folder.path });
    const run = (name: string, ...more: string[]) => {
      const file = openSync(join(folder.path, name), "r");
      const args = [binary, "assign", "-", "--method", "grpo", "-q", ...more];
      const { stdout } = spawnSync(process.execPath, args, { stdio: [file, "pipe", "inherit"] });
      closeSync(file);
      return stdout;
    };
    expect(parsed(run("in.jsonl").toString())).toEqual(credited("grpo"));
    expect(parsed(run("in.arrow", "--format", "jsonl").toString())).toEqual(credited("grpo"));
    expect(run("in.arrow").readUInt32LE(0)).toBe(0xffffffff);
  });

  test("an output that was there is replaced only when all went well", () => {
    const folder = withFiles({ "in.jsonl": good, "bad.jsonl": `${good}{`, "out.jsonl": "before\n" });
    const run = (name: string) =>
      apportion(["assign", name, "--method", "grpo", "-o", "out.jsonl"], { cwd: folder.path });
    const content = () => readFileSync(join(folder.path, "out.jsonl"), "utf8");
    expect(run("bad.jsonl").code).toBe(2);
    expect(content()).toBe("before\n");
    expect(run("in.jsonl").code).toBe(0);
    expect(parsed(content())).toEqual(credited("grpo"));
  });

  const hasBash = process.platform !== "win32" && spawnSync("bash", ["--version"]).status === 0;
  test.skipIf(!hasBash)("a pipe that has a name is read once", () => {
    const folder = withFiles({ "in.jsonl": good });
    const command = `"${process.execPath}" "${binary}" assign <(cat in.jsonl) --method gae -q`;
    const { stdout, stderr } = spawnSync("bash", ["-c", command], { cwd: folder.path, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(parsed(stdout)).toEqual(credited("gae"));
  });

  test("no rollouts at all", () => {
    const { code, stdout } = apportion(["assign", "-", "--method", "grpo"], { input: "" });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  });
});

describe("methods and parameters", () => {
  const run = (args: string[], files: Record<string, string> = {}) => {
    const folder = withFiles({ "in.jsonl": good, ...files });
    const ended = apportion(["assign", "in.jsonl", "-q", ...args], { cwd: folder.path });
    expect(ended.stderr).toBe("");
    return parsed(ended.stdout);
  };

  test("values are read by the type of their parameter", () => {
    expect(run(["--method", "gae", "-p", "lam=0.5", "-p", "whiten_advantage=false"])).toEqual(
      credited("gae", { lam: 0.5, whiten_advantage: false }),
    );
    expect(run(["--method", "grpo", "-p", "std_scope=batch", "-p", "eps=1e-4"])).toEqual(
      credited("grpo", { std_scope: "batch", eps: 1e-4 }),
    );
  });

  test("from a file, with --param on top", () => {
    const params = JSON.stringify({ lam: 0.5, gamma: 0.9 });
    expect(run(["--method", "gae", "--params", "p.json", "-p", "gamma=1"], { "p.json": params })).toEqual(
      credited("gae", { lam: 0.5, gamma: 1 }),
    );
  });

  test("presets", () => {
    expect(run(["--method", "reinforce-pp", "--preset", "verl"])).toEqual(credited("reinforce-pp", { whiten_ddof: 1 }));
  });

  test("several methods: columns carry the name of their method, parameters go where they belong", () => {
    const params = JSON.stringify({ gae: { lam: 0.5 }, eps: 0.5 });
    const args = ["--methods", "grpo,gae", "--method", "rloo", "--params", "p.json", "-p", "gae.gamma=0.9"];
    const [first] = run(args, { "p.json": params });
    expect(first.tokens?.grpo_advantage).toEqual(credited("grpo", { eps: 0.5 })[0].tokens?.advantage);
    expect(first.tokens?.gae_advantage).toEqual(credited("gae", { lam: 0.5, gamma: 0.9 })[0].tokens?.advantage);
    expect(first.tokens?.rloo_advantage).toEqual(credited("rloo")[0].tokens?.advantage);
    expect(first.tokens).not.toHaveProperty("advantage");
  });

  test("only the columns of credit, or those and some more", () => {
    expect(run(["--method", "grpo", "--columns-only"])[0]).toEqual({
      id: "a",
      group: "g",
      advantage: credited("grpo")[0].advantage,
      tokens: { advantage: credited("grpo")[0].tokens?.advantage, weight: [0.5, 0.5] },
    });
    const kept = run(["--method", "grpo", "--keep", "tokens.id,turns"])[0];
    expect(Object.keys(kept.tokens ?? {}).sort()).toEqual(["advantage", "id", "weight"]);
    expect(kept.turns).toEqual(a.turns);
    expect(kept).not.toHaveProperty("reward");
  });

  test("trees of turns are read as the option says", () => {
    const tree = { id: "t", reward: 1, tokens: { id: [1, 2] }, turns: { end: [1, 2], parent: [-1, -1] } };
    const input = lines(tree, { ...tree, id: "u", reward: 0 });
    const trunk = apportion(["assign", "-", "--method", "grpo", "--branches", "trunk"], { input });
    expect(trunk.code).toBe(0);
    expect(parsed(trunk.stdout)[0].tokens?.advantage?.[0]).toBe(0);
  });
});

describe("lines that do not conform", () => {
  const mixed = lines(a, "{", b, { ...a, reward: "x", id: "c" }, a);

  test("are skipped into a file with the reason, and counted", () => {
    const folder = withFiles({ "in.jsonl": mixed });
    const args = ["assign", "in.jsonl", "--method", "grpo", "-o", "out.jsonl", "--on-error", "skip"];
    const { code, stderr } = apportion(args, { cwd: folder.path });
    expect(code).toBe(0);
    expect(stderr).toContain("3 rollouts skipped (see out.jsonl.rejects.jsonl)");
    expect(parsed(readFileSync(join(folder.path, "out.jsonl"), "utf8"))).toEqual(credited("grpo"));
    const rejects = parsed(readFileSync(join(folder.path, "out.jsonl.rejects.jsonl"), "utf8"));
    expect(rejects.map(({ line }) => line)).toEqual([2, 4, 5]);
    expect(rejects[1]).toMatchObject({ file: "in.jsonl", rollout: "c", text: mixed.split("\n")[3] });
    expect(rejects[1].reason).toMatch(/rollout\.reward.*expected a number/);
  });

  test("a method that reads twice reports them once", () => {
    const folder = withFiles({ "in.jsonl": mixed });
    const args = ["assign", "in.jsonl", "--method", "gae", "-o", "-", "--on-error", "skip", "--rejects", "bad.jsonl"];
    const { stderr } = apportion([...args, "--memory", "1MB"], { cwd: folder.path });
    expect(stderr).toContain("3 rollouts skipped (see bad.jsonl)");
    expect(folder.list()).toEqual(["bad.jsonl", "in.jsonl"]);
  });

  test("no file of rejects without rejects, or when the run failed", () => {
    const folder = withFiles({ "in.jsonl": good, "mixed.jsonl": lines("{", { ...a, tokens: { id: [1, 2] } }) });
    const args = ["--method", "gae", "-o", "out.jsonl", "--on-error", "skip"];
    expect(apportion(["assign", "in.jsonl", ...args], { cwd: folder.path }).code).toBe(0);
    expect(folder.list()).toEqual(["in.jsonl", "mixed.jsonl", "out.jsonl"]);
    expect(apportion(["assign", "mixed.jsonl", ...args], { cwd: folder.path }).code).toBe(2);
    expect(folder.list()).toEqual(["in.jsonl", "mixed.jsonl", "out.jsonl"]);
  });
});

test("warnings of a method are told once", () => {
  const { stderr } = apportion(["assign", "-", "--method", "reinforce-pp"], { input: good });
  expect(stderr.match(/apportion: warning: all rollouts belong to one prompt/g)).toHaveLength(1);
  expect(apportion(["assign", "-", "--method", "reinforce-pp", "-q"], { input: good }).stderr).toBe("");
});

test("a fault of ours is told apart from bad input, and --debug shows where", () => {
  const folder = withFiles({ "in.jsonl": good });
  const sabotage = `
    import fs from "node:fs/promises";
    import { syncBuiltinESMExports } from "node:module";
    fs.readdir = () => { throw new RangeError("broken on purpose"); };
    syncBuiltinESMExports();`;
  writeFileSync(join(folder.path, "preload.mjs"), sabotage);
  const options = { cwd: folder.path, node: ["--import", join(folder.path, "preload.mjs")] };
  const quiet = apportion(["vectors"], options);
  expect(quiet.code).toBe(1);
  expect(quiet.stderr).toMatch(/^apportion: this is a fault in apportion.*broken on purpose.*--debug.*\n$/);
  const loud = apportion(["vectors", "--debug"], options);
  expect(loud.stderr).toMatch(/broken on purpose[\s\S]*\n {4}at /);
});
