import { z } from "zod";
import type { Batch } from "../../rollouts/index.ts";
import { conversationOf } from "./conversation.ts";
import { defineExporter, type Row, type Tally } from "./exporter.ts";
import { rankingColumn } from "./preference.ts";

const params = z.object({
  column: z
    .string()
    .optional()
    .describe("rollout-level column that decides (default: rollout.advantage where there is one, else rollout.reward)"),
  threshold: z
    .number()
    .optional()
    .describe("desirable above, undesirable below, left out at it (default: 0 for an advantage, 0.5 for a reward)"),
});
type Params = z.output<typeof params>;

function isReward(path: string): boolean {
  return path === "rollout.reward" || path.startsWith("rewards.");
}

function* rows(batch: Batch, tally: Tally, p: Params): Generator<Row> {
  const credit = rankingColumn(batch, p.column);
  const threshold = p.threshold ?? (isReward(credit.path) ? 0.5 : 0);
  for (let i = 0; i < batch.size; i++) {
    const talk = conversationOf(batch, i);
    if (!credit.has(i)) tally.leaveOut(batch.ids[i], `no ${credit.path}`);
    else if (typeof talk === "string") tally.leaveOut(batch.ids[i], talk);
    else if (credit.values[i] === threshold)
      tally.leaveOut(batch.ids[i], `${credit.path} is ${threshold}: neither good nor bad`);
    else {
      tally.exported++;
      yield { id: batch.ids[i], prompt: talk.prompt, completion: talk.completion, label: credit.values[i] > threshold };
    }
  }
}

/** Single answers marked desirable or not, for KTO. */
export const kto = defineExporter({
  id: "kto",
  title: "KTO JSONL",
  describe: "One line per rollout: prompt, completion and label, true where the credit is above the threshold.",
  trainer: "TRL KTOTrainer",
  format: "jsonl",
  reads: ["rollout.advantage | rollout.reward", "messages | meta.prompt"],
  params,
  start: (p) => (batch, tally) => rows(batch, tally, p),
});
