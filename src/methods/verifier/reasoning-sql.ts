import { z } from "zod";
import { groupCredit, sumOfSomeChannels } from "../../operators/group-credit.ts";
import { codePointLength, lastBetween, words } from "../../operators/text.ts";
import type { Batch } from "../../rollouts/index.ts";
import { bit, functionArgs } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";
import { itemsOfSql, type SqlItems } from "./sql-items.ts";

const channels = ["execution", "syntax", "schema_linking", "format", "ngram"] as const;
const width = z
  .int()
  .min(1)
  .default(2)
  .describe("length of the n-grams of sqlNgramSimilarity; the credit does not use it");
const mode = z
  .enum(["recall", "jaccard"])
  .default("recall")
  .describe(
    "schemaLinkingReward: share of the gold items that are named, or over the union; the credit does not use it",
  );
const execScore = z
  .number()
  .positive()
  .default(3)
  .describe("reward of a right execution in executionReward; the credit does not use it");

const factor = z.number().optional();

const params = z.object({
  weights: z
    .strictObject({ execution: factor, syntax: factor, schema_linking: factor, format: factor, ngram: factor })
    .default({})
    .describe("factor of each channel, 1 where not named; the scales 3, 1, 1, 0.5, 1 already weigh them"),
  eps: positiveEps(1e-4),
  ddof: ddof(1),
  n: width,
  mode,
  exec_score: execScore,
});

/**
 * Credit of Reasoning-SQL (arXiv 2503.23157; first author's code): R = Σ_c w_c rewards.c over execution, syntax, schema
 * linking, format and n-grams (missing ones 0), A = (R − μ) / (σ + ε) inside the group, given to every policy token.
 */
function assign(batch: Batch, p: z.output<typeof params>): Batch {
  const weights = Object.fromEntries(channels.map((name) => [name, p.weights[name] ?? 1]));
  const reward = sumOfSomeChannels(batch, weights);
  return batch.with({ "rollout.reward": reward, ...groupCredit(batch, reward, { ddof: p.ddof, eps: p.eps }) });
}

const textArgs = z.object({ text: z.string() });

/** The query in the last fenced `sql` block of a response, trimmed; without a block the whole text. */
export function extractSql(args: z.input<typeof textArgs>): string {
  const { text } = functionArgs(textArgs, args);
  return lastBetween(text, "```sql", "```")?.trim() ?? text;
}

const cell = z.union([z.string(), z.number(), z.boolean(), z.null()], "text, a number or null");
const rows = z.array(z.array(cell)).nullable();
const matchArgs = z.object({ predicted: rows, gold: rows });

/**
 * 1 if the sets of result rows are equal and not empty, else 0: order and repetition do not count, cells compare by value
 * and type. Null = the query did not run.
 */
export function executionMatch(args: z.input<typeof matchArgs>): 0 | 1 {
  const { predicted, gold } = functionArgs(matchArgs, args);
  const set = (list: typeof gold) => new Set(list?.map((row) => JSON.stringify(row)));
  const wanted = set(gold);
  const given = set(predicted);
  if (wanted.size === 0 || wanted.size !== given.size) return 0;
  for (const row of given) if (!wanted.has(row)) return 0;
  return 1;
}

const executionArgs = z.object({
  sql: z.string(),
  match: z.union([bit, z.boolean()], "0 or 1"),
  judge: z.unknown().optional(),
  exec_score: execScore,
});

/** Largest score of the judge. */
const mostJudged = 2;

/** Whether a text can be a query at all, as the source asks: it holds SELECT in capitals. */
function selects(sql: string): boolean {
  return sql.includes("SELECT");
}

/**
 * Reward of execution: `exec_score` (3) if the results match, else the judge's score cut to 0…2 (0 when it gave no number);
 * 0 for a text without SELECT in capitals.
 */
export function executionReward(args: z.input<typeof executionArgs>): number {
  const { sql, match, judge, exec_score } = functionArgs(executionArgs, args);
  if (!selects(sql)) return 0;
  if (match) return exec_score;
  return typeof judge === "number" && Number.isFinite(judge) ? Math.min(Math.max(judge, 0), mostJudged) : 0;
}

const pairArgs = { predicted: z.string(), gold: z.string() };
const linkingArgs = z.object({ ...pairArgs, mode });

/**
 * Share of the gold query's tables and columns that the prediction names too (`jaccard`: of all that either names). Names
 * compare as written. 0 without SELECT in capitals, when a query cannot be scanned, or when the gold one names nothing.
 */
export function schemaLinkingReward(args: z.input<typeof linkingArgs>): number {
  const { predicted, gold, mode } = functionArgs(linkingArgs, args);
  const wanted = itemsOfSql(gold);
  const given = selects(predicted) ? itemsOfSql(predicted) : null;
  if (wanted === null || given === null) return 0;
  const names = (items: SqlItems) => new Set([...items.tables, ...items.columns]);
  const goldNames = names(wanted);
  const ownNames = names(given);
  const shared = [...goldNames].filter((name) => ownNames.has(name)).length;
  if (goldNames.size === 0) return 0;
  return shared / (mode === "recall" ? goldNames.size : goldNames.size + ownNames.size - shared);
}

/** Distinct n-grams of the words of a query in lower case, without AS and without its aliases. */
function ngrams(sql: string, n: number): Set<string> {
  const items = itemsOfSql(sql);
  const aliases = [...(items?.table_aliases ?? []), ...(items?.column_aliases ?? [])];
  const dropped = new Set(["as", ...aliases.map((name) => name.toLowerCase())]);
  const kept = words(sql.toLowerCase()).filter((word) => !dropped.has(word));
  const grams = new Set<string>();
  for (let k = 0; k + n <= kept.length; k++) grams.add(kept.slice(k, k + n).join(" "));
  return grams;
}

const ngramArgs = z.object({ ...pairArgs, n: width });

/** Jaccard index of the word n-grams of two queries, aliases and AS left out; 0 when neither has any. */
export function sqlNgramSimilarity(args: z.input<typeof ngramArgs>): number {
  const { predicted, gold, n } = functionArgs(ngramArgs, args);
  const given = ngrams(predicted, n);
  const wanted = ngrams(gold, n);
  const shared = [...wanted].filter((gram) => given.has(gram)).length;
  const union = given.size + wanted.size - shared;
  return union === 0 ? 0 : shared / union;
}

/** Reward of each tag that stands exactly once, and charge per character behind the end of the answer. */
const perTag = 0.125;
const perCharacter = 0.001;

/**
 * Reward of the layout `<reasoning>…</reasoning><answer>…</answer>` with each tag on its own line: 0.125 per tag that
 * occurs exactly once, less 0.001 per code point behind the answer. At most 0.5, may be negative.
 */
export function xmlFormatReward(args: z.input<typeof textArgs>): number {
  const { text } = functionArgs(textArgs, args);
  const once = (tag: string) => text.split(tag).length === 2;
  const behind = (tag: string) => codePointLength(text.split(tag).at(-1) as string);
  let reward = 0;
  if (once("<reasoning>\n")) reward += perTag;
  if (once("\n</reasoning>\n")) reward += perTag;
  if (once("\n<answer>\n")) reward += perTag - perCharacter * behind("\n</answer>\n");
  if (once("\n</answer>")) reward += perTag - perCharacter * (behind("\n</answer>") - 1);
  return reward;
}

const sqlArgs = z.object({ sql: z.string() });

/** Tables, columns and aliases that a query names (sorted), or null when it cannot be scanned. */
export function sqlSchemaItems(args: z.input<typeof sqlArgs>): SqlItems | null {
  return itemsOfSql(functionArgs(sqlArgs, args).sql);
}

export const reasoningSql = defineMethod({
  id: "reasoning-sql",
  title: "Reasoning-SQL: partial rewards for text-to-SQL",
  summary:
    "A text-to-SQL response is paid by the sum of five cheap partial rewards (execution or a judge, syntax, schema linking, n-grams, layout), and GRPO turns the sum into one advantage per response.",
  facts: {
    paper: {
      title:
        "Reasoning-SQL: Reinforcement Learning with SQL Tailored Partial Rewards for Reasoning-Enhanced Text-to-SQL",
      arxiv: "2503.23157",
      date: "2025-03",
      repo: "MohammadrezaPourreza/RLForSQL",
    },
    headline:
      "A 14B model trained by RL only beats o3-mini by 4 and Gemini 1.5 Pro by 3 points on BIRD; better than SFT at every size.",
    granularity: "reward-function",
    methodology: ["verifier", "judge", "monte-carlo"],
    checked:
      "first author's code: items of 4294 of 4294 Spider queries, n-grams 2123 of 2147 exact (largest difference 0.12), format exact",
    reconstructed: ["jaccard mode of schema linking", "the judge's score is cut to 0…2"],
  },
  equations: [
    {
      text: "R = execution (3 or judge 0…2) + syntax + schema_linking + n-gram + format (up to 0.5)",
      tex: "R_i = \\sum_c w_c\\,r_{ic}",
    },
    {
      text: "schema_linking = |I(gold) ∩ I(predicted)| / |I(gold)|, I = tables and columns",
      tex: "r = \\frac{|I(g) \\cap I(p)|}{|I(g)|}",
    },
    { text: "A = (R − μ) / (σ + ε)", tex: "A_i = \\frac{R_i - \\mu}{\\sigma + \\varepsilon}" },
  ],
  params,
  reads: [channels.map((name) => `rewards.${name}`).join(" | "), "group?", "tokens.mask?"],
  writes: ["rollout.reward", "rollout.advantage", "tokens.advantage"],
  scope: "group",
  functions: {
    extractSql,
    executionMatch,
    executionReward,
    schemaLinkingReward,
    sqlNgramSimilarity,
    xmlFormatReward,
    sqlSchemaItems,
  },
  assign,
});
