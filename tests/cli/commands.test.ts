import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { halfTrained } from "../../src/lab/environments/key-door-policy.ts";
import { sampleKeyDoor } from "../../src/lab/environments/key-door-rollouts.ts";
import { built } from "./dist.ts";
import { apportion, folderWith, lines } from "./run-cli.ts";

const sampled = lines(
  ...sampleKeyDoor({ tasks: [{ lockers: 4, turns: 4, porter: 0.6 }], size: 8, policy: halfTrained, seed: 3 }),
);

/** Lines of the output that are wider than a terminal of this width. */
const tooWide = (text: string, width: number) => text.split("\n").filter((line) => [...line].length > width);

test("demo needs no files, is quick, and says what to type next; what it says works", ({ onTestFinished }) => {
  const folder = folderWith({}, onTestFinished);
  const started = performance.now();
  const { code, stdout, stderr } = apportion(["demo", "--width", "80"], { cwd: folder.path });
  expect([code, stderr]).toEqual([0, ""]);
  expect(performance.now() - started).toBeLessThan(10_000);
  expect(folder.list()).toEqual(["apportion-demo"]);
  for (const part of [
    "A success",
    "A failure of the same group",
    "truth",
    "grpo",
    "gigpo",
    "igpo",
    "tempo",
    "rank correlation",
  ]) {
    expect(stdout).toContain(part);
  }
  const next = stdout
    .slice(stdout.indexOf("Try next"))
    .split("\n")
    .filter((line) => line.includes("apportion-demo/"));
  expect(next).toHaveLength(3);
  for (const line of next) {
    const args = line.trim().split(" ");
    const from = args.findIndex((word) => ["inspect", "compare", "methods"].includes(word));
    const ran = apportion(args.slice(from), { cwd: folder.path });
    expect([line, ran.code, ran.stderr]).toEqual([line, 0, ""]);
  }
  expect(tooWide(stdout.slice(0, stdout.indexOf("Files")), 80)).toEqual([]);
});

test("demo may be run again, and gives the same files", ({ onTestFinished }) => {
  const folder = folderWith({}, onTestFinished);
  const file = join(folder.path, "out", "rollouts.jsonl");
  apportion(["demo", "--out", "out"], { cwd: folder.path });
  const first = readFileSync(file, "utf8");
  expect(apportion(["demo", "--out", "out"], { cwd: folder.path }).code).toBe(0);
  expect(readFileSync(file, "utf8")).toBe(first);
  apportion(["demo", "--out", "out", "--seed", "2"], { cwd: folder.path });
  expect(readFileSync(file, "utf8")).not.toBe(first);
});

test("demo leaves a folder alone that is not its own", ({ onTestFinished }) => {
  const folder = folderWith({ "apportion-demo/rollouts.jsonl": "mine", file: "x" }, onTestFinished);
  const { code, stderr } = apportion(["demo"], { cwd: folder.path });
  expect(code).toBe(2);
  expect(stderr).toContain("this folder holds other files (name another one with --out)");
  expect(readFileSync(join(folder.path, "apportion-demo", "rollouts.jsonl"), "utf8")).toBe("mine");
  expect(apportion(["demo", "--out", "file"], { cwd: folder.path })).toMatchObject({ code: 2, stdout: "" });
  expect(existsSync(join(folder.path, "file", "rollouts.jsonl"))).toBe(false);
});

test("inspect shows groups and a rollout, as text and as JSON", ({ onTestFinished }) => {
  const { path } = folderWith({ "in.jsonl": sampled }, onTestFinished);
  expect(apportion(["assign", "in.jsonl", "--method", "igpo", "-o", "out.jsonl"], { cwd: path }).code).toBe(0);
  const shown = apportion(["inspect", "out.jsonl", "--width", "80"], { cwd: path });
  expect([shown.code, shown.stderr]).toEqual([0, ""]);
  expect(shown.stdout).toContain("8 rollouts in 1 group");
  expect(shown.stdout).toContain("turns.advantage");
  expect(tooWide(shown.stdout, 80)).toEqual([]);
  const json = apportion(["inspect", "out.jsonl", "--json", "--rollout", "4-lockers-4-turns-2"], { cwd: path });
  expect(JSON.parse(json.stdout)).toMatchObject({
    rollouts: 8,
    columns: ["turns.advantage"],
    groups: [{ name: "4-lockers-4-turns", size: 8 }],
    shown: [{ id: "4-lockers-4-turns-2", unit: "turn" }],
  });
});

test("inspect looks at one group only", ({ onTestFinished }) => {
  const { path } = folderWith(
    { "in.jsonl": lines({ id: "a", group: "x", reward: 1 }, { id: "b", reward: 0 }) },
    onTestFinished,
  );
  const { code, stdout } = apportion(["inspect", "in.jsonl", "--group", "x", "--json"], { cwd: path });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ rollouts: 1, groups: [{ name: "x" }], members: [{ id: "a", reward: 1 }] });
});

test("inspect says how to make credit where there is none, and takes standard input", () => {
  const { code, stdout } = apportion(["inspect", "-"], {
    input: lines({ id: "a", reward: 1, turns: { text: ["hi"] } }),
  });
  expect(code).toBe(0);
  expect(stdout).toContain("There is no credit in this file yet");
  expect(stdout).toContain("hi");
});

test("inspect names what it does not find", ({ onTestFinished }) => {
  const { path } = folderWith({ "in.jsonl": sampled }, onTestFinished);
  const says = (...args: string[]) => {
    const { code, stdout, stderr } = apportion(["inspect", "in.jsonl", ...args], { cwd: path });
    expect([code, stdout]).toEqual([2, ""]);
    return stderr;
  };
  expect(says("--rollout", "4-lockers-4-turns-99")).toContain('there is no rollout "4-lockers-4-turns-99"');
  expect(says("--group", "x")).toContain('there is no group "x"');
  expect(says("--column", "turns.advantage")).toContain("column turns.advantage");
  expect(says("--sort", "luck")).toContain("--sort is not valid; expected one of spread, mean");
  expect(says("--width", "3")).toContain("--width is not valid");
});

test("compare prints tables and disagreements, as text and as JSON", ({ onTestFinished }) => {
  const { path } = folderWith({ "in.jsonl": sampled }, onTestFinished);
  const args = ["compare", "in.jsonl", "--methods", "grpo,gigpo,pure", "--column", "turns.true_advantage"];
  const { code, stdout, stderr } = apportion([...args, "--width", "80"], { cwd: path });
  expect([code, stderr]).toEqual([0, ""]);
  for (const part of ["rank correlation (Spearman)", "same sign", "pure left out", "Where they disagree in sign"]) {
    expect(stdout).toContain(part);
  }
  expect(tooWide(stdout, 80)).toEqual([]);
  const json = JSON.parse(apportion([...args, "--json", "--top", "2", "--level", "turns"], { cwd: path }).stdout);
  expect(json).toMatchObject({ rollouts: 8, level: "turns", skipped: [{ id: "pure" }] });
  expect(json.spearman).toHaveLength(3);
  expect(json.spearman[1][1]).toBe(1);
  expect(json.disagreements).toHaveLength(2);
});

test("compare passes parameters on, and refuses what does not exist", ({ onTestFinished }) => {
  const { path } = folderWith({ "in.jsonl": sampled }, onTestFinished);
  const run = (...args: string[]) => apportion(["compare", "in.jsonl", ...args], { cwd: path });
  const sign = (...args: string[]) =>
    JSON.parse(run("--methods", "grpo,gigpo", "--json", "--level", "turns", ...args).stdout).pearson[0][1];
  expect(sign("--param", "gigpo.step_weight=0", "--param", "gigpo.episode_stats=trajectories")).toBeCloseTo(1, 9);
  expect(sign()).toBeLessThan(0.9999);
  expect(run("--methods", "grpo").stderr).toContain("at least two");
  expect(run("--methods", "grpo,grpoo").stderr).toContain("did you mean grpo");
  expect(run("--methods", "grpo,rloo", "--param", "rloo.x=1").stderr).toContain("unknown parameter x");
  expect(run("--methods", "pure,hiper")).toMatchObject({ code: 2, stdout: "" });
});

test("methods lists, filters and says what a file can feed", async ({ onTestFinished }) => {
  const { path } = folderWith({ "in.jsonl": sampled }, onTestFinished);
  const list = (...args: string[]) => JSON.parse(apportion(["methods", "--json", ...args], { cwd: path }).stdout);
  const ids = (...args: string[]) => list(...args).map(({ id }: { id: string }) => id);
  const { methods } = await built<typeof import("../../src/methods/registry.ts")>("methods/registry.js");
  expect(ids()).toEqual([...methods.keys()]);
  const turns = ids("--level", "turn", "--writes", "turns", "--scope", "group");
  expect(turns).toEqual(expect.arrayContaining(["gigpo", "igpo"]));
  for (const id of ["grpo", "gae", "tempo"]) expect(turns).not.toContain(id);
  const trees = ids("--methodology", "tree", "--search", "prefix TREE", "--year", "2025");
  expect(trees).toContain("tempo");
  expect(trees).not.toContain("gigpo");
  const feed = list("--for", "in.jsonl");
  const of = (id: string) => feed.feeds.find((one: { id: string }) => one.id === id);
  expect(of("igpo")).toMatchObject({
    runs: true,
    missing: [],
    optional: expect.arrayContaining(["signals.gt_logprob_0"]),
  });
  expect(of("grpo-process")).toMatchObject({ runs: false, missing: ["steps.prm"] });
  expect(apportion(["methods", "--level", "word"]).stderr).toContain("--level is not valid; expected one of");
  const table = apportion(["methods", "--width", "80"]).stdout;
  expect(tooWide(table, 80)).toEqual([]);
});

test("the example on every page of a method runs when it is pasted", ({ onTestFinished }) => {
  const { path } = folderWith({}, onTestFinished);
  for (const id of ["gigpo", "kl-shaping"]) {
    const page = apportion(["methods", id], { cwd: path }).stdout;
    const [make, run] = page.slice(page.indexOf("Try it")).split("\n").slice(1, 3);
    expect(make.trim()).toBe(`apportion methods ${id} --example > example.jsonl`);
    writeFileSync(join(path, "example.jsonl"), apportion(["methods", id, "--example"]).stdout);
    const { code, stdout } = apportion(run.trim().split(" ").slice(1), { cwd: path });
    expect([id, code]).toEqual([id, 0]);
    const [first] = stdout.split("\n").map((line) => line && JSON.parse(line));
    expect(first.tokens).toHaveProperty(id === "kl-shaping" ? "reward" : "advantage");
  }
  expect(apportion(["methods", "grpoo"]).stderr).toContain("did you mean grpo");
  expect(apportion(["methods", "--example"]).stderr).toContain("--example needs a method");
});

test("colours are for terminals, unless they are asked for", () => {
  const input = lines({ id: "a", reward: 1, turns: { text: ["hi"], advantage: [1] } });
  expect(apportion(["inspect", "-"], { input }).stdout).not.toContain("\x1b");
});
