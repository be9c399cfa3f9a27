import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect, test } from "vitest";
import { exportBatches } from "../../../src/formats/export/index.ts";
import { batchFromObjects, type RolloutObject } from "../../../src/rollouts/index.ts";
import { emptyFolder } from "./credited.ts";

const credited: RolloutObject = {
  id: "a",
  group: "g",
  reward: 1,
  messages: [
    { role: "system", content: 'it\'s "so"\u2028' },
    { role: "user", content: [{ type: "text", text: "2+2?" }] },
    { role: "assistant", content: "4" },
  ],
  tokens: { id: [5, 6, 7], mask: [1, 0, 1], advantage: [0.1, 0, -0.25], return: [1, 0, 0.5], logprob: [-1, 0, -2] },
  meta: { gold_answer: "4", ground_truth: "2+2=4", data_source: "sums" },
};
const plain: RolloutObject = {
  id: "b",
  reward: null,
  tokens: { id: [9], advantage: [2] },
  meta: { prompt: "q", completion: "c", ground_truth: { x: 1 } },
};

async function query(sql: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const rows = (await connection.runAndReadAll(sql)).getRowObjectsJson();
  connection.closeSync();
  instance.closeSync();
  return rows;
}

test("rows have verl's columns with nested types and per-token lists", async () => {
  const file = join(emptyFolder(), "it's [1].parquet");
  const report = await exportBatches(
    [batchFromObjects([credited, { id: "n", tokens: { id: [1] }, meta: {} }]), batchFromObjects([plain])],
    "verl",
    file,
    { params: { ability: "math" } },
  );
  expect(report).toMatchObject({ rollouts: 3, exported: 2, rows: 2 });
  expect(report.leftOut).toEqual([{ reason: "no tokens.advantage", count: 1, ids: ["n"] }]);
  const path = `'${file.replaceAll("'", "''").replaceAll("[", "[[]")}'`;
  const types = (await query(`DESCRIBE SELECT * FROM ${path}`)) as { column_name: string; column_type: string }[];
  expect(Object.fromEntries(types.map((type) => [type.column_name, type.column_type]))).toEqual({
    data_source: "VARCHAR",
    prompt: 'STRUCT("role" VARCHAR, "content" VARCHAR)[]',
    ability: "VARCHAR",
    reward_model: "STRUCT(style VARCHAR, ground_truth VARCHAR)",
    extra_info: 'STRUCT(split VARCHAR, "index" BIGINT, rollout_id VARCHAR)',
    uid: "VARCHAR",
    score: "DOUBLE",
    response_ids: "INTEGER[]",
    response_mask: "INTEGER[]",
    advantages: "FLOAT[]",
    returns: "FLOAT[]",
    rollout_log_probs: "FLOAT[]",
  });
  const [first, second] = (await query(`SELECT * FROM ${path}`)) as Record<string, unknown>[];
  expect(first).toMatchObject({
    data_source: "sums",
    prompt: [
      { role: "system", content: 'it\'s "so"\u2028' },
      { role: "user", content: "2+2?" },
    ],
    ability: "math",
    reward_model: { style: "rule", ground_truth: "4" },
    extra_info: { split: "train", index: "0", rollout_id: "a" },
    uid: "g",
    score: 1,
    response_ids: [5, 6, 7],
    response_mask: [1, 0, 1],
    advantages: [Math.fround(0.1), 0, -0.25],
    returns: [1, 0, 0.5],
    rollout_log_probs: [-1, 0, -2],
  });
  expect(second).toMatchObject({
    data_source: "apportion",
    prompt: [{ role: "user", content: "q" }],
    reward_model: { ground_truth: '{"x":1}' },
    extra_info: { index: "2" },
    uid: "b",
    score: null,
    response_mask: [1],
    returns: [2],
    rollout_log_probs: null,
  });
});

test("without token ids or credit nothing is written", async () => {
  const folder = emptyFolder();
  const write = (rollout: RolloutObject) =>
    exportBatches([batchFromObjects([rollout])], "verl", join(folder, "x.parquet"));
  await expect(write({ ...plain, tokens: { id: [9] } })).rejects.toThrow(/tokens\.advantage.*missing/);
  await expect(write({ ...plain, tokens: { advantage: [1] } })).rejects.toThrow(/nothing to export.*no token ids/);
  await expect(exportBatches([batchFromObjects([plain])], "verl", "-")).rejects.toThrow(/standard output/);
  expect(readdirSync(folder)).toEqual([]);
});

test("a row larger than DuckDB's usual limit goes through", async () => {
  const file = join(emptyFolder(), "long.parquet");
  const id = Array.from({ length: 1_200_000 }, (_, k) => k);
  const advantage = id.map((k) => k / 7);
  await exportBatches([batchFromObjects([{ ...plain, tokens: { id, advantage } }])], "verl", file);
  const [row] = (await query(`SELECT len(advantages) AS n, response_ids[1200000] AS last FROM '${file}'`)) as object[];
  expect(row).toEqual({ n: "1200000", last: 1_199_999 });
});
