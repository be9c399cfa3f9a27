import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { apportion, folderWith } from "./run-cli.ts";

const transition = [
  [
    [0, 1],
    [1, 0],
  ],
  [
    [1, 0],
    [0, 1],
  ],
];
const reward = [
  [
    [0, 1],
    [0, 0],
  ],
  [
    [0, 0],
    [0, 2],
  ],
];
const a = { reward, transition, gamma: 0.5 };
const map = (by: (x: number, s: number, t: number) => number) =>
  reward.map((rows, s) => rows.map((row) => row.map((x, t) => by(x, s, t))));

function files(b: unknown, first: unknown = a) {
  const { path } = folderWith({ "a.json": JSON.stringify(first), "b.json": JSON.stringify(b) }, onTestFinished);
  return [join(path, "a.json"), join(path, "b.json")];
}

test("a scaled and shaped reward is at distance 0, its negative at 2", () => {
  const phi = [3, -1];
  const shaped = map((x, s, t) => 4 * x + 0.5 * phi[t] - phi[s]);
  const same = JSON.parse(apportion(["starc", ...files(shaped), "--json"]).stdout);
  expect(same.distance).toBeCloseTo(0, 9);
  expect(same.regret.mean).toBeCloseTo(0, 9);
  expect(same.differences).toEqual([]);
  const opposite = JSON.parse(apportion(["starc", ...files({ reward: map((x) => -x) }), "--json"]).stdout);
  expect(opposite.distance).toBeCloseTo(2, 9);
  expect(opposite.regret.mean).toBeCloseTo(1, 9);
});

test("the tables show every form and the transitions that differ most", () => {
  const other = map((x, s, t) => (s === 1 && t === 0 ? 5 : x));
  const paths = files(other);
  const shown = apportion(["starc", ...paths, "--no-color", "--width", "80", "--top", "2"]);
  expect(shown.code).toBe(0);
  expect(shown.stderr).toBe("");
  for (const form of ["VAL", "VALPotential", "Minimal", "MinimalPotential", "EPIC", "DARD", "None"]) {
    expect(shown.stdout).toMatch(new RegExp(`^ ${form} +\\S+ +\\S+`, "m"));
  }
  const { differences, distance } = JSON.parse(apportion(["starc", ...paths, "--json"]).stdout);
  expect(shown.stdout).toContain(`distance ${distance.toFixed(2)}`);
  const gaps = differences.map(({ a: left, b: right }: { a: number; b: number }) => Math.abs(left - right));
  expect(gaps).toEqual([...gaps].sort((x, y) => y - x));
  expect(gaps.length).toBeGreaterThan(2);
  expect(differences[0]).toMatchObject({ state: 1, action: 0, next: 0, rawA: 0, rawB: 5 });
});

test("options change what is measured, and those of the file can be overruled", () => {
  const paths = files(map((x, s) => x + s));
  const measure = (...options: string[]) =>
    JSON.parse(apportion(["starc", ...paths, "--json", ...options]).stdout) as Record<string, unknown>;
  const plain = measure("--canonicalisation", "None", "--norm", "0", "--distance", "inf");
  expect(plain.distance).toBe(1);
  expect(measure("--gamma", "0.9").gamma).toBe(0.9);
  expect(measure("--init", "1,0").regret).toBeDefined();
});

test("a reward that cannot tell policies apart is called that", () => {
  const shown = apportion(["starc", ...files(map(() => 1)), "--no-color"]);
  expect(shown.stdout).toContain("all policies are worth the same");
});

test.each([
  ["a shape that does not fit", [[[1]]], a, [], /b\.json: reward has the wrong length; expected 2, got 1/],
  ["no transition", reward, { reward, gamma: 0.5 }, [], /neither file has a transition/],
  ["no discount", reward, { reward, transition }, [], /--gamma/],
  ["two processes", { ...a, gamma: 0.9 }, a, [], /b\.json: gamma is not the one of/],
  ["words for numbers", [[["x"]]], a, [], /b\.json: reward\.0\.0\.0 is not valid/],
  ["rows that do not sum to 1", reward, { ...a, transition: map(() => 1) }, [], /does not sum to 1/],
  ["an unknown form", reward, a, ["--canonicalisation", "VALUE"], /--canonicalisation/],
  ["a discount of 1", reward, a, ["--gamma", "1"], /gamma/],
  ["a start that is no distribution", reward, a, ["--init", "1,1"], /init does not sum to 1/],
])("%s is refused", (_, b, first, options, message) => {
  const { code, stdout, stderr } = apportion(["starc", ...files(b, first), ...options]);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(message);
});
