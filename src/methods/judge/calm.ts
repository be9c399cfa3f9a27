import { z } from "zod";
import { bits } from "../../operators/ranges.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { bit, functionArgs, rowCount, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { unitInterval } from "../parameters.ts";

const params = z.object({
  beta: z.number().min(0).default(0.1).describe("weight of a subgoal reward"),
  gamma: unitInterval(0.99, "discount of the shaped return"),
  mode: z
    .enum(["verdict", "table"])
    .default("verdict")
    .describe("subgoals judged per turn (columns turns.subgoal_*), or a table of rewards by turns.key"),
  once: z.boolean().default(false).describe("pay each subgoal at most once per rollout"),
  subgoals: z
    .array(z.string())
    .nullable()
    .default(null)
    .describe("names of the columns to read, with or without subgoal_; null = every turns.subgoal_*"),
  table: z.record(z.string(), z.number()).default({}).describe("reward of each key, of mode table; unknown keys pay 0"),
});
type Params = z.output<typeof params>;

const prefix = "turns.subgoal_";

/** Columns of the subgoals that exist. */
function subgoalColumns(batch: Batch, names: Params["subgoals"]): string[] {
  if (names !== null) {
    const paths = names.map((name) => (batch.has(`turns.${name}`) ? `turns.${name}` : prefix + name));
    return [...new Set(paths)].filter((path) => batch.has(path));
  }
  const paths = batch.paths.filter((path) => path.startsWith(prefix));
  if (paths.length === 0 && batch.size > 0) throw batch.missing(`${prefix}*`, 0, "one column of 0 and 1 per subgoal");
  return paths;
}

/** i_t = number of subgoals judged achieved in turn t; with `once` each subgoal counts the first time only. */
function judged(batch: Batch, p: Params): Float64Array {
  const offsets = batch.offsets("turn");
  const out = new Float64Array(batch.count("turn"));
  for (const path of subgoalColumns(batch, p.subgoals)) {
    const verdicts = bits(batch, path, { absent: 0, missing: 0 });
    for (let i = 0; i < batch.size; i++) {
      for (let t = offsets[i]; t < offsets[i + 1]; t++) {
        if (verdicts[t] !== 1) continue;
        out[t]++;
        if (p.once) break;
      }
    }
  }
  return out;
}

/** i_t = table[key_t]. */
function lookedUp(batch: Batch, table: Params["table"]): Float64Array {
  const keys = batch.strings("turns.key");
  return Float64Array.from(keys, (key) => (key !== null && Object.hasOwn(table, key) ? table[key] : 0));
}

/** e_t: `turns.reward` (null counts 0), or the outcome on the last turn where a rollout has none. */
function taskRewards(batch: Batch): Float64Array {
  const offsets = batch.offsets("turn");
  const out = Float64Array.from(batch.numbers("turns.reward", { absent: 0, missing: 0 }));
  const outcome = batch.numbers("rollout.reward", { absent: 0, missing: 0 });
  const scored = batch.validity("rollout.reward");
  for (let i = 0; i < batch.size; i++) {
    if (batch.hasIn("turns.reward", i) || offsets[i + 1] === offsets[i]) continue;
    if (scored !== null && scored[i] === 0) throw batch.missing("rollout.reward", i, "or give turns.reward");
    out[offsets[i + 1] - 1] = outcome[i];
  }
  return out;
}

/**
 * Rewards of CALM (arXiv 2409.12798): i_t = number of subgoals that a judge sees achieved in transition t (or the entry of a
 * table of annotated transitions); s_t = e_t + β i_t with the task reward e_t; credit is the return G_t = s_t + γ G_{t+1}.
 */
function assign(batch: Batch, p: Params): Batch {
  const intrinsic = p.mode === "verdict" ? judged(batch, p) : lookedUp(batch, p.table);
  const shaped = taskRewards(batch).map((e, t) => e + p.beta * intrinsic[t]);
  const returns = new Float64Array(shaped.length);
  reverseSumsInto({ offsets: batch.offsets("turn"), rewards: shaped, gamma: p.gamma }, returns);
  return batch.with({
    "turns.intrinsic_reward": intrinsic,
    "turns.shaped_reward": shaped,
    "turns.return": returns,
  });
}

const tableArgs = z.object({ annotations: z.array(z.array(z.object({ key: z.string(), count: z.number() }))) });

/**
 * Reward table from annotated trajectories: counts of equal keys are added up in order, and value = (total − lo) / (hi − lo)
 * with lo and hi the smallest and largest running total on the way; all 1 when they are equal.
 */
export function calmRewardTable(args: z.input<typeof tableArgs>): Record<string, number> {
  const { annotations } = functionArgs(tableArgs, args);
  const totals = new Map<string, number>();
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { key, count } of annotations.flat()) {
    const total = (totals.get(key) ?? 0) + count;
    totals.set(key, total);
    low = Math.min(low, total);
    high = Math.max(high, total);
  }
  const value = (total: number) => (high === low ? 1 : (total - low) / (high - low));
  return Object.fromEntries([...totals].map(([key, total]) => [key, value(total)]));
}

const timesArgs = z.object({ answer: z.record(z.string(), z.unknown()).nullable(), n: rowCount });

/** A time as a whole number, truncated towards zero; true is 1, false 0; `null` for anything else. */
function timeOf(value: unknown): number | null {
  if (typeof value === "boolean") return value ? 1 : 0;
  const parsed = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof parsed === "number" && Number.isFinite(parsed) ? Math.trunc(parsed) : null;
}

/**
 * A judge's answer about a trajectory of n actions, subgoal → time, list of times or null, as counts per action: time t
 * credits action t − 1. One bad element discards its list; a text as value means that name and time were swapped, so that
 * the key is read as the time. `used` = times credited; `ignored` = bad entries (a discarded list counts one) and times
 * outside 1 … n; null is neither. No answer (null) credits nothing.
 */
export function calmTimesToSteps(args: { answer: Record<string, unknown> | null; n: number }): {
  counts: number[];
  used: number;
  ignored: number;
} {
  const { answer, n } = functionArgs(timesArgs, args);
  const counts = new Array<number>(n).fill(0);
  let used = 0;
  let ignored = 0;
  for (const [name, value] of Object.entries(answer ?? {})) {
    if (value === null) continue;
    const times = (Array.isArray(value) ? value : [typeof value === "string" ? name : value]).map(timeOf);
    if (times.includes(null)) {
      ignored++;
      continue;
    }
    for (const time of times as number[]) {
      if (time >= 1 && time <= n) {
        counts[time - 1]++;
        used++;
      } else ignored++;
    }
  }
  return { counts, used, ignored };
}

const flags = z.array(z.union([z.boolean(), bit.transform(Boolean)]));
const metricsArgs = z.object({ pred: flags, truth: flags });

/** Keeps ratios of nothing at 0. */
const eps = 1e-9;

/**
 * Quality of a judge over transitions (flagged if any subgoal is): counts, accuracy = (tp + tn) / n, precision = tp / (tp + fp
 * + 1e-9), recall = tp / (tp + fn + 1e-9), f1 = 2pr / (p + r + 1e-9).
 * @throws InputError also when there are no transitions.
 */
export function calmTransitionMetrics(
  args: z.input<typeof metricsArgs>,
): Record<"tp" | "fp" | "fn" | "tn" | "accuracy" | "precision" | "recall" | "f1", number> {
  const { pred, truth } = functionArgs(metricsArgs, args);
  sameLength({ pred, truth });
  if (pred.length === 0) throw new InputError("argument pred not valid", { expected: "transitions", got: "none" });
  const where = (p: boolean, t: boolean) => pred.filter((flag, k) => flag === p && truth[k] === t).length;
  const [tp, fp, fn, tn] = [where(true, true), where(true, false), where(false, true), where(false, false)];
  const precision = tp / (tp + fp + eps);
  const recall = tp / (tp + fn + eps);
  const f1 = (2 * precision * recall) / (precision + recall + eps);
  return { tp, fp, fn, tn, accuracy: (tp + tn) / pred.length, precision, recall, f1 };
}

export const calm = defineMethod({
  id: "calm",
  title: "Subgoal rewards from an LLM's action evaluation (CALM)",
  summary:
    "An LLM splits a task into subgoals and judges for every transition which of them were just achieved; each pays an auxiliary reward on top of the sparse task reward.",
  facts: {
    paper: {
      title: "Assessing the Zero-Shot Capabilities of LLMs for Action Evaluation in RL",
      arxiv: "2409.12798",
      date: "2024-09",
      repo: "epignatelli/lfrl",
    },
    headline:
      "Open models verify given subgoals, and propose their own, on MiniHack KeyRoom transitions without examples or fine-tuning; quality grows with model size and depends on the view shown.",
    granularity: "step",
    methodology: ["judge", "hierarchical", "shaping"],
    checked: "author's answer parsing, table and metrics, max abs diff below 1e-15",
  },
  equations: [
    { text: "i_t = Σ_k [subgoal k achieved in t]", tex: "i_t = \\sum_k y_{k,t}" },
    { text: "s_t = e_t + β i_t", tex: "s_t = e_t + \\beta\\, i_t" },
    { text: "G_t = s_t + γ G_{t+1}", tex: "G_t = s_t + \\gamma\\, G_{t+1}" },
  ],
  params,
  reads: ["turns.reward | rollout.reward", "turns.subgoal_* if mode", "turns.key if mode"],
  writes: ["turns.intrinsic_reward", "turns.shaped_reward", "turns.return"],
  scope: "rollout",
  functions: { calmRewardTable, calmTimesToSteps, calmTransitionMetrics },
  assign,
});
