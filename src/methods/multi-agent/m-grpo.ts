import { z } from "zod";
import { advantageColumns } from "../../operators/group-credit.ts";
import { normalizePools } from "../../operators/normalize.ts";
import { poolByKeys } from "../../operators/pools.ts";
import { type Batch, describe, InputError } from "../../rollouts/index.ts";
import { count, functionArgs, rowCount } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";

const target = count
  .default(0)
  .describe(
    "trajectories that each main rollout keeps of each sub-agent, by dropping or repeating; 0 = all as they are",
  );

const params = z.object({
  target,
  norm_by_std: z.boolean().default(true).describe("divide by the spread (false = subtract the mean only)"),
  eps: positiveEps(1e-6),
  ddof: ddof(1),
});
type Params = z.output<typeof params>;

const roles = ["main", "sub"] as const;
type Role = (typeof roles)[number];

/** Text of a signal in every rollout, `null` where it has none. */
function signal(batch: Batch, name: string): (string | null)[] {
  const path = `signals.${name}`;
  if (!batch.has(path)) return new Array<null>(batch.size).fill(null);
  return batch.cells(path).map((cell, i) => {
    if (cell === undefined || cell === null) return null;
    if (typeof cell === "string") return cell;
    throw batch.wrongValue(path, i, "text", describe(cell));
  });
}

function rolesOf(batch: Batch): Role[] {
  return signal(batch, "role").map((role, i) => {
    if (role === null) return "main";
    if (role === "main" || role === "sub") return role;
    throw batch.wrongValue("signals.role", i, roles.join(" or "), JSON.stringify(role));
  });
}

/** Which trajectories are of one kind: role and name of the agent, which is its role where none is given. */
function kindsOf(batch: Batch, roles: readonly Role[]): string[] {
  return signal(batch, "agent").map((agent, i) => JSON.stringify([roles[i], agent ?? roles[i]]));
}

/** Expected multiplicity of each rollout under the alignment to D trajectories per (main rollout, sub-agent): D / d for subs. */
function multiplicities(batch: Batch, roles: readonly Role[], kinds: readonly string[], size: number): Float64Array {
  const weights = new Float64Array(batch.size).fill(1);
  if (size === 0) return weights;
  const parents = signal(batch, "parent");
  const calls = poolByKeys(batch, "rollout", (_, i) => {
    if (roles[i] === "main") return null;
    if (parents[i] === null) throw batch.missing("signals.parent", i, "the main rollout that called it");
    return JSON.stringify([parents[i], kinds[i]]);
  });
  const members = new Int32Array(calls.count);
  for (const call of calls.of) if (call >= 0) members[call]++;
  calls.of.forEach((call, i) => {
    if (call >= 0) weights[i] = size / members[call];
  });
  return weights;
}

/**
 * Credit of M-GRPO (arXiv 2511.13288): every trajectory is a rollout; A = (R − mean) / (std + ε) over the rollouts of the
 * question with the same role and agent, so that all calls of a sub-agent are one pool whoever made them. `rollout.weight` of
 * a sub trajectory is its expected multiplicity D / d when each main rollout's d calls are dropped or repeated to D.
 */
function assign(batch: Batch, p: Params): Batch {
  const own = rolesOf(batch);
  const kinds = kindsOf(batch, own);
  const pools = poolByKeys(batch, "rollout", (_, i) => kinds[i]);
  const spec = { ddof: p.ddof, eps: p.eps, normByStd: p.norm_by_std };
  const advantage = normalizePools(batch.numbers("rollout.reward"), pools, spec);
  const weight = multiplicities(batch, own, kinds, p.target);
  return batch.with({ ...advantageColumns(batch, advantage), "rollout.weight": weight });
}

const alignmentArgs = z.object({
  count: rowCount,
  target,
  order: z.array(count).default([]),
  draws: z.array(count).default([]),
});

/**
 * Which of `count` trajectories are kept so that there are `target`: as many or more: the first `target` of `order` (a random
 * permutation), ascending; fewer: all, then one repeat per draw (draw modulo count), in draw order. None stay none;
 * target 0 keeps all as they are.
 * @throws InputError when `order` is no permutation or the draws are too few, where they are needed.
 */
export function trajectoryAlignment(args: z.input<typeof alignmentArgs>): number[] {
  const { count, target, order, draws } = functionArgs(alignmentArgs, args);
  const all = Array.from({ length: count }, (_, k) => k);
  if (target === 0 || count === 0 || count === target) return all;
  if (count > target) {
    if (order.length !== count || new Set(order).size !== count || order.some((k) => k >= count)) {
      const expected = `a permutation of 0 to ${count - 1}`;
      throw new InputError("argument order not valid", { expected, got: JSON.stringify(order) });
    }
    return order.slice(0, target).sort((a, b) => a - b);
  }
  if (draws.length < target - count) {
    const expected = `at least ${target - count}`;
    throw new InputError("argument draws too short", { expected, got: `${draws.length}` });
  }
  return [...all, ...draws.slice(0, target - count).map((draw) => draw % count)];
}

const weightList = z.array(z.number().min(0));
const rewardArgs = z.object({
  role: z.enum(roles),
  fmt: z.number(),
  /** Whether the main answer was right; with `gated` of a sub-agent the score of the main agent. */
  correct: z.number(),
  expert: z.number().nullish(),
  weights: z.union([weightList, z.object({ main: weightList.optional(), sub: weightList.optional() })]).nullish(),
  form: z.enum(["sum", "gated"]).default("sum"),
});

const sumWeights: Readonly<Record<Role, readonly number[]>> = { main: [0.1, 0.9], sub: [0.1, 0.6, 0.3] };
/** What a well-formed answer earns that is not right, and the score up to which the main agent counts as not right. */
const formatOnly = 0.1;

/**
 * Reward of one trajectory. `sum`: w_0 format + w_1 correct, for a sub-agent + w_2 expert (weights main [0.1, 0.9], sub
 * [0.1, 0.6, 0.3]; a list is for the role at hand). `gated`, as released: 0 without format; 0.1 when the answer is wrong,
 * which for a sub-agent means that the main agent scored at most 0.1; else 1.
 */
export function mgrpoReward(args: z.input<typeof rewardArgs>): number {
  const { role, fmt, correct, expert, weights, form } = functionArgs(rewardArgs, args);
  if (form === "gated") {
    if (fmt <= 0) return 0;
    return correct <= formatOnly ? formatOnly : 1;
  }
  const chosen = (Array.isArray(weights) ? weights : weights?.[role]) ?? sumWeights[role];
  const parts = role === "main" ? [fmt, correct] : [fmt, correct, expert ?? 0];
  if (chosen.length !== parts.length) {
    const expected = `${parts.length} weights for role ${role}`;
    throw new InputError("argument weights not valid", { expected, got: `${chosen.length}` });
  }
  return parts.reduce((sum, part, k) => sum + chosen[k] * part, 0);
}

export const mGrpo = defineMethod({
  id: "m-grpo",
  title: "M-GRPO: group-relative credit for a main agent and its sub-agents",
  summary:
    "Compare main trajectories of a question among themselves and the trajectories of each sub-agent among themselves, and even out how often a sub-agent was called by expected multiplicities.",
  facts: {
    paper: {
      title: "Multi-Agent Deep Research: Training Multi-Agent Systems with M-GRPO",
      arxiv: "2511.13288",
      date: "2025-11",
      repo: "AQ-MedAI/MrlX",
    },
    headline:
      "On GAIA, XBench-DeepSearch and WebWalkerQA above single-agent GRPO and above training with a frozen sub-agent, more stable and with fewer samples (Qwen3-30B-A3B).",
    granularity: "agent",
    methodology: ["hierarchical", "monte-carlo"],
    checked: "the released gated reward, case by case; no advantage code of its own was released",
    reconstructed: ["weights of the reward sums", "advantages are normalised before the alignment"],
  },
  equations: [
    {
      text: "A = (R − μ) / (σ + ε), over the rollouts of the question with the same role and agent",
      tex: "A = \\frac{R - \\mu_{q,role}}{\\sigma_{q,role} + \\varepsilon}",
    },
    { text: "weight of a sub trajectory = D / d, d calls of its main rollout", tex: "w = D / d" },
  ],
  params,
  reads: ["rollout.reward", "signals.role?", "signals.parent if target", "signals.agent?", "group?", "tokens.mask?"],
  writes: ["rollout.advantage", "rollout.weight", "tokens.advantage"],
  scope: "group",
  functions: { trajectoryAlignment, mgrpoReward },
  assign,
});
