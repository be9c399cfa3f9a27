import { z } from "zod";
import { rowsToTokens, tokenSpans } from "../../operators/broadcast.ts";
import {
  greedyMatching,
  type Matrix,
  matrixFromRows,
  maxWeightMatching as maxWeightPartners,
} from "../../operators/matching.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { poolByGroup, poolByIndex } from "../../operators/pools.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { entropicTransport } from "../../operators/transport.ts";
import { type Batch, describe, InputError } from "../../rollouts/index.ts";
import { functionArgs, numberRows } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof } from "../parameters.ts";
import { similarityMatrix, toolSimilarity as similarityOfCalls, type ToolCall, toolCall } from "./tool-calls.ts";

const assignment = z
  .enum(["greedy", "hungarian", "ot"])
  .default("greedy")
  .describe("one to one, best pairs first (released code); one to one, optimal (paper); or a soft transport plan");
const penalty = z.number().min(0).default(0).describe("subtracted for a call without a partner (not with ot)");
const reg = z.number().positive().default(0.1).describe("strength of the entropy in assignment ot");
const caseSensitive = z.boolean().default(false).describe("whether tool names must agree in upper and lower case");

const params = z.object({
  assignment,
  penalty,
  reg,
  gamma: z.number().gt(0).max(1).default(0.9).describe("discount per turn"),
  combine: z
    .enum(["mean", "sum"])
    .default("mean")
    .describe("mean (released code) or sum (paper) of the advantages of the rollout and of the turn"),
  eps: z.number().min(0).default(1e-6).describe("added to the standard deviation, outside the root"),
  ddof: ddof(1),
  singleton: z
    .enum(["raw", "zero"])
    .default("raw")
    .describe("advantage of a value that is alone in its pool: the value itself (released code), or 0"),
  case_sensitive: caseSensitive,
});
type Params = z.output<typeof params>;
type Matching = Pick<Params, "assignment" | "penalty" | "reg">;

/** Reward of each predicted call: S of its partner or −penalty; with `ot` Σ_j Z_ij S_ij. */
function callRewards(similarity: Matrix, p: Matching): Float64Array {
  const { rows, columns, values } = similarity;
  const out = new Float64Array(rows);
  if (p.assignment === "ot") {
    const { values: plan } = entropicTransport(similarity, p.reg);
    for (let k = 0; k < plan.length; k++) out[Math.floor(k / columns)] += plan[k] * values[k];
    return out;
  }
  const partners = p.assignment === "greedy" ? greedyMatching(similarity) : maxWeightPartners(similarity);
  return out.map((_, i) => (partners[i] < 0 ? 0 - p.penalty : values[i * columns + partners[i]]));
}

/** Calls of one cell of `turns.tool_calls` or `meta.gold_calls`. */
function callsOf(cell: unknown, wrong: (expected: string, got: string) => InputError): ToolCall[] {
  if (!Array.isArray(cell)) throw wrong("a list of calls", describe(cell));
  return cell.map((call) => {
    try {
      return toolCall(call);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw wrong("calls of the form {name, arguments}", error.at.got ?? "something else");
    }
  });
}

/** Rewards of all turns: given (`turns.reward`), or worked out where a rollout has `turns.tool_calls`. */
function turnRewards(batch: Batch, p: Params): Float64Array {
  const offsets = batch.offsets("turn");
  const out = new Float64Array(batch.count("turn"));
  const given = batch.numbers("turns.reward", { absent: 0, missing: 0 });
  const givenValid = batch.validity("turns.reward");
  const cells = batch.has("turns.tool_calls") ? batch.cells("turns.tool_calls") : [];
  const gold = batch.cells("meta.gold_calls");
  const outcome = batch.numbers("rollout.reward", { absent: 0, missing: 0 });
  const answered = batch.validity("rollout.reward");
  for (let i = 0; i < batch.size; i++) {
    const from = offsets[i];
    const to = offsets[i + 1];
    if (!batch.hasIn("turns.tool_calls", i)) {
      if (!batch.hasIn("turns.reward", i)) throw batch.missing("turns.tool_calls", i, "or give turns.reward");
      for (let t = from; t < to; t++) {
        if (givenValid?.[t] === 0) throw batch.wrongValue("turns.reward", t, "a number", "null");
        out[t] = given[t];
      }
      continue;
    }
    const hasAnswer = to > from && (answered === null || answered[i] === 1);
    const tools = hasAnswer ? to - 1 : to;
    const calls: ToolCall[] = [];
    const ends: number[] = [];
    for (let t = from; t < tools; t++) {
      calls.push(...callsOf(cells[t], (expected, got) => batch.wrongValue("turns.tool_calls", t, expected, got)));
      ends.push(calls.length);
    }
    const reference = callsOf(gold[i] ?? [], (expected, got) => batch.wrongValue("meta.gold_calls", i, expected, got));
    const rewards = callRewards(similarityMatrix(calls, reference, p.case_sensitive), p);
    ends.forEach((end, k) => {
      const start = k === 0 ? 0 : ends[k - 1];
      for (let c = start; c < end; c++) out[from + k] += rewards[c] / (end - start);
    });
    if (hasAnswer) out[to - 1] = outcome[i];
  }
  return out;
}

/**
 * Credit of MatchTIR (arXiv 2601.10712). The tool calls of a rollout are matched with the reference calls; r_t is the
 * mean reward of the calls of turn t, the answer turn is paid the outcome. A^g normalises R = Σ r_t over the group, A^l_t
 * the return G_t = Σ_{k ≥ t} γ^{k−t} r_k over the turns of the group with the same index; A_t is their mean or sum.
 */
function assign(batch: Batch, p: Params): Batch {
  const offsets = batch.offsets("turn");
  const rewards = turnRewards(batch, p);
  const totals = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) for (let t = offsets[i]; t < offsets[i + 1]; t++) totals[i] += rewards[t];
  const toGo = new Float64Array(rewards.length);
  reverseSumsInto({ offsets, rewards, gamma: p.gamma }, toGo);
  const spec = { ddof: p.ddof, eps: p.eps, singleton: p.singleton } as const;
  const ofRollout = normalizePools(totals, poolByGroup(batch, "rollout"), spec);
  const advantage = normalizePools(toGo, poolByIndex(batch, "turn"), spec);
  const share = p.combine === "mean" ? 0.5 : 1;
  for (let i = 0; i < batch.size; i++) {
    for (let t = offsets[i]; t < offsets[i + 1]; t++) advantage[t] = share * (ofRollout[i] + advantage[t]);
  }
  const columns = { "turns.reward": rewards, "rollout.advantage": ofRollout, "turns.advantage": advantage };
  if (!batch.hasLevel("token")) return batch.with(columns);
  tokenSpans(batch, "turn");
  return batch.with({ ...columns, "tokens.advantage": { later: () => rowsToTokens(batch, "turn", advantage) } });
}

function warnings(batch: Batch, p: Params): string[] {
  const found: string[] = [];
  const { count, offsets } = batch.groups();
  let alone = 0;
  for (let g = 0; g < count; g++) if (offsets[g + 1] - offsets[g] === 1) alone++;
  if (alone > 0 && p.singleton === "raw") {
    found.push(`${alone} of ${count} groups hold one rollout: with singleton raw its rewards are its advantages`);
  }
  const gold = batch.cells("meta.gold_calls");
  const unknown = batch.ids.filter((_, i) => batch.hasIn("turns.tool_calls", i) && (gold[i] ?? null) === null);
  if (unknown.length > 0) {
    const rollouts = unknown.length === 1 ? "1 rollout has" : `${unknown.length} rollouts have`;
    found.push(`${rollouts} no meta.gold_calls (first ${JSON.stringify(unknown[0])}): no call of theirs is matched`);
  }
  return found;
}

const toolSimilarityArgs = z.object({ pred: z.unknown(), gold: z.unknown(), case_sensitive: caseSensitive });

/**
 * Similarity of a predicted call `pred` and a reference call `gold`, 0 to 1.
 * @throws InputError when one of them is not an object with a name.
 */
export function toolSimilarity(args: z.input<typeof toolSimilarityArgs>): number {
  const { pred, gold, case_sensitive } = functionArgs(toolSimilarityArgs, args);
  return similarityOfCalls(toolCall(pred), toolCall(gold), case_sensitive);
}

const matchRewardsArgs = z.object({ similarity: numberRows, assignment, penalty, reg });

/** Reward of each row of a similarity matrix (predicted calls × reference calls); parameters as of the method. */
export function matchRewards(args: z.input<typeof matchRewardsArgs>): number[] {
  const { similarity, ...matching } = functionArgs(matchRewardsArgs, args);
  return [...callRewards(matrixFromRows(similarity, "similarity"), matching)];
}

const transportArgs = z.object({ similarity: numberRows, reg });

/** Transport plan with row sums 1/m and column sums 1/n that minimises ⟨Z, −S⟩ − reg · H(Z). */
export function optimalTransport(args: z.input<typeof transportArgs>): number[][] {
  const { similarity, reg } = functionArgs(transportArgs, args);
  const { rows, columns, values } = entropicTransport(matrixFromRows(similarity, "similarity"), reg);
  return Array.from({ length: rows }, (_, i) => [...values.subarray(i * columns, (i + 1) * columns)]);
}

const matchingArgs = z.object({ similarity: numberRows });

/** Maximum-weight matching: for each row the column it is matched with, null where it is left over. */
export function maxWeightMatching(args: z.input<typeof matchingArgs>): (number | null)[] {
  const { similarity } = functionArgs(matchingArgs, args);
  return Array.from(maxWeightPartners(matrixFromRows(similarity, "similarity")), (j) => (j < 0 ? null : j));
}

export const matchtir = defineMethod({
  id: "matchtir",
  title: "MatchTIR: turn rewards by bipartite matching, dual-level advantage",
  summary:
    "Match the tool calls of a rollout one to one (or softly) with the reference calls, pay each turn the mean similarity of its matched calls and the answer the outcome, and add a rollout-level and a same-depth turn-level group advantage.",
  facts: {
    paper: {
      title: "MatchTIR: Fine-Grained Supervision for Tool-Integrated Reasoning via Bipartite Matching",
      arxiv: "2601.10712",
      date: "2026-01",
      repo: "quchangle1/MatchTIR",
    },
    headline: "Qwen3-8B averaged 39.28 on FTRL, 34.32 on BFCL and 39.92 on ToolHop; GRPO 34.63, 29.48 and 34.92.",
    granularity: "turn",
    methodology: ["verifier", "monte-carlo"],
    checked:
      "official code: similarity and hard rewards exact, advantages 3e-6 (float32 there), soft rewards 5e-5 (Sinkhorn stops early there)",
  },
  equations: [
    {
      text: "S = (1 + J + E) / (2 + |N_g|) when the names agree, else 0",
      tex: "S = \\frac{1 + J + E}{2 + |N_g|}",
    },
    {
      text: "r_t = mean over the calls of turn t of S with their partner",
      tex: "r_t = \\operatorname{mean}_i S_{i,\\pi(i)}",
    },
    {
      text: "A_t = ½ (norm(Σ_k r_k) + norm(Σ_{k ≥ t} γ^(k−t) r_k))",
      tex: "A_t = \\tfrac12\\left(\\operatorname{norm}\\textstyle\\sum_k r_k + \\operatorname{norm}\\sum_{k \\ge t}\\gamma^{k-t} r_k\\right)",
    },
  ],
  params,
  presets: { paper: { assignment: "hungarian", combine: "sum", case_sensitive: true }, official: {} },
  reads: [
    "turns.tool_calls | turns.reward",
    "meta.gold_calls?",
    "rollout.reward?",
    "group?",
    "turns.end?",
    "tokens.mask?",
  ],
  writes: ["turns.reward", "rollout.advantage", "turns.advantage", "tokens.advantage"],
  scope: "group",
  unscored: true,
  functions: { toolSimilarity, matchRewards, optimalTransport, maxWeightMatching },
  warnings,
  assign,
});
