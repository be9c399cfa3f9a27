import { z } from "zod";
import type { Batch } from "../../rollouts/index.ts";
import { isObject } from "../import/fields.ts";
import { conversationOf, turnMessages } from "./conversation.ts";
import { type Credit, creditColumn, firstColumn, rowsOf, tokenLists } from "./credit.ts";
import { defineExporter, type Row, type Tally } from "./exporter.ts";

const params = z.object({
  level: z
    .enum(["rollout", "turn", "token"])
    .default("rollout")
    .describe("one weight per rollout, per assistant message or per token"),
  column: z
    .string()
    .optional()
    .describe("column of the credit (default: the advantage of the level; for rollouts else the reward)"),
  negative: z
    .enum(["zero", "keep"])
    .default("zero")
    .describe("negative credit: weight 0 (a rollout without any weight is left out), or keep it as it is"),
});
type Params = z.output<typeof params>;

const defaults = {
  rollout: ["rollout.advantage", "rollout.reward"],
  turn: ["turns.advantage"],
  token: ["tokens.advantage"],
} as const;

type Maker = (i: number, weights: number[]) => Row | string;

/** Whole conversations with one weight. */
function rolloutRows(batch: Batch): Maker {
  return (i, [weight]) => {
    const talk = conversationOf(batch, i);
    if (typeof talk === "string") return talk;
    if (talk.kind === "text") return { prompt: talk.prompt, completion: talk.completion, weight };
    return { messages: [...talk.prompt, ...talk.completion], weight };
  };
}

/** Conversations in which each message that opens a turn carries its own weight, and every other agent message 0. */
function turnRows(batch: Batch): Maker {
  return (i, weights) => {
    const talk = conversationOf(batch, i);
    if (typeof talk === "string") return talk;
    if (talk.kind === "text") {
      if (weights.length !== 1) return "turns and messages do not line up";
      return { prompt: talk.prompt, completion: talk.completion, weight: weights[0] };
    }
    const messages = [...talk.prompt, ...talk.completion];
    const at = turnMessages(batch, i, messages);
    if (at.length !== weights.length) return "turns and messages do not line up";
    const byMessage = new Map(at.map((k, turn) => [k, weights[turn]]));
    return {
      messages: messages.map((message, k) => {
        if (!isObject(message)) return message;
        const weight = byMessage.get(k) ?? (message.role === "assistant" ? 0 : undefined);
        return weight === undefined ? message : { ...message, weight };
      }),
    };
  };
}

/** Token ids with a weight each; tokens that the environment wrote get 0. */
function tokenRows(batch: Batch): Maker {
  const ids = tokenLists(batch, "tokens.id");
  const mask = tokenLists(batch, "tokens.mask");
  return (i, weights) => {
    const tokens = ids?.(i);
    const own = mask?.(i);
    if (tokens === undefined) return "no token ids (tokens.id)";
    const talk = conversationOf(batch, i);
    const prompt = typeof talk === "string" ? {} : { prompt: talk.prompt };
    const weight = own === undefined ? weights : weights.map((value, k) => (own[k] === 1 ? value : 0));
    return { ...prompt, completion_ids: tokens, weight };
  };
}

const makers = { rollout: rolloutRows, turn: turnRows, token: tokenRows } as const;

function creditOf(batch: Batch, p: Params): Credit {
  const path = p.column ?? firstColumn(batch, defaults[p.level]) ?? defaults[p.level][0];
  return creditColumn(batch, path);
}

function* rows(batch: Batch, tally: Tally, p: Params): Generator<Row> {
  const credit = creditOf(batch, p);
  if (credit.level !== p.level) {
    throw batch.wrongValue(credit.path, 0, `a column of the ${p.level} level`, `one of the ${credit.level} level`);
  }
  const make = makers[p.level](batch);
  for (let i = 0; i < batch.size; i++) {
    if (!credit.has(i)) {
      tally.leaveOut(batch.ids[i], `no ${credit.path}`);
      continue;
    }
    const weights = rowsOf(credit, i).map((value) => (p.negative === "zero" ? Math.max(value, 0) : value));
    const row = weights.every((value) => value === 0) ? "no positive credit" : make(i, weights);
    if (typeof row === "string") tally.leaveOut(batch.ids[i], row);
    else {
      tally.exported++;
      yield { id: batch.ids[i], ...row };
    }
  }
}

/** Supervised fine-tuning data weighted by credit. */
export const sft = defineExporter({
  id: "sft",
  title: "weighted SFT JSONL",
  describe:
    "One line per rollout: messages (or prompt and completion) with a weight, or messages whose assistant messages each " +
    "have one, or completion_ids with a weight per token. Negative credit counts as 0.",
  trainer: "weighted supervised fine-tuning (loss times weight)",
  format: "jsonl",
  reads: [
    "rollout.advantage | rollout.reward | turns.advantage | tokens.advantage",
    "messages | meta.prompt | tokens.id",
  ],
  params,
  start: (p) => (batch, tally) => rows(batch, tally, p),
});
