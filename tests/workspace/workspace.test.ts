import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readRollouts } from "../../src/formats/read.ts";
import { batchFromObjects, concatBatches, rolloutObjects } from "../../src/rollouts/index.ts";
import { query } from "../../src/workspace/query.ts";
import { Workspace } from "../../src/workspace/workspace.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "apportion-workspace-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const rollout = (id: string, group: string, reward: number) => ({
  id,
  group,
  reward,
  turns: { end: [2, 3], state: ["hall", `room of ${id}`], reward: [0, reward] },
  tokens: { id: [1, 2, 3], advantage: [0.5, -0.25, reward] },
  meta: { note: `it's "${id}"` },
});
const few = batchFromObjects([rollout("a", "g", 1), rollout("b", "g", 0)]);
const more = batchFromObjects([{ id: "c", reward: 0.5 }]);

test("what was added comes back as it was, from files that every other command reads", async () => {
  const workspace = await Workspace.open(folder);
  expect(await workspace.add("first", [few, more], { source: "a test" })).toEqual({ rollouts: 3, tokens: 6 });
  const back = await readRollouts(await workspace.files("first"));
  expect([...rolloutObjects(back)]).toEqual([...rolloutObjects(concatBatches([few, more]))]);
  const [summary] = await (await Workspace.existing(folder)).list();
  expect(summary).toMatchObject({ name: "first", source: "a test", rollouts: 3, tokens: 6 });
  expect(summary.bytes).toBeGreaterThan(100);
});

test("a source that fails leaves no run", async () => {
  const workspace = await Workspace.open(folder);
  const failing = (async function* () {
    yield few;
    throw new Error("the line was cut");
  })();
  await expect(workspace.add("first", failing)).rejects.toThrow("the line was cut");
  expect(readdirSync(join(folder, "runs"))).toEqual([]);
  await workspace.add("first", [few]);
  await expect(workspace.add("first", [more])).rejects.toThrow('there is already a run "first"');
  expect(readdirSync(join(folder, "runs"))).toEqual(["first"]);
});

test("a run grows by parts, each seen as soon as it is acknowledged; ids stay unique", async () => {
  const workspace = await Workspace.open(folder);
  const writer = await workspace.create("live");
  expect((await workspace.summary("live")).rollouts).toBe(0);
  await writer.append(few);
  expect((await workspace.summary("live")).rollouts).toBe(2);
  await expect(writer.append(few)).rejects.toThrow("this id is already in the run");
  const later = await workspace.append("live");
  await expect(later.append(batchFromObjects([{ id: "a", reward: 0 }]))).rejects.toThrow('rollout "a"');
  await later.append(more);
  expect((await query(workspace, "select id from rollouts order by id")).rows).toEqual([["a"], ["b"], ["c"]]);
  await workspace.remove("live");
  expect(await workspace.names()).toEqual([]);
  await expect(workspace.remove("live")).rejects.toThrow('there is no run "live"');
});

test("SQL sees runs, rollouts and the rows of every level", async () => {
  const workspace = await Workspace.open(folder);
  await workspace.add("one", [few]);
  await workspace.add("two", [more]);
  const rows = async (sql: string) => (await query(workspace, sql)).rows;
  expect(await rows("select name, rollouts, tokens from runs order by name")).toEqual([
    ["one", 2, 6],
    ["two", 1, 0],
  ]);
  expect(await rows("select run, count(*), avg(reward) from rollouts group by run order by run")).toEqual([
    ["one", 2, 0.5],
    ["two", 1, 0.5],
  ]);
  expect(await rows(`select rollout, "group", index, state, reward from turns order by rollout, index`)).toEqual([
    ["a", "g", 0, "hall", 0],
    ["a", "g", 1, "room of a", 1],
    ["b", "g", 0, "hall", 0],
    ["b", "g", 1, "room of b", 0],
  ]);
  expect(await rows("select sum(advantage), max(index) from tokens")).toEqual([[1.5, 2]]);
  expect(await rows("select count(*) from steps")).toEqual([[0]]);
  expect(await query(workspace, "select index from tokens", 4)).toMatchObject({ columns: ["index"], more: true });
});

test("an empty workspace answers, too", async () => {
  const workspace = await Workspace.open(folder);
  expect((await query(workspace, "select count(*) from rollouts")).rows).toEqual([[0]]);
  expect((await query(workspace, "select count(*) from turns")).rows).toEqual([[0]]);
});

test.each([
  ["select * from nowhere", "nowhere"],
  ["select", "the query was refused"],
  ["select * from read_csv('/etc/hostname')", "disabled"],
  ["copy (select 1) to 'x.csv'", "disabled"],
  ["attach 'x.db'", "disabled"],
  ["set enable_external_access = true", "refused"],
  ["install httpfs", "disabled"],
])("a query that is wrong, or reaches outside, is refused: %s", async (sql, reason) => {
  const workspace = await Workspace.open(folder);
  await workspace.add("one", [few]);
  await expect(query(workspace, sql)).rejects.toThrow(reason);
});

test.each(["", "..", "a/b", ".hidden", "a b", "x".repeat(101), "a.tmp", "é"])("not a name: %j", async (name) => {
  const workspace = await Workspace.open(folder);
  await expect(workspace.create(name)).rejects.toThrow("not a name for a run");
  await expect(workspace.files(name)).rejects.toThrow("not a name for a run");
});

test("drafts of processes that are gone are cleared away, those of living ones are not", async () => {
  const runs = join(folder, "runs");
  mkdirSync(runs, { recursive: true });
  const living = `.live.${process.pid}.0123abcd.tmp`;
  for (const name of [living, ".dead.999999999.0123abcd.tmp"]) mkdirSync(join(runs, name));
  const workspace = await Workspace.open(folder);
  expect(readdirSync(runs)).toEqual([living]);
  expect(await workspace.names()).toEqual([]);
});

test("a damaged manifest is named", async () => {
  const workspace = await Workspace.open(folder);
  await workspace.add("one", [few]);
  const file = join(folder, "runs", "one", "manifest.json");
  writeFileSync(file, readFileSync(file, "utf8").slice(0, 20));
  await expect(workspace.manifest("one")).rejects.toThrow("manifest of the run is damaged");
  expect(await workspace.list()).toEqual([]);
});

test("there is nothing to read where no workspace is", async () => {
  await expect(Workspace.existing(join(folder, "none"))).rejects.toThrow("there is no workspace here");
});
