import { z } from "zod";
import { binaryCrossEntropy } from "../../operators/cross-entropy.ts";
import { groupCredit } from "../../operators/group-credit.ts";
import { numbersWithin } from "../../operators/ranges.ts";
import { type Batch, InputError, type NumericArray } from "../../rollouts/index.ts";
import { bit, functionArgs, probability, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";

const threshold = probability.default(0.5).describe("reward from which finLabels labels a step or trajectory 1");

const params = z.object({
  mode: z
    .enum(["paper", "code"])
    .default("paper")
    .describe("paper mixes the outcome with the ranking score; code pays the first step score alone, as released"),
  process_weight: probability.default(0.5).describe("share of the ranking score in the reward of mode paper"),
  alpha: z.number().min(0).default(1).describe("weight of the trajectory score in the ranking score"),
  lambda: z.number().min(0).default(1).describe("weight of the steps in finPrmLoss; the credit does not use it"),
  mu: z.number().min(0).default(1).describe("weight of the trajectory in finPrmLoss; the credit does not use it"),
  threshold,
  eps: positiveEps(1e-6),
  ddof: ddof(1),
});
type Params = z.output<typeof params>;

/** Mean of the step scores plus α times the trajectory score, per rollout; no steps count as 0. */
function rankingScores(batch: Batch, prm: NumericArray, trajectory: NumericArray, alpha: number): Float64Array {
  const offsets = batch.offsets("step");
  return Float64Array.from(trajectory, (whole, i) => {
    let sum = 0;
    for (let row = offsets[i]; row < offsets[i + 1]; row++) sum += prm[row];
    return sum / Math.max(offsets[i + 1] - offsets[i], 1) + alpha * whole;
  });
}

/** Reward of the released worker: the score read at its only separator. */
function firstScores(batch: Batch, prm: NumericArray): Float64Array {
  const offsets = batch.offsets("step");
  return Float64Array.from({ length: batch.size }, (_, i) => {
    if (offsets[i + 1] > offsets[i]) return prm[offsets[i]];
    const at = { rollout: batch.ids[i], column: "steps.prm", expected: "at least one score in mode code" };
    throw new InputError("no step score", at);
  });
}

/**
 * Credit of Fin-PRM (arXiv 2508.15202): score_i = mean of the step scores + α · trajectory score, R_i = (1 − δ) outcome +
 * δ score_i, normalised in the group and given to every policy token. A null or absent trajectory score (a trace that was
 * cut off) or outcome counts as 0. Mode `code` is the released worker: R_i is the first step score alone.
 */
function assign(batch: Batch, p: Params): Batch {
  const paper = p.mode === "paper";
  // A rollout may lack a score, but where nobody has one the column was forgotten.
  for (const path of ["steps.prm", ...(paper ? ["rewards.trajectory", "rewards.outcome"] : [])]) batch.column(path);
  const prm = numbersWithin(batch, "steps.prm", [0, 1]);
  const filled = { absent: 0, missing: 0 };
  const trajectory = numbersWithin(batch, "rewards.trajectory", [0, 1], filled);
  const outcome = batch.numbers("rewards.outcome", filled);
  const score = rankingScores(batch, prm, trajectory, p.alpha);
  const reward = paper
    ? score.map((s, i) => (1 - p.process_weight) * outcome[i] + p.process_weight * s)
    : firstScores(batch, prm);
  return batch.with({
    "rollout.process_score": score,
    "rollout.reward": reward,
    ...groupCredit(batch, reward, { ddof: p.ddof, eps: p.eps }),
  });
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / Math.max(values.length, 1);

const monteCarloArgs = z.object({ outcomes: z.array(bit), mode: z.enum(["soft", "hard"]).default("soft") });

/** Importance of a step from the 0/1 results of continuations sampled after it: their mean (soft) or maximum (hard); none: 0. */
export function finMonteCarlo(args: z.input<typeof monteCarloArgs>): number {
  const { outcomes, mode } = functionArgs(monteCarloArgs, args);
  return mode === "soft" ? mean(outcomes) : outcomes.reduce<number>((a, b) => Math.max(a, b), 0);
}

const accuracyArgs = z.object({
  correct: probability,
  knowledge: probability,
  mode: z.enum(["mean", "product"]).default("mean"),
});

/** Accuracy of a step from its correctness check and its knowledge check: their mean, or their product. */
export function finAccuracy(args: z.input<typeof accuracyArgs>): number {
  const { correct, knowledge, mode } = functionArgs(accuracyArgs, args);
  return mode === "mean" ? (correct + knowledge) / 2 : correct * knowledge;
}

const stepRewardArgs = z.object({ importance: probability, quality: probability, accuracy: probability });

/** Step reward Σ_k softmax(v)_k v_k over v = (importance, quality, accuracy): pulled towards the best component. */
export function finStepReward(args: z.input<typeof stepRewardArgs>): number {
  const { importance, quality, accuracy } = functionArgs(stepRewardArgs, args);
  const components = [importance, quality, accuracy];
  const weights = components.map(Math.exp);
  const total = weights.reduce((a, b) => a + b, 0);
  return components.reduce((sum, v, k) => sum + (weights[k] / total) * v, 0);
}

const terms = z.array(z.string());
const coverageArgs = z.object({ used: terms, required: terms });

/** Share of the required knowledge terms that were used, each counted once; nothing required: 1. */
export function knowledgeCoverage(args: z.input<typeof coverageArgs>): number {
  const { used, required } = functionArgs(coverageArgs, args);
  const found = new Set(used);
  const wanted = [...new Set(required)];
  return wanted.length === 0 ? 1 : wanted.filter((term) => found.has(term)).length / wanted.length;
}

const trajectoryArgs = z.object({ outcome: probability, coverage: probability, w: probability.default(0.5) });

/** Trajectory reward: w · outcome + (1 − w) · coverage. */
export function finTrajectoryReward(args: z.input<typeof trajectoryArgs>): number {
  const { outcome, coverage, w } = functionArgs(trajectoryArgs, args);
  return w * outcome + (1 - w) * coverage;
}

const labelArgs = z.object({ stepReward: z.array(probability), trajectoryReward: probability, threshold });

/** Training labels: 1 for every step, and for the trajectory, whose reward reaches the threshold. */
export function finLabels(args: z.input<typeof labelArgs>): { stepLabel: number[]; trajectoryLabel: number } {
  const { stepReward, trajectoryReward, threshold } = functionArgs(labelArgs, args);
  const label = (reward: number) => (reward >= threshold ? 1 : 0);
  return { stepLabel: stepReward.map(label), trajectoryLabel: label(trajectoryReward) };
}

const { lambda, mu, alpha } = params.shape;
const lossArgs = z.object({
  stepProb: z.array(probability),
  stepLabel: z.array(probability),
  /** Null for a trace that was cut off: it has no trajectory term. */
  trajectoryProb: probability.nullable().default(null),
  trajectoryLabel: probability.nullable().default(null),
  lambda,
  mu,
  /** One mean over all separators, steps and trajectory alike, as in the released trainer. */
  pooled: z.boolean().default(false),
});

/**
 * Training loss of the reward model: λ · mean of the steps' cross-entropies + μ · cross-entropy of the trajectory, with
 * probabilities cut to [1e-12, 1 − 1e-12]; no step, or no trajectory label, makes that term 0.
 */
export function finPrmLoss(args: z.input<typeof lossArgs>): number {
  const { stepProb, stepLabel, trajectoryProb, trajectoryLabel, lambda, mu, pooled } = functionArgs(lossArgs, args);
  sameLength({ stepProb, stepLabel });
  if ((trajectoryProb === null) !== (trajectoryLabel === null))
    throw new InputError("trajectoryProb and trajectoryLabel must be given together");
  const steps = stepProb.map((p, k) => binaryCrossEntropy(p, stepLabel[k]));
  const whole = trajectoryProb === null ? [] : [binaryCrossEntropy(trajectoryProb, trajectoryLabel ?? 0)];
  return pooled ? mean([...steps, ...whole]) : lambda * mean(steps) + mu * mean(whole);
}

const rankingArgs = z.object({ steps: z.array(probability), traj: probability.nullable().default(0), alpha });

/** Ranking score of a trajectory: mean of its step scores (0 without steps) + α · its trajectory score (null: 0). */
export function finRankingScore(args: z.input<typeof rankingArgs>): number {
  const { steps, traj, alpha } = functionArgs(rankingArgs, args);
  return mean(steps) + alpha * (traj ?? 0);
}

const bestArgs = z.object({
  /** Ranking scores that are known already; else `steps` and `traj` of every candidate. */
  scores: z.array(z.number()).optional(),
  steps: z.array(z.array(probability)).default([]),
  traj: z.array(probability.nullable()).optional(),
  alpha,
});

/** Best of N: index of the candidate with the highest ranking score, the first on ties, null without candidates. */
export function finBestOfN(args: z.input<typeof bestArgs>): number | null {
  const { steps, alpha, ...given } = functionArgs(bestArgs, args);
  const traj = given.traj ?? steps.map(() => 0);
  sameLength({ steps, traj });
  const scores = given.scores ?? steps.map((list, k) => finRankingScore({ steps: list, traj: traj[k], alpha }));
  return scores.length === 0 ? null : scores.reduce((best, score, k) => (score > scores[best] ? k : best), 0);
}

export const finPrm = defineMethod({
  id: "fin-prm",
  title: "Fin-PRM: step and trajectory scores for financial reasoning",
  summary:
    "A reward model scores every step and the whole trajectory; the mean step score plus the trajectory score ranks data and answers, and mixed with the outcome it is the reward of GRPO.",
  facts: {
    paper: {
      title: "Fin-PRM: A Domain-Specialized Process Reward Model for Financial Reasoning in Large Language Models",
      arxiv: "2508.15202",
      date: "2025-08",
      repo: "aliyun/qwen-dianjin",
    },
    headline:
      "On CFLUE 58.2 after selecting training data by its score (random selection 43.8), 70.5 after reinforcement learning (3.3 above a rule reward).",
    granularity: "rollout",
    methodology: ["reward-model", "monte-carlo", "judge"],
    checked: "the repository's GRPO function (mode code), max abs diff 1e-15 for groups of two or more",
    reconstructed: [
      "finAccuracy",
      "finStepReward",
      "finTrajectoryReward",
      "threshold",
      "process_weight",
      "the ranking sum",
    ],
  },
  equations: [
    {
      text: "score_i = mean_k p_ik + α p_i^traj",
      tex: "s_i = \\frac{1}{K_i}\\sum_k p_{ik} + \\alpha\\,p_i^{\\mathrm{traj}}",
    },
    { text: "R_i = (1 − δ) outcome_i + δ score_i", tex: "R_i = (1-\\delta)\\,o_i + \\delta\\,s_i" },
    { text: "A_i = (R_i − μ) / (σ + ε)", tex: "A_i = \\frac{R_i - \\mu}{\\sigma + \\varepsilon}" },
  ],
  params,
  presets: { paper: { mode: "paper" }, official: { mode: "code" } },
  reads: ["steps.prm", "rewards.trajectory", "rewards.outcome", "tokens.mask?", "group?"],
  writes: ["rollout.process_score", "rollout.reward", "rollout.advantage", "tokens.advantage"],
  scope: "group",
  functions: {
    finMonteCarlo,
    finAccuracy,
    finStepReward,
    knowledgeCoverage,
    finTrajectoryReward,
    finLabels,
    finPrmLoss,
    finRankingScore,
    finBestOfN,
  },
  assign,
});
