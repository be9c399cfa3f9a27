import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Advice } from "../../src/cli/render/advise.ts";
import { apportion, folderWith, lines } from "./run-cli.ts";

function file(...rollouts: readonly object[]): string {
  return join(folderWith({ "rollouts.jsonl": lines(...rollouts) }, onTestFinished).path, "rollouts.jsonl");
}

function advise(...args: string[]): Advice {
  const { code, stdout, stderr } = apportion(["advise", ...args, "--json"]);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as Advice;
}

const answersOf = ({ answers }: Advice) =>
  Object.fromEntries(answers.map(({ feature, value, by }) => [feature, [value, by]]));
const one = (id: string, reward: number, turns: object, more: object = {}) => ({
  id,
  group: "g",
  reward,
  turns,
  ...more,
});

test("states that come again are seen, and the method for them can run", () => {
  const path = file(one("a", 1, { state: ["s", "t"] }), one("b", 0, { state: ["s", "u"] }));
  const advice = advise(path);
  expect(answersOf(advice)).toEqual({
    multi_agent: [false, "file"],
    single_turn: [false, "file"],
    states_recur: [true, "file"],
  });
  expect(advice.recommend[0]).toMatchObject({ method: "gigpo", runs: true, missing: [] });
  expect(advice.recommend[0].command).toBe(`apportion assign ${path} --method gigpo -o credited.jsonl`);
  expect(apportion(advice.recommend[0].command.replace("credited.jsonl", "-").split(" ").slice(1)).code).toBe(0);
  const apart = advise(file(one("a", 1, { state: ["s", "s"] }), one("b", 0, { state: ["u", "v"] })));
  expect(answersOf(apart).states_recur).toEqual([false, "file"]);
});

test("teams, scores of steps, gold calls and shared beginnings are seen in the columns", () => {
  const team = (...agent: string[]) => ({ agent });
  const fixed = advise(file(one("a", 1, team("p", "q")), one("b", 0, team("q", "p"))));
  expect(answersOf(fixed)).toMatchObject({ multi_agent: [true, "file"], dynamic_team: [false, "file"] });
  const changing = advise(file(one("a", 1, team("p", "q")), one("b", 0, team("p", "r"))));
  expect(answersOf(changing).dynamic_team).toEqual([true, "file"]);
  expect(changing.recommend.find(({ method }) => method === "orchestration-traces")?.reason).toContain("team changes");
  const steps = { id: "a", reward: 1, tokens: { id: [1, 2] }, steps: { end: [1, 2], prm: [0.5, 0.2] } };
  const scored = advise(file(steps));
  expect(answersOf(scored).step_verifier_or_prm).toEqual([true, "file"]);
  expect(scored.recommend[0]).toMatchObject({ method: "pure", runs: true });
  const gold = advise(file(one("a", 1, { gt_logprob: [-2, -1] })));
  expect(gold.recommend.map(({ method }) => method)).toContain("igpo");
  const long = (id: string, last: number) => ({
    id,
    group: "g",
    reward: 1,
    tokens: { id: [1, 2, 3, 4, 5, 6, 7, 8, last] },
  });
  expect(answersOf(advise(file(long("a", 1), long("b", 2)))).shared_prefixes).toEqual([true, "file"]);
  const lone = [long("a", 1), { ...long("b", 2), group: "h" }];
  expect(answersOf(advise(file(...lone))).shared_prefixes).toEqual([false, "file"]);
});

test("an answer counts more than the file, and what nobody says is taken for no", () => {
  const path = file(one("a", 1, { state: ["s", "t"] }), one("b", 0, { state: ["s", "u"] }));
  const advice = advise(path, "--answer", "states_recur=no", "--answer", "judge_llm=YES");
  expect(answersOf(advice)).toMatchObject({
    states_recur: [false, "answer"],
    privileged_training_info: [false, "default"],
    judge_llm: [true, "answer"],
  });
  expect([...advice.recommend.map(({ as }) => as), ...advice.elsewhere]).toContain("hcapo");
});

test("what the file cannot feed comes last and says what it lacks", () => {
  const path = file(one("a", 1, { state: ["s", "t"] }), one("b", 0, { state: ["u", "v"] }));
  const { recommend } = advise(path);
  const runs = recommend.map((item) => item.runs);
  expect(runs).toEqual([...runs].sort((a, b) => Number(a === false) - Number(b === false)));
  const lacking = recommend.find(({ method }) => method === "turn-ppo");
  expect(lacking?.runs).toBe(false);
  expect(lacking?.missing.join()).toContain("turns.value");
  const shown = apportion(["advise", path, "--no-color", "--width", "80"]);
  expect(shown.stdout).toContain("the file lacks turns.value or tokens.value");
  expect(shown.stdout).toContain("Taken for no: privileged_training_info");
  for (const line of shown.stdout.split("\n")) expect(line.includes("apportion ") || line.length <= 80).toBe(true);
});

test("without a file the tree alone decides", () => {
  const advice = advise("--answer", "single_turn=yes", "--answer", "rollout_budget=y");
  expect(advice.file).toBeNull();
  expect(advice.recommend.slice(0, 2)).toMatchObject([
    { method: "vineppo", runs: null, command: "apportion methods vineppo --example" },
    { method: "spo", runs: null },
  ]);
  expect(advice.recommend.map(({ method }) => method)).toContain("rloo");
});

test.each([
  ["an unknown question", ["--answer", "judge=yes"], /judge_llm/],
  ["an answer that is neither", ["--answer", "judge_llm=maybe"], /expected yes or no, got maybe/],
  ["a file that is not there", ["no-such.jsonl"], /no such file/],
])("%s is refused", (_, args, message) => {
  const { code, stdout, stderr } = apportion(["advise", ...args]);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(message);
});
