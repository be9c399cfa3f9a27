import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { exportBatches, exporters } from "../../../src/formats/export/index.ts";
import { batchFromObjects, type RolloutObject } from "../../../src/rollouts/index.ts";
import { answered, emptyFolder, exported } from "./credited.ts";

const turns: RolloutObject = {
  id: "t",
  group: "g",
  reward: 1,
  advantage: 0.5,
  messages: [
    { role: "system", content: "s" },
    { role: "user", content: "u" },
    { role: "assistant", content: "a1" },
    { role: "user", content: "u2" },
    { role: "assistant", content: "a2" },
  ],
  turns: { message: [2, 4], advantage: [-0.5, 0.25], end: [2, 4] },
  tokens: { id: [5, 6, 7, 8], mask: [1, 1, 0, 1], advantage: [0.5, -1, 0.5, 2], logprob: [-1, -2, 0, -3] },
};
const plain: RolloutObject = { id: "p", reward: 0, advantage: -0.5, meta: { prompt: "q", completion: "c" } };

test("trl: advantages per token with ids and mask, per rollout where there are no tokens", async () => {
  const { rows, report } = await exported("trl", [[turns], [plain]]);
  expect(rows[0]).toEqual({
    id: "t",
    group: "g",
    prompt: turns.messages?.slice(0, 2),
    completion: turns.messages?.slice(2),
    reward: 1,
    advantage: [0.5, -1, 0.5, 2],
    completion_ids: [5, 6, 7, 8],
    env_mask: [1, 1, 0, 1],
    logprobs: [-1, -2, 0, -3],
  });
  expect(rows[1]).toEqual({ id: "p", group: null, prompt: "q", completion: "c", reward: 0, advantage: -0.5 });
  expect(report).toMatchObject({ rollouts: 2, exported: 2, rows: 2, leftOut: [] });
  const scalar = await exported("trl", [[turns]], { advantage: "rollout.advantage" });
  expect(scalar.rows[0].advantage).toBe(0.5);
});

test("trl: what lacks a conversation or a credit, or is a tree, is left out", async () => {
  const tree = { ...turns, id: "tree", turns: { ...turns.turns, parent: [-1, -1] } };
  const { tokens: _, ...uncredited } = { ...turns, id: "u", advantage: null };
  const { report } = await exported("trl", [[turns, tree, uncredited, { id: "n", tokens: { advantage: [1] } }]]);
  expect(report.leftOut.map(({ reason, ids }) => [reason, ids[0]])).toEqual([
    ["a tree of turns (turns.parent) is not one conversation", "tree"],
    ["no tokens.advantage", "u"],
    ["neither messages nor meta.prompt and meta.completion", "n"],
  ]);
});

test("kto: above the threshold is desirable, at it is left out", async () => {
  const list = [1, 0, -1].map((advantage, k) => answered(`${k}`, "g", { advantage, reward: k / 2 }));
  const { rows, report } = await exported("kto", [list]);
  expect(rows.map((row) => [row.id, row.label])).toEqual([
    ["0", true],
    ["2", false],
  ]);
  expect(report.leftOut).toMatchObject([{ count: 1, ids: ["1"] }]);
  const byReward = await exported("kto", [list], { column: "rollout.reward" });
  expect(byReward.rows.map((row) => [row.id, row.label])).toEqual([
    ["0", false],
    ["2", true],
  ]);
  const strict = await exported("kto", [list], { column: "rollout.reward", threshold: 0.2 });
  expect(strict.rows.map((row) => row.label)).toEqual([false, true, true]);
});

test("sft: one weight per rollout; negative credit counts as nothing unless kept", async () => {
  const { rows, report } = await exported("sft", [[turns, plain]]);
  expect(rows).toEqual([{ id: "t", messages: turns.messages, weight: 0.5 }]);
  expect(report.leftOut).toEqual([{ reason: "no positive credit", count: 1, ids: ["p"] }]);
  const kept = await exported("sft", [[turns, plain]], { negative: "keep" });
  expect(kept.rows[1]).toEqual({ id: "p", prompt: "q", completion: "c", weight: -0.5 });
});

test("sft: each assistant message or token has its own weight", async () => {
  const byTurn = await exported("sft", [[turns]], { level: "turn" });
  const weights = (byTurn.rows[0].messages as { weight?: number }[]).map((message) => message.weight);
  expect(weights).toEqual([undefined, undefined, 0, undefined, 0.25]);
  const byToken = await exported("sft", [[turns]], { level: "token" });
  expect(byToken.rows[0]).toMatchObject({ completion_ids: [5, 6, 7, 8], weight: [0.5, 0, 0, 2] });
  const apart = { ...turns, turns: { advantage: [1, 1, 1] }, tokens: undefined };
  delete apart.tokens;
  await expect(exported("sft", [[apart]], { level: "turn" })).rejects.toThrow(/do not line up/);
  await expect(exported("sft", [[turns]], { level: "turn", column: "tokens.advantage" })).rejects.toThrow(/turn level/);
});

test("nothing appears when there is nothing to export, when it fails, or for unknown names", async () => {
  const folder = emptyFolder();
  const file = join(folder, "out.jsonl");
  const batch = batchFromObjects([answered("a", "g", { reward: 1 })]);
  const go = (exporter: string, params = {}) => exportBatches([batch], exporter, file, { params });
  await expect(go("preference")).rejects.toThrow(/nothing to export.*1 x alone in its group/);
  await expect(go("trl")).rejects.toThrow(/rollout\.advantage.*missing/);
  await expect(go("dpo")).rejects.toThrow(/unknown exporter "dpo".*kto, otlp, preference, sft, trl, verl/);
  await expect(go("sft", { levle: "turn" })).rejects.toThrow(/sft has no parameter levle.*level, column, negative/);
  await expect(go("sft", { level: "word" })).rejects.toThrow(/parameter level.*"word"/);
  async function* failing() {
    yield batch;
    throw new Error("lost");
  }
  await expect(exportBatches(failing(), "sft", file)).rejects.toThrow("lost");
  await expect(exportBatches([batch], "sft", folder)).rejects.toThrow(/directory/);
  expect(readdirSync(folder)).toEqual([]);
});

test("an earlier file stays until the new one is complete; names say the compression", async () => {
  const file = join(emptyFolder(), "out.jsonl.gz");
  const batch = batchFromObjects([answered("a", "g", { reward: 1 })]);
  await exportBatches([batch], "sft", file);
  const before = readFileSync(file);
  await expect(exportBatches([batch], "preference", file)).rejects.toThrow(/nothing to export/);
  expect(readFileSync(file)).toEqual(before);
  expect(JSON.parse(gunzipSync(before).toString())).toMatchObject({ id: "a", weight: 1 });
  expect(existsSync(file)).toBe(true);
});

test("exporters are listed by id with what they read", () => {
  expect([...exporters.keys()]).toEqual(["kto", "otlp", "preference", "sft", "trl", "verl"]);
  for (const exporter of exporters.values()) expect(exporter.reads.length).toBeGreaterThan(1);
});
