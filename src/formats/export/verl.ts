import { z } from "zod";
import type { Batch } from "../../rollouts/index.ts";
import { metaText, promptMessages } from "./conversation.ts";
import { creditColumn, rowsOf, tokenLists } from "./credit.ts";
import { defineExporter, type Row, type Tally } from "./exporter.ts";

const params = z.object({
  data_source: z
    .string()
    .default("apportion")
    .describe("verl's data_source of every row, unless meta.data_source says another"),
  ability: z.string().default("").describe("verl's ability of every row, unless meta.ability says another"),
  split: z.string().default("train").describe("split noted in extra_info"),
  advantage: z.string().default("tokens.advantage").describe("column of the advantages"),
  returns: z.string().default("tokens.return").describe("column of the returns; without it they equal the advantages"),
});
type Params = z.output<typeof params>;

/** Token columns that go out under verl's names when a rollout has them. */
const extraLists = {
  rollout_log_probs: "tokens.logprob",
  old_log_probs: "tokens.old_logprob",
  ref_log_prob: "tokens.ref_logprob",
  values: "tokens.value",
  loss_weights: "tokens.weight",
} as const;

function* rows(batch: Batch, tally: Tally, p: Params, start: number): Generator<Row> {
  const advantage = creditColumn(batch, p.advantage);
  const ids = tokenLists(batch, "tokens.id");
  const mask = tokenLists(batch, "tokens.mask");
  const returns = tokenLists(batch, p.returns);
  const lists = Object.entries(extraLists).map(([name, path]) => [name, tokenLists(batch, path)] as const);
  const scored = batch.has("rollout.reward") ? creditColumn(batch, "rollout.reward") : null;
  for (let i = 0; i < batch.size; i++) {
    const prompt = promptMessages(batch, i);
    const tokens = ids?.(i);
    if (tokens === undefined || tokens.length === 0) tally.leaveOut(batch.ids[i], "no token ids (tokens.id)");
    else if (!advantage.has(i)) tally.leaveOut(batch.ids[i], `no ${p.advantage}`);
    else if (prompt === null) tally.leaveOut(batch.ids[i], "no prompt: neither messages nor meta.prompt");
    else {
      const advantages = rowsOf(advantage, i);
      const row: Row = {
        data_source: metaText(batch, i, ["data_source"]) ?? p.data_source,
        prompt,
        ability: metaText(batch, i, ["ability"]) ?? p.ability,
        reward_model: {
          style: "rule",
          ground_truth: metaText(batch, i, ["gold_answer", "ground_truth", "answer"]) ?? "",
        },
        extra_info: { split: p.split, index: start + i, rollout_id: batch.ids[i] },
        uid: batch.groupNames[i] ?? batch.ids[i],
        score: scored?.has(i) ? scored.values[i] : null,
        response_ids: tokens,
        response_mask: mask?.(i) ?? tokens.map(() => 1),
        advantages,
        returns: returns?.(i) ?? advantages,
      };
      for (const [name, list] of lists) {
        const values = list?.(i);
        if (values !== undefined) row[name] = values;
      }
      tally.exported++;
      yield row;
    }
  }
}

/** Trainer-ready Parquet for verl. */
export const verl = defineExporter({
  id: "verl",
  title: "verl Parquet",
  describe:
    "One row per rollout: verl's data columns (data_source, prompt, ability, reward_model, extra_info), uid for the group, " +
    "and per token response_ids, response_mask, advantages and returns; log-probabilities, values and loss weights where known.",
  trainer: "verl: read by a trainer that overrides _compute_advantage, or by an estimator that looks rows up by uid",
  format: "parquet",
  reads: ["tokens.id", "tokens.advantage", "messages | meta.prompt", "tokens.mask?", "tokens.return?", "group?"],
  params,
  columns: {
    data_source: { type: "VARCHAR" },
    prompt: { type: "STRUCT(role VARCHAR, content VARCHAR)[]" },
    ability: { type: "VARCHAR" },
    reward_model: { type: "STRUCT(style VARCHAR, ground_truth VARCHAR)" },
    extra_info: { type: 'STRUCT(split VARCHAR, "index" BIGINT, rollout_id VARCHAR)' },
    uid: { type: "VARCHAR" },
    score: { type: "DOUBLE" },
    response_ids: { type: "INTEGER[]" },
    response_mask: { type: "INTEGER[]" },
    advantages: { type: "FLOAT[]" },
    returns: { type: "FLOAT[]" },
    rollout_log_probs: { type: "FLOAT[]", optional: true },
    old_log_probs: { type: "FLOAT[]", optional: true },
    ref_log_prob: { type: "FLOAT[]", optional: true },
    values: { type: "FLOAT[]", optional: true },
    loss_weights: { type: "FLOAT[]", optional: true },
  },
  start: (p) => {
    let start = 0;
    return function* (batch, tally) {
      yield* rows(batch, tally, p, start);
      start += batch.size;
    };
  },
});
