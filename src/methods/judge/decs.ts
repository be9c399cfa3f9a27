import { z } from "zod";
import { policyLengths, requireTokens } from "../../operators/mask.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { bits, wholeNumbers } from "../../operators/ranges.ts";
import { clearGaps, policyRuns } from "../../operators/runs.ts";
import { type Batch, type FloatArray, InputError, type NumericArray } from "../../rollouts/index.ts";
import { count, functionArgs, probability } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { positiveEps } from "../parameters.ts";
import { chunkEnds } from "./decs-chunks.ts";

const params = z.object({
  max_len: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("response budget in tokens, no less than the longest response (required; 16384 in the paper)"),
  bonus: z.number().positive().default(0.1).describe("what necessary tokens get on top of a reward of 1"),
  redundant_form: z
    .enum(["code", "paper"])
    .default("code")
    .describe("reward of redundant tokens as released, or as printed (lower by the bonus)"),
  eps: positiveEps(1e-6),
  kappa_lr: z.number().positive().default(0.2).describe("learning rate of nextEasyRatio; the credit does not use it"),
});
type Params = z.output<typeof params>;

/** Where the reasoning of each rollout stops being necessary and where it ends, as token offsets within the rollout. */
interface Prefixes {
  /** End of the first chunk that states the answer; −1 where nothing is redundant. */
  end: Int32Array;
  /** Chunks up to there over all chunks; 0 where nothing is redundant. */
  ratio: Float64Array;
  thinkEnd: NumericArray;
}

function thinkEnds(batch: Batch): NumericArray {
  const path = "signals.think_end";
  const tokens = batch.offsets("token");
  const given = wholeNumbers(batch, path, { absent: 0, missing: 0 });
  const known = batch.validity(path);
  return Int32Array.from(given, (end, i) => {
    const length = tokens[i + 1] - tokens[i];
    if (known !== null && known[i] === 0) return length;
    if (end < 0 || end > length) throw batch.wrongValue(path, i, `a token offset from 0 to ${length}`, `${end}`);
    return end;
  });
}

/** Necessary reasoning prefixes: chunks are the steps that start before the end of thinking, a crossing one is cut there. */
function prefixesOf(batch: Batch, rewards: NumericArray): Prefixes {
  // A response may have no chunks, but where no response has any they were forgotten.
  if (batch.count("token") > 0) batch.column("steps.has_answer");
  const hasAnswer = bits(batch, "steps.has_answer");
  const ends = batch.numbers("steps.end", { absent: 0 });
  const thinkEnd = thinkEnds(batch);
  const offsets = batch.offsets("step");
  const end = new Int32Array(batch.size).fill(-1);
  const ratio = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i + 1] > offsets[i] && !batch.hasIn("steps.end", i)) throw batch.missing("steps.end", i);
    let chunks = 0;
    let first = -1;
    for (let row = offsets[i], start = 0; row < offsets[i + 1] && start < thinkEnd[i]; start = ends[row++]) {
      chunks++;
      if (first < 0 && hasAnswer[row] === 1) first = row;
    }
    if (first < 0 || rewards[i] <= 0) continue;
    end[i] = Math.min(ends[first], thinkEnd[i]);
    ratio[i] = (first - offsets[i] + 1) / chunks;
  }
  return { end, ratio, thinkEnd };
}

/** Reward of the redundant tokens of each rollout. */
function redundantRewards(batch: Batch, rewards: NumericArray, p: Params): Float64Array {
  const { max_len, bonus } = p;
  if (max_len === null)
    throw new InputError("parameter max_len is missing", {
      expected: "the response budget in tokens; 16384 in the paper",
    });
  const lengths = policyLengths(batch);
  return Float64Array.from(rewards, (reward, i) => {
    if (lengths[i] > max_len)
      throw new InputError("the response is longer than max_len", {
        rollout: batch.ids[i],
        expected: `at most ${max_len} policy tokens`,
        got: `${lengths[i]}`,
      });
    const used = lengths[i] / max_len;
    return p.redundant_form === "code" ? reward + bonus * (1 - used) : reward * (1 - bonus * used);
  });
}

/**
 * Advantages position by position: A_ij = (r_ij − mean_j) / (std_j + ε) over all rollouts of the group, one that has ended
 * before j standing in with its full reward. Rewards change only where a prefix or a chain of thought ends, so
 * statistics are taken once per stretch between such offsets: O(G²) numbers per group of G beside one write per token.
 */
function positionAdvantages(
  batch: Batch,
  full: Float64Array,
  redundant: Float64Array,
  at: Prefixes,
  eps: number,
): FloatArray {
  const tokens = batch.offsets("token");
  const groups = batch.groups();
  const stretches: { from: number; to: number; members: Int32Array }[] = [];
  for (let g = 0; g < groups.count; g++) {
    const members = groups.members.subarray(groups.offsets[g], groups.offsets[g + 1]);
    const cuts = new Set([0]);
    for (const i of members) {
      cuts.add(tokens[i + 1] - tokens[i]);
      if (at.end[i] >= 0) cuts.add(at.end[i]).add(at.thinkEnd[i]);
    }
    const sorted = [...cuts].sort((a, b) => a - b);
    for (let k = 0; k + 1 < sorted.length; k++) stretches.push({ from: sorted[k], to: sorted[k + 1], members });
  }
  const rewardAt = (i: number, j: number) =>
    at.end[i] >= 0 && j >= at.end[i] && j < at.thinkEnd[i] ? redundant[i] : full[i];
  const values = stretches.flatMap(({ from, members }) => Array.from(members, (i) => rewardAt(i, from)));
  const of = Int32Array.from(stretches.flatMap(({ members }, k) => new Array<number>(members.length).fill(k)));
  const credit = normalizePools(values, { of, count: stretches.length }, { ddof: 1, eps, singleton: "raw" });
  const out = batch.zeros("token");
  let row = 0;
  for (const { from, to, members } of stretches) {
    for (const i of members) {
      const end = Math.min(tokens[i] + to, tokens[i + 1]);
      if (tokens[i] + from < end) out.fill(credit[row], tokens[i] + from, end);
      row++;
    }
  }
  clearGaps(out, policyRuns(batch));
  return out;
}

/**
 * Credit of DECS (arXiv 2509.25827; rewards as released). In a correct rollout the tokens up to the end of the first chunk
 * that states the answer are necessary; what the chain of thought adds after it is redundant. Every token gets R (1 + bonus),
 * a redundant one R + bonus (1 − L / max_len), and advantages are normalised per token position over the group.
 */
function assign(batch: Batch, p: Params): Batch {
  requireTokens(batch);
  const rewards = batch.numbers("rollout.reward");
  const prefixes = prefixesOf(batch, rewards);
  const full = Float64Array.from(rewards, (r) => r * (1 + p.bonus));
  const redundant = redundantRewards(batch, rewards, p);
  const { end, ratio, thinkEnd } = prefixes;
  const tokens = batch.offsets("token");
  const reward = batch.floats("token");
  for (let i = 0; i < batch.size; i++) {
    reward.fill(full[i], tokens[i], tokens[i + 1]);
    if (end[i] >= 0 && end[i] < thinkEnd[i]) reward.fill(redundant[i], tokens[i] + end[i], tokens[i] + thinkEnd[i]);
  }
  const advantage = positionAdvantages(batch, full, redundant, prefixes, p.eps);
  const found = Uint8Array.from(end, (x) => (x < 0 ? 0 : 1));
  return batch.with({
    "rollout.nrp_end": { values: end.map((x) => Math.max(x, 0)), valid: found },
    "rollout.nrp_ratio": ratio,
    "tokens.reward": reward,
    "tokens.advantage": advantage,
  });
}

const tokenList = z.array(z.int());
const chunkArgs = z.object({
  ids: tokenList,
  split_tokens: tokenList,
  newline_tokens: tokenList,
  think_end_token: z.int(),
  cut: z.enum(["last_segment", "first"]).default("last_segment"),
});

/**
 * Exclusive ends of the chunks of a chain of thought: segments start at split tokens, the last one is cut at its first
 * end-of-thinking token (`first`: the ids are cut there before splitting), and a segment of a single line joins the next.
 */
export function splitReasoningChunks(args: z.input<typeof chunkArgs>): number[] {
  const { ids, split_tokens, newline_tokens, think_end_token, cut } = functionArgs(chunkArgs, args);
  const [split, newline] = [new Set(split_tokens), new Set(newline_tokens)];
  return chunkEnds({ ids, split, newline, thinkEnd: think_end_token, cut });
}

const ratioArgs = z.object({
  kappa: z.number(),
  /** Mean nrp_ratio of this step, over rollouts where it is above 0. */
  ratio: probability,
  /** The same of the step before; 0 or null on the first step. */
  prev_ratio: probability.nullable().default(0),
  lr: params.shape.kappa_lr,
  lo: z.number().nullable().default(null),
  hi: z.number().nullable().default(null),
});

/** Next share of easy prompts: κ + lr (ratio − prev_ratio), unchanged on the first step, kept in [lo, hi] where given. */
export function nextEasyRatio(args: z.input<typeof ratioArgs>): number {
  const { kappa, ratio, prev_ratio, lr, lo, hi } = functionArgs(ratioArgs, args);
  const isFirst = prev_ratio === null || prev_ratio === 0;
  const next = isFirst ? kappa : kappa + lr * (ratio - prev_ratio);
  return Math.min(Math.max(next, lo ?? next), hi ?? Number.POSITIVE_INFINITY);
}

const quotaArgs = z.object({ kappa: z.number(), mixed_kept: count, easy_available: count });

/** Easy prompts that may join `mixed_kept` others: ⌊κ kept / (1 − κ)⌋, at most those available; κ ≤ 0 none, κ ≥ 1 all. */
export function easyQuota(args: z.input<typeof quotaArgs>): number {
  const { kappa, mixed_kept, easy_available } = functionArgs(quotaArgs, args);
  if (kappa <= 0) return 0;
  if (kappa >= 1) return easy_available;
  return Math.min(Math.floor((kappa * mixed_kept) / (1 - kappa)), easy_available);
}

export const decs = defineMethod({
  id: "decs",
  title: "DECS: decoupled rewards against overthinking",
  summary:
    "In correct rollouts the tokens up to the first chunk that already states the answer get the full reward, reasoning after it slightly less, and advantages are normalised per token position over the group.",
  facts: {
    paper: {
      title: "Overthinking Reduction with Decoupled Rewards and Curriculum Data Scheduling",
      arxiv: "2509.25827",
      date: "2025-09",
      repo: "pixas/DECS",
    },
    headline:
      "57 % fewer tokens with a 1.5B model and 49 % fewer with 7B over seven benchmarks, at a Pass@1 that is 2.6 and 0.9 higher.",
    granularity: "token",
    methodology: ["verifier", "judge", "monte-carlo"],
    checked: "official code: chunks exact on 3000 sequences, token reward diff 0, advantage 5e-14",
  },
  equations: [
    {
      text: "r_ij = R_i (1 + b); redundant: R_i + b (1 − L_i / L_max)",
      tex: "r_{ij} = R_i(1+b),\\quad r_{ij} = R_i + b\\left(1 - \\frac{L_i}{L_{\\max}}\\right)\\;(\\text{redundant})",
    },
    {
      text: "A_ij = (r_ij − mean_j) / (std_j + ε) over the group at position j",
      tex: "A_{ij} = \\frac{r_{ij} - \\mu_j}{\\sigma_j + \\varepsilon}",
    },
  ],
  params,
  presets: { paper: { redundant_form: "paper", max_len: 16384 }, official: { redundant_form: "code", max_len: 16384 } },
  reads: ["rollout.reward", "steps.end", "steps.has_answer", "signals.think_end?", "tokens.mask?", "group?"],
  writes: ["rollout.nrp_end", "rollout.nrp_ratio", "tokens.reward", "tokens.advantage"],
  scope: "group",
  functions: { splitReasoningChunks, nextEasyRatio, easyQuota },
  assign,
});
