import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { shortNames } from "../../src/cli/reproduce/pictures.ts";
import { experiments } from "../../src/lab/experiments/registry.ts";
import { remaining } from "../../src/lab/experiments/remaining.ts";
import { methods } from "../../src/methods/registry.ts";
import { apportion, folderWith, startApportion } from "./run-cli.ts";

const read = (...path: string[]) => readFileSync(join(...path), "utf8");

test("tempo: a verdict, a page with plots and numbers, and trials that are kept", () => {
  const { path: cwd } = folderWith({}, onTestFinished);
  const args = ["reproduce", "tempo", "--seeds", "3", "--out", "docs"];
  const { code, stdout, stderr } = apportion([...args, "--width", "90"], { cwd });
  expect([code, stderr]).toEqual([0, "wrote docs/claims.md\n"]);
  for (const part of ["3 of 30 seeds", "TEMPO needs at most 0.65 times", "✓", "claimed relations", "▆", "█"]) {
    expect(stdout).toContain(part);
  }
  expect(stdout).toMatch(/ (shown|mixed|not shown) \d of 3 claimed relations\n/);
  expect(stdout.split("\n").filter((line) => [...line].length > 90)).toEqual([]);

  expect(readdirSync(join(cwd, "docs", "claims")).sort()).toEqual(["tempo-1.svg", "tempo-2.svg", "tempo.json"]);
  const page = read(cwd, "docs", "claims.md");
  for (const [, file] of page.matchAll(/\]\((claims\/[^)]+)\)/g))
    expect(existsSync(join(cwd, "docs", file))).toBe(true);
  expect(page).toMatch(/\| \[tempo\]\(#tempo\) \| .* \| (shown|mixed \(\d of 3\)|not shown) \| .* \| 3 \| [\d.]+ \|/);
  const evidence = JSON.parse(read(cwd, "docs", "claims", "tempo.json"));
  expect(evidence).toMatchObject({ id: "tempo", seeds: 3, wantedSeeds: 30, notes: null });
  expect(evidence.measures["grpo updates, G = 8"]).toHaveLength(3);

  const kept = join(cwd, ".apportion", "claims", "tempo");
  const names = [1, 2, 3].map((seed) => `v${evidence.version}-full-${seed}.json`);
  expect(readdirSync(kept).sort()).toEqual(names);
  const whole = JSON.parse(read(kept, names[0]));
  const other = { ...whole, trial: { ...whole.trial, measures: { ...whole.trial.measures, "grpo cosine": 0.25 } } };
  writeFileSync(join(kept, names[0]), JSON.stringify(other));
  writeFileSync(join(kept, names[1]), "{");
  const again = JSON.parse(apportion([...args.slice(0, 4), "--json"], { cwd }).stdout);
  expect(again[0].measures["grpo cosine"]).toEqual([0.25, ...evidence.measures["grpo cosine"].slice(1)]);
  expect(JSON.parse(read(kept, names[1])).trial.measures).toBeTypeOf("object");
  const fresh = JSON.parse(apportion([...args.slice(0, 4), "--json", "--fresh", "--threads", "1"], { cwd }).stdout);
  expect(fresh[0].measures).toEqual(evidence.measures);
});

test("an interrupt leaves whole trials behind, and the next run goes on from there", { timeout: 30_000 }, async () => {
  const { path: cwd } = folderWith({}, onTestFinished);
  const child = startApportion(["reproduce", "tempo", "--threads", "1"], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr?.on("data", (data) => {
    said += data;
  });
  const folder = join(cwd, ".apportion", "claims", "tempo");
  while (!existsSync(folder) || !readdirSync(folder).some((name) => name.endsWith(".json"))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([child.exitCode, said]).toEqual([null, ""]);
  }
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([130, null]);
  expect(said).toBe("apportion: interrupted\n");
  const kept = readdirSync(folder);
  expect(kept.length).toBeLessThan(30);
  for (const name of kept) expect(Object.keys(JSON.parse(read(folder, name)))).toContain("trial");
});

test("every card of the catalogue has an experiment or a reason for having none", () => {
  const listed = [...Object.keys(experiments), ...Object.keys(remaining)];
  expect(listed.toSorted()).toEqual([...methods.keys()]);
  for (const table of [experiments, remaining]) expect(Object.keys(table)).toEqual(Object.keys(table).toSorted());
  const { code, stdout } = apportion(["reproduce", "--list", "--json"]);
  expect(code).toBe(0);
  const cards: { id: string; seeds: number | null }[] = JSON.parse(stdout);
  expect(cards.map(({ id }) => id).toSorted()).toEqual([...methods.keys()]);
  expect(cards.filter(({ seeds }) => seeds === null).map(({ id }) => id)).toEqual(Object.keys(remaining));
  expect(apportion(["reproduce", "--list"]).stdout).toMatch(/tempo +30 seeds {2}Temporal differences/);
});

test.each([
  [["tmpo"], /unknown card "tmpo" \(did you mean tempo/],
  [[], /no card was named/],
  [["tempo", "--all"], /--all takes no names/],
  [["tempo", "--seeds", "0"], /--seeds is not valid/],
  [["tempo", "--seeds", "1", "--threads", "x"], /--threads is not valid/],
])("%j is refused", (args, message) => {
  const { path: cwd } = folderWith({}, onTestFinished);
  const { code, stdout, stderr } = apportion(["reproduce", ...args], { cwd });
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(message);
  expect(readdirSync(cwd)).toEqual([]);
});

test("long names of bars lose the words that all of them share, short ones stay whole", () => {
  const long = ["bad", "good"].map((kind) => `weight of the heuristic that was given, ${kind} one, at the end`);
  expect(shortNames(long)).toEqual(["bad", "good"]);
  const [first, second] = ["updates of grpo, a long name of more than forty-two characters", "updates of grpo, other"];
  expect(shortNames([first, second])).toEqual(["a long name of more than forty-two characters", "other"]);
  expect(shortNames(["grpo, G = 2", "grpo, G = 3"])).toEqual(["grpo, G = 2", "grpo, G = 3"]);
  expect(shortNames([first])).toEqual([first]);
  expect(shortNames([first, first])).toEqual(["characters", "characters"]);
});
