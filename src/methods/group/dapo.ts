import { z } from "zod";
import { advantageColumns } from "../../operators/group-credit.ts";
import { policyLengths, requireTokens } from "../../operators/mask.ts";
import { normalizePools, poolMoments } from "../../operators/normalize.ts";
import { knownOutcomes } from "../../operators/outcome.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { bits } from "../../operators/ranges.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { count, functionArgs } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";

const params = z.object({
  max_length: z
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe("longest response; from here on the penalty is full (paper: 20480; null = no penalty)"),
  buffer: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("tokens before max_length over which the penalty grows (paper: 4096)"),
  penalty_factor: z.number().min(0).default(1).describe("size of the full penalty"),
  length: z
    .enum(["all", "actions"])
    .default("all")
    .describe("what a length counts: all tokens of the response, or those of the policy"),
  filter_metric: z
    .string()
    .default("rollout.reward")
    .describe("rollout-level column that must differ within a group; rollout.reward_shaped is the punished reward"),
  target_groups: z
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe("keep only the first so many groups that differ, in order of first appearance; null = all"),
  overlong_filter: z
    .boolean()
    .default(false)
    .describe("no loss on responses that were truncated or reach max_length; they stay in the statistics"),
  clip_low: z.number().positive().default(0.2).describe("the loss clips the ratio from below at 1 - clip_low"),
  clip_high: z.number().positive().default(0.28).describe("the loss clips the ratio from above at 1 + clip_high"),
  eps: positiveEps(1e-6),
  ddof: ddof(1),
});
type Params = z.output<typeof params>;

/** Penalty of a length: 0 up to `max_length − buffer`, then falling in a line to `−factor` at `max_length`, flat beyond. */
function penalty(length: number, maxLength: number, buffer: number, factor: number): number {
  const over = length - (maxLength - buffer);
  return over <= 0 ? 0 : -factor * Math.min(over / buffer, 1);
}

function checkBuffer(maxLength: number, buffer: number | null): number {
  if (buffer !== null && buffer <= maxLength) return buffer;
  throw new InputError("buffer does not fit max_length", {
    expected: `a number above 0 and up to ${maxLength}`,
    got: `${buffer}`,
    hint: "penalty_factor 0 switches the penalty off",
  });
}

function lengths(batch: Batch, p: Params): ArrayLike<number> {
  requireTokens(batch);
  if (p.length === "actions") return policyLengths(batch);
  const offsets = batch.offsets("token");
  return Int32Array.from({ length: batch.size }, (_, i) => offsets[i + 1] - offsets[i]);
}

/** 1 for groups that are kept: their metric differs or they have one member, and fewer than `target_groups` stand before. */
function keptGroups(batch: Batch, metric: ArrayLike<number>, most: number | null): Uint8Array {
  const { count: members, min, max } = poolMoments(metric, poolByGroup(batch, "rollout"));
  const kept = new Uint8Array(batch.groupCount);
  let left = most ?? batch.groupCount;
  for (let g = 0; g < kept.length && left > 0; g++) {
    if (members[g] > 1 && min[g] === max[g]) continue;
    kept[g] = 1;
    left--;
  }
  return kept;
}

/**
 * DAPO (arXiv 2503.14476): R'_i = R_i + penalty(L_i); groups whose metric is all the same are dropped (eq. 11), in the others
 * A_i = (R'_i − μ_g) / (σ_g + ε), given to every policy token. The clip columns carry the two bounds of eq. 10.
 */
function assign(batch: Batch, p: Params): Batch {
  const { max_length } = p;
  const shaped = Float64Array.from(knownOutcomes(batch));
  const length = max_length === null ? null : lengths(batch, p);
  if (max_length !== null && length !== null) {
    const buffer = checkBuffer(max_length, p.buffer);
    for (let i = 0; i < shaped.length; i++) shaped[i] += penalty(length[i], max_length, buffer, p.penalty_factor);
  }
  const metric = p.filter_metric === "rollout.reward_shaped" ? shaped : knownOutcomes(batch, p.filter_metric);
  const kept = keptGroups(batch, metric, p.target_groups);
  const keep = Float64Array.from(batch.groupOf, (g) => kept[g]);
  const advantage = normalizePools(shaped, poolByGroup(batch, "rollout"), { ddof: p.ddof, eps: p.eps });
  const truncated = p.overlong_filter ? bits(batch, "signals.truncated", { absent: 0, missing: 0 }) : null;
  for (let i = 0; i < advantage.length; i++) {
    const overlong = length !== null && max_length !== null && length[i] >= max_length;
    if (keep[i] === 0 || (truncated !== null && (truncated[i] === 1 || overlong))) advantage[i] = 0;
  }
  const columns = {
    "rollout.reward_shaped": shaped,
    "rollout.keep": keep,
    ...advantageColumns(batch, advantage),
  };
  if (!batch.hasLevel("token")) return batch.with(columns);
  return batch.with({
    ...columns,
    "tokens.clip_low": { later: () => batch.floats("token").fill(p.clip_low) },
    "tokens.clip_high": { later: () => batch.floats("token").fill(p.clip_high) },
  });
}

function warnings(batch: Batch): string[] {
  const keep = batch.numbers("rollout.keep");
  if (keep.length === 0 || keep.some((kept) => kept === 1)) return [];
  return ["no group was kept: the outcomes of every group are all the same, so there is nothing to learn from"];
}

const overlongArgs = z.object({
  length: count,
  max_length: z.number().positive(),
  buffer: z.number().positive(),
  factor: z.number().min(0).default(1),
});

/** Soft overlong punishment of one response (arXiv 2503.14476 eq. 13): a number from −factor to 0. */
export function overlongPenalty(args: z.input<typeof overlongArgs>): number {
  const { length, max_length, buffer, factor } = functionArgs(overlongArgs, args);
  return penalty(length, max_length, checkBuffer(max_length, buffer), factor);
}

export const dapo = defineMethod({
  id: "dapo",
  title: "Decoupled Clip and Dynamic sAmpling Policy Optimization",
  summary:
    "GRPO with four practical rules: drop groups whose outcomes are all the same, punish overlong answers softly, clip upwards further than downwards, and average the loss over tokens.",
  facts: {
    paper: {
      title: "DAPO: An Open-Source LLM Reinforcement Learning System at Scale",
      arxiv: "2503.14476",
      date: "2025-03",
      repo: "volcengine/verl",
    },
    headline:
      "Qwen2.5-32B reached 50 on AIME 2024 (avg@32), above DeepSeek-R1-Zero-Qwen-32B with 47, in half the training steps.",
    granularity: "rollout",
    methodology: ["monte-carlo", "verifier", "shaping"],
    checked: "rules of verl's recipe, penalty max abs diff 0; advantage kernel as in GRPO, 5e-9",
    reconstructed: ["the full penalty as a floor beyond max_length, which the released recipe never reaches"],
  },
  equations: [
    {
      text: "R'_i = R_i − f · clip((L_i − (L_max − B)) / B, 0, 1)",
      tex: "R'_i = R_i - f\\,\\operatorname{clip}\\!\\left(\\frac{L_i - (L_{\\max} - B)}{B}, 0, 1\\right)",
    },
    {
      text: "keep g if max_i m_i > min_i m_i",
      tex: "\\text{keep } g \\iff \\max_{i \\in g} m_i > \\min_{i \\in g} m_i",
    },
    {
      text: "A_i = (R'_i − μ) / (σ + ε), μ and σ over the group; 0 in dropped groups",
      tex: "A_i = \\frac{R'_i - \\mu}{\\sigma + \\varepsilon}",
    },
  ],
  params,
  presets: { paper: { max_length: 20480, buffer: 4096 } },
  reads: ["rollout.reward", "group?", "tokens if max_length", "tokens.mask?", "signals.truncated?"],
  writes: [
    "rollout.reward_shaped",
    "rollout.keep",
    "rollout.advantage",
    "tokens.advantage",
    "tokens.clip_low",
    "tokens.clip_high",
  ],
  scope: (p) => (p.target_groups === null ? "group" : "batch"),
  functions: { overlongPenalty },
  warnings,
  assign,
});
