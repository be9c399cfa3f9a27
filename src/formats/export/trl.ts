import { z } from "zod";
import type { Batch } from "../../rollouts/index.ts";
import { conversationOf } from "./conversation.ts";
import { creditColumn, firstColumn, rowsOf, tokenLists } from "./credit.ts";
import { defineExporter, type Row, type Tally } from "./exporter.ts";

const params = z.object({
  advantage: z
    .string()
    .optional()
    .describe("column of the advantage (default: tokens.advantage where there is one, else rollout.advantage)"),
});
type Params = z.output<typeof params>;

function* rows(batch: Batch, tally: Tally, p: Params): Generator<Row> {
  const path = p.advantage ?? firstColumn(batch, ["tokens.advantage", "rollout.advantage"]) ?? "rollout.advantage";
  const advantage = creditColumn(batch, path);
  const scored = batch.has("rollout.reward") ? creditColumn(batch, "rollout.reward") : null;
  const ids = tokenLists(batch, "tokens.id");
  const mask = tokenLists(batch, "tokens.mask");
  const logprob = tokenLists(batch, "tokens.logprob");
  for (let i = 0; i < batch.size; i++) {
    const talk = conversationOf(batch, i);
    if (typeof talk === "string") tally.leaveOut(batch.ids[i], talk);
    else if (!advantage.has(i)) tally.leaveOut(batch.ids[i], `no ${path}`);
    else {
      const tokens = ids?.(i);
      tally.exported++;
      yield {
        id: batch.ids[i],
        group: batch.groupNames[i],
        prompt: talk.prompt,
        completion: talk.completion,
        reward: scored?.has(i) ? scored.values[i] : null,
        advantage: advantage.level === "rollout" ? advantage.values[i] : rowsOf(advantage, i),
        ...(tokens === undefined ? {} : { completion_ids: tokens, env_mask: mask?.(i) ?? tokens.map(() => 1) }),
        ...(logprob?.(i) === undefined ? {} : { logprobs: logprob(i) }),
      };
    }
  }
}

/** JSON lines for TRL with the advantage computed beforehand. */
export const trl = defineExporter({
  id: "trl",
  title: "TRL JSONL with advantages",
  describe:
    "One line per rollout: prompt, completion, reward and advantage, a list per token (aligned with completion_ids and " +
    "env_mask) where the credit is per token, else one number.",
  trainer: "TRL: a GRPOTrainer that takes `advantages` of shape (B,) or (B, T) from the data set",
  format: "jsonl",
  reads: ["tokens.advantage | rollout.advantage", "messages | meta.prompt", "tokens.id?", "tokens.mask?"],
  params,
  start: (p) => (batch, tally) => rows(batch, tally, p),
});
