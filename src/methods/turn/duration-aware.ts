import { z } from "zod";
import { normalizePools, poolMoments } from "../../operators/normalize.ts";
import { poolByGroup, poolOfCall } from "../../operators/pools.ts";
import { bits } from "../../operators/ranges.ts";
import { rowAdvantageColumns } from "../../operators/row-credit.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { bit, count, functionArgs } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";

const maxWeight = z
  .number()
  .positive()
  .nullable()
  .default(null)
  .describe("largest weight of one action, cut after the mean is taken; null = no limit");
const milestoneReward = z.number().default(0.1).describe("paid per milestone that a failed program reached");
const failureReward = z.number().default(-10).describe("reward of a program that failed");
const partial = z
  .enum(["add_to_failure", "replace_failure"])
  .default("add_to_failure")
  .describe("milestones are added to the reward of failure, or replace it once one is reached");
const higherIsBetter = z.boolean().default(true).describe("false for errors: the score is then negated");

const params = z.object({
  baseline: z
    .enum(["group", "batch", "none"])
    .default("group")
    .describe("base advantage where none is given: normalised in the group, centred over the call, or the reward"),
  weighted: z.boolean().default(true).describe("weigh actions by how long they took (false = all weights 1)"),
  max_weight: maxWeight,
  milestone_reward: milestoneReward,
  failure_reward: failureReward,
  partial,
  higher_is_better: higherIsBetter,
  eps: positiveEps(1e-6),
  ddof: ddof(1),
});
type Params = z.output<typeof params>;
type Payment = Pick<Params, "milestone_reward" | "failure_reward" | "partial" | "higher_is_better">;

/** Reward of a program: its score when it was submitted, else the reward of failure with what its milestones earn. */
function payment(reached: number, submitted: boolean, score: number | null, p: Payment): number {
  if (submitted && score !== null) return p.higher_is_better ? score : 0 - score;
  if (p.partial === "add_to_failure") return p.failure_reward + p.milestone_reward * reached;
  return reached > 0 ? p.milestone_reward * reached : p.failure_reward;
}

/** w_k = dt_k / mean dt over the known durations; unknown ones weigh 1; all 1 when the mean is 0. */
function weightsOf(durations: ArrayLike<number>, known: Uint8Array | null, most: number | null): Float64Array {
  let sum = 0;
  let n = 0;
  for (let k = 0; k < durations.length; k++) {
    if (known !== null && known[k] === 0) continue;
    sum += durations[k];
    n++;
  }
  const mean = sum / n;
  return Float64Array.from(durations, (duration, k) => {
    const weight = !(mean > 0) || (known !== null && known[k] === 0) ? 1 : duration / mean;
    return most === null ? weight : Math.min(weight, most);
  });
}

function actionWeights(batch: Batch, p: Params): Float64Array {
  if (!p.weighted) return new Float64Array(batch.count("turn")).fill(1);
  const path = "turns.duration_s";
  const offsets = batch.offsets("turn");
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i + 1] > offsets[i] && !batch.hasIn(path, i)) throw batch.missing(path, i);
  }
  const durations = batch.numbers(path, { absent: 0, missing: 0 });
  const wrong = durations.findIndex((dt) => dt < 0);
  if (wrong >= 0) throw batch.wrongValue(path, wrong, "a duration of at least 0 seconds", `${durations[wrong]}`);
  return weightsOf(durations, batch.validity(path), p.max_weight);
}

interface Rewards {
  values: Float64Array;
  /** 0 where a rollout has neither a reward nor signals; it then needs advantages of its own. */
  valid: Uint8Array;
}

/** Rewards of all rollouts: given, or worked out from what the instrumented program printed. */
function rewardsOf(batch: Batch, p: Params): Rewards {
  const filled = { absent: 0, missing: 0 };
  const given = batch.numbers("rollout.reward", filled);
  const scored = batch.validity("rollout.reward");
  const reached = batch.numbers("signals.milestones", filled);
  const submitted = bits(batch, "signals.submitted", filled);
  const score = batch.numbers("signals.score", filled);
  const hasScore = batch.validity("signals.score");
  const signals = ["signals.milestones", "signals.submitted", "signals.score"].map((path) => batch.validity(path));
  const values = Float64Array.from(given);
  const valid = new Uint8Array(batch.size).fill(1);
  for (let i = 0; i < batch.size; i++) {
    if (scored === null || scored[i] === 1) continue;
    if (reached[i] < 0) throw batch.wrongValue("signals.milestones", i, "a count of milestones", `${reached[i]}`);
    const known = signals.some((one) => one === null || one[i] === 1);
    if (!known) valid[i] = 0;
    else
      values[i] = payment(reached[i], submitted[i] === 1, hasScore === null || hasScore[i] === 1 ? score[i] : null, p);
  }
  return { values, valid };
}

/** Base advantage of every rollout from the rewards. */
function baseAdvantages(batch: Batch, { values, valid }: Rewards, p: Params): Float64Array {
  if (p.baseline === "none") return values;
  if (p.baseline === "group") {
    return normalizePools(values, poolByGroup(batch, "rollout"), { ddof: p.ddof, eps: p.eps, valid });
  }
  const { mean } = poolMoments(values, poolOfCall(batch, "rollout"), valid);
  return values.map((r, i) => (valid[i] === 1 ? r - mean[0] : 0));
}

/**
 * Duration-aware credit (arXiv 2509.01684): the gradient term of action k counts w_k = dt_k / mean(dt) over all actions of the
 * call whose duration is known, so A_k ← w_k A_k. A_k is `turns.advantage` where a rollout has it, else from its reward. A
 * program that failed is paid by the milestones it reached.
 */
function assign(batch: Batch, p: Params): Batch {
  const offsets = batch.offsets("turn");
  const weight = actionWeights(batch, p);
  const rewards = rewardsOf(batch, p);
  const base = baseAdvantages(batch, rewards, p);
  const advantage = Float64Array.from(batch.numbers("turns.advantage", { absent: 0 }));
  for (let i = 0; i < batch.size; i++) {
    const given = batch.hasIn("turns.advantage", i);
    if (!given && rewards.valid[i] === 0) {
      const hint = "or give signals.milestones, signals.submitted and signals.score, or turns.advantage";
      throw batch.missing("rollout.reward", i, hint);
    }
    for (let t = offsets[i]; t < offsets[i + 1]; t++) advantage[t] = weight[t] * (given ? advantage[t] : base[i]);
  }
  return batch.with({
    "rollout.reward": rewards,
    "turns.weight": weight,
    ...rowAdvantageColumns(batch, "turn", advantage),
  });
}

const weightsArgs = z.object({ durations: z.array(z.number().min(0).nullable()), maxWeight });

/**
 * Weight of each action: its duration over the mean of the known ones; unknown (null) 1; all 1 when the mean is 0; cut to
 * `maxWeight` afterwards.
 */
export function durationWeights(args: z.input<typeof weightsArgs>): number[] {
  const { durations, maxWeight } = functionArgs(weightsArgs, args);
  const known = Uint8Array.from(durations, (dt) => (dt === null ? 0 : 1));
  return [
    ...weightsOf(
      durations.map((dt) => dt ?? 0),
      known,
      maxWeight,
    ),
  ];
}

const rewardArgs = z.object({
  reached: count,
  submitted: z.union([z.boolean(), bit.transform(Boolean)]),
  score: z.number().nullish(),
  higherIsBetter,
  milestoneReward,
  failureReward,
  partial,
});

/**
 * Reward of one program: its score when it was submitted with one (negated when lower is better), else the reward of
 * failure with `milestoneReward` per milestone reached.
 */
export function instrumentationReward(args: z.input<typeof rewardArgs>): number {
  const { reached, submitted, score, higherIsBetter, milestoneReward, failureReward, partial } = functionArgs(
    rewardArgs,
    args,
  );
  return payment(reached, submitted, score ?? null, {
    higher_is_better: higherIsBetter,
    milestone_reward: milestoneReward,
    failure_reward: failureReward,
    partial,
  });
}

const milestoneArgs = z.object({ stdout: z.string(), patterns: z.array(z.string()) });

/**
 * Which milestones a program printed: 1 for every regular expression (`^` and `$` match at lines) that occurs in its output,
 * else 0; order does not matter.
 * @throws InputError for a pattern that is no regular expression.
 */
export function parseMilestones(args: z.input<typeof milestoneArgs>): number[] {
  const { stdout, patterns } = functionArgs(milestoneArgs, args);
  return patterns.map((pattern, k) => {
    try {
      return new RegExp(pattern, "m").test(stdout) ? 1 : 0;
    } catch {
      const got = JSON.stringify(pattern);
      throw new InputError(`argument patterns.${k} not valid`, { expected: "a regular expression", got });
    }
  });
}

export const durationAware = defineMethod({
  id: "duration-aware",
  title: "Duration-aware gradients with milestones for ML-engineering agents",
  summary:
    "Weigh each action's advantage by how long it took to execute, so that slow but good programs are not outvoted by fast ones, and pay programs that fail late by the milestones they printed.",
  facts: {
    paper: {
      title: "Reinforcement Learning for Machine Learning Engineering Agents",
      arxiv: "2509.01684",
      date: "2025-09",
      repo: "sherryy/rl4mle",
    },
    headline:
      "Qwen2.5-3B trained this way beats a prompted Claude-3.5-Sonnet with a scaffold by 22 % on average over 12 Kaggle tasks of MLE-bench.",
    granularity: "turn",
    methodology: ["monte-carlo", "verifier"],
    checked:
      "the code that the paper names could not be read; written from the abstract and a tutorial that gives the update rule",
    reconstructed: [
      "a partly successful program keeps the reward of failure",
      "sign of scores where lower is better; cap on weights",
      "a group baseline stands in for the paper's PPO",
    ],
  },
  equations: [
    { text: "w_k = dt_k / mean(dt)", tex: "w_k = \\Delta t_k / \\overline{\\Delta t}" },
    { text: "A_k ← w_k A_k", tex: "A_k \\leftarrow w_k A_k" },
    {
      text: "R = score if submitted, else −10 + 0.1 · milestones",
      tex: "R = \\begin{cases}\\text{score} & \\text{submitted}\\\\ -10 + 0.1\\,m & \\text{else}\\end{cases}",
    },
  ],
  params,
  reads: [
    "turns.duration_s if weighted",
    "turns.advantage | rollout.reward | signals.milestones | signals.submitted | signals.score",
    "group?",
    "turns.end?",
    "tokens.mask?",
  ],
  writes: ["rollout.reward", "turns.weight", "turns.advantage", "tokens.advantage"],
  scope: (p) => (p.weighted || p.baseline === "batch" ? "batch" : p.baseline === "group" ? "group" : "rollout"),
  unscored: true,
  functions: { durationWeights, instrumentationReward, parseMilestones },
  assign,
});
