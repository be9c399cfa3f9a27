import { z } from "zod";
import { groupCredit } from "../../operators/group-credit.ts";
import { preferenceLoss } from "../../operators/preference.ts";
import { softplus } from "../../operators/scalars.ts";
import type { Batch } from "../../rollouts/index.ts";
import { bit, functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";

const weights = z
  .record(z.string(), z.number().min(0))
  .default({ accuracy: 0.7, format: 0.1, length: 0.2 })
  .describe("weight of each rule channel");

const params = z.object({ weights, eps: positiveEps(1e-6), ddof: ddof(1) });
type Params = z.output<typeof params>;

/** Three decimals, exact halves to the even neighbour as in the authors' code. */
function rounded(x: number): number {
  // Only odd multiples of 1/16 lie exactly between two thousandths.
  if (Math.abs((x * 16) % 2) !== 1) return Number(x.toFixed(3));
  const below = Math.floor(x * 1000);
  return (below % 2 === 0 ? below : below + 1) / 1000;
}

/**
 * DeScore (arXiv 2605.05922), credit of the thoughts: R = Σ_k w_k rewards.k rounded to three decimals, centred and scaled
 * among the thoughts about one item (sample spread), given to every policy token. The scalar score takes no part.
 */
function assign(batch: Batch, p: Params): Batch {
  const reward = new Float64Array(batch.size);
  for (const [name, weight] of Object.entries(p.weights)) {
    const values = batch.numbers(`rewards.${name}`);
    for (let i = 0; i < reward.length; i++) reward[i] += weight * values[i];
  }
  for (let i = 0; i < reward.length; i++) reward[i] = rounded(reward[i]);
  return batch.with({ "rollout.reward": reward, ...groupCredit(batch, reward, { ddof: p.ddof, eps: p.eps }) });
}

const ruleArgs = z.object({
  response: z.string(),
  truth: z.record(z.string(), z.unknown()).nullable(),
  weights,
});

/** Parsed answer block of a response (the first; a ```json fence is taken off), null where there is none. */
function parsedAnswer(response: string): Record<string, unknown> | null {
  const block = /<answer>([\s\S]*?)<\/answer>/.exec(response)?.[1];
  if (block === undefined) return null;
  const fenced = /```(?:json)?\s*([\s\S]*?)```/.exec(block)?.[1] ?? block;
  try {
    const value: unknown = JSON.parse(fenced.trim());
    return value !== null && typeof value === "object" && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

const lengthSteps = [500, 1000, 1500, 2000];
const lengthRewards = [0, 0.2, 0.4, 0.6, 1];

/**
 * Rule reward of one thought: `accuracy` = share of the reference dimensions scored exactly alike (type matters), `format`
 * = 1 with a parsed object that has dimensional_scores, `length` in steps of 500 characters, and their weighted sum;
 * all rounded to three decimals, the sum from the exact parts.
 */
export function ruleReward(args: z.input<typeof ruleArgs>) {
  const { response, truth, weights } = functionArgs(ruleArgs, args);
  const answer = parsedAnswer(response);
  const format = answer !== null && "dimensional_scores" in answer ? 1 : 0;
  const scores = format === 1 ? answer?.dimensional_scores : null;
  const given = scores !== null && typeof scores === "object" ? (scores as Record<string, unknown>) : {};
  const dimensions = Object.entries(truth ?? {});
  const right = dimensions.filter(([name, value]) => Object.hasOwn(given, name) && given[name] === value).length;
  const accuracy = dimensions.length === 0 ? 0 : right / dimensions.length;
  const characters = [...response].length;
  const length = lengthRewards[lengthSteps.filter((step) => characters >= step).length];
  const parts: Record<string, number> = { accuracy, format, length };
  const overall = Object.entries(weights).reduce((sum, [name, weight]) => sum + weight * (parts[name] ?? 0), 0);
  return { overall: rounded(overall), accuracy: rounded(accuracy), format, length };
}

const pairArgs = z.object({ reward_a: numberList, reward_b: numberList, labels: z.array(z.string()) });

/** Score of the chosen one minus that of the other, for decided pairs (label A or B). */
function margins({ reward_a, reward_b, labels }: z.output<typeof pairArgs>): number[] {
  sameLength({ reward_a, reward_b, labels });
  return labels.flatMap((label, k) => {
    const d = reward_a[k] - reward_b[k];
    return label === "A" ? [d] : label === "B" ? [0 - d] : [];
  });
}

const bradleyTerryArgs = pairArgs.extend({ reduction: z.enum(["labelled", "all"]).default("labelled") });

/** Bradley-Terry loss −log σ(s_chosen − s_rejected), mean over decided pairs, or their sum over all pairs (`all`). */
export function bradleyTerryLoss(args: z.input<typeof bradleyTerryArgs>): number {
  const given = functionArgs(bradleyTerryArgs, args);
  const decided = margins(given);
  const { loss } = preferenceLoss(decided);
  return given.reduction === "all" && decided.length > 0 ? (loss * decided.length) / given.labels.length : loss;
}

const tiesArgs = pairArgs.extend({ k: z.number().gt(1).default(5) });

/**
 * Bradley-Terry with ties: decided pair −log σ(d − ln k), tie (`same`) −log σ(d − ln k) − log σ(−d − ln k) − ln(k² − 1),
 * any other label 0; mean over all pairs.
 */
export function bradleyTerryTiesLoss(args: z.input<typeof tiesArgs>): number {
  const { reward_a, reward_b, labels, k } = functionArgs(tiesArgs, args);
  sameLength({ reward_a, reward_b, labels });
  const width = Math.log(k);
  const total = labels.reduce((sum, label, pair) => {
    const d = reward_a[pair] - reward_b[pair];
    if (label === "A") return sum + softplus(width - d);
    if (label === "B") return sum + softplus(width + d);
    if (label === "same") return sum + softplus(width - d) + softplus(width + d) - Math.log(k * k - 1);
    return sum;
  }, 0);
  return labels.length === 0 ? 0 : total / labels.length;
}

/** Decided pairs in which the chosen one scores higher, and their number; equal scores are wrong. */
export function pairAccuracy(args: z.input<typeof pairArgs>): { right: number; total: number } {
  const decided = margins(functionArgs(pairArgs, args));
  return { right: decided.filter((margin) => margin > 0).length, total: decided.length };
}

const lossArgs = z.object({
  logprob: numberRows,
  old_logprob: numberRows,
  ref_logprob: numberRows,
  advantage: z.union([numberList, numberRows], "a number per row, or per token"),
  mask: z.array(z.array(bit)),
  score_a: numberList,
  score_b: numberList,
  labels: z.array(z.string()),
  kl_coef: z.number().min(0).default(1e-5),
  bt_weight: z.number().min(0).default(5e-3),
  clip_low: z.number().min(0).lt(1).default(0.2),
  clip_high: z.number().min(0).default(0.3),
  clip_dual: z.number().min(1).default(3),
});

const within = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high);

/** Loss of the second stage: clipped policy loss (dual clip for A < 0), k3 estimate of the KL, and Bradley-Terry on the scores. */
export function deScoreLoss(args: z.input<typeof lossArgs>) {
  const given = functionArgs(lossArgs, args);
  const { logprob, old_logprob, ref_logprob, advantage, mask, clip_low, clip_high, clip_dual } = given;
  sameLength({ logprob, old_logprob, ref_logprob, advantage, mask });
  let policy = 0;
  let kl = 0;
  let tokens = 0;
  for (const [i, row] of logprob.entries()) {
    const perToken = advantage[i];
    const lists = { logprob: row, old_logprob: old_logprob[i], ref_logprob: ref_logprob[i], mask: mask[i] };
    sameLength(Array.isArray(perToken) ? { ...lists, advantage: perToken } : lists);
    for (const [t, value] of row.entries()) {
      if (mask[i][t] === 0) continue;
      const a = Array.isArray(perToken) ? perToken[t] : perToken;
      const d = value - old_logprob[i][t];
      const ratio = Math.exp(within(d, -20, 20));
      const clipped = Math.exp(within(d, Math.log(1 - clip_low), Math.log(1 + clip_high)));
      const plain = Math.max(-a * ratio, -a * clipped);
      policy += a < 0 ? Math.min(plain, -clip_dual * a) : plain;
      const q = within(ref_logprob[i][t] - value, -20, 20);
      kl += within(Math.exp(q) - q - 1, -10, 10);
      tokens++;
    }
  }
  policy /= tokens + 1e-8;
  kl /= tokens + 1e-8;
  const bt = bradleyTerryLoss({ reward_a: given.score_a, reward_b: given.score_b, labels: given.labels });
  return { policy, kl, bt, loss: policy + given.kl_coef * kl + given.bt_weight * bt };
}

export const descore = defineMethod({
  id: "descore",
  title: "DeScore: think, then score",
  summary:
    "A reward model writes a thought and a small head scores prompt, item and thought; the head learns from pairs with thoughts hidden at random, the thought by group-relative credit on rule rewards.",
  facts: {
    paper: {
      title: "Think, then Score: Decoupled Reasoning and Scoring for Video Reward Modeling",
      arxiv: "2605.05922",
      date: "2026-05",
      repo: "KlingAIResearch/DeScore",
    },
    headline:
      "5.4 % more preference accuracy on VideoGen-Bench than the best generative baseline, from a quarter of the data.",
    granularity: "reward-function",
    methodology: ["reward-model", "verifier", "monte-carlo"],
    checked: "rule reward equal on all test texts; policy, KL, pair loss and advantage 1.6e-7 (float32 KL there)",
  },
  equations: [
    { text: "R = round3(Σ_k w_k r_k)", tex: "R = \\operatorname{round}_3\\Big(\\sum_k w_k r_k\\Big)" },
    { text: "A = (R − μ) / (σ + ε)", tex: "A = \\frac{R - \\mu}{\\sigma + \\varepsilon}" },
    { text: "L_BT = −log σ(s_chosen − s_rejected)", tex: "L_{BT} = -\\log\\sigma(s_{chosen} - s_{rejected})" },
  ],
  params,
  reads: ["rewards.accuracy", "rewards.format", "rewards.length", "group?", "tokens.mask?"],
  writes: ["rollout.reward", "rollout.advantage", "tokens.advantage"],
  scope: "group",
  functions: { ruleReward, bradleyTerryLoss, bradleyTerryTiesLoss, pairAccuracy, deScoreLoss },
  assign,
});
