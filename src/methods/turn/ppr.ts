import { z } from "zod";
import { gaeInto } from "../../operators/gae.ts";
import { policyNumbers } from "../../operators/mask.ts";
import { requireRows } from "../../operators/row-credit.ts";
import { policyRuns } from "../../operators/runs.ts";
import { scatterAdd, unitsOf } from "../../operators/slots.ts";
import { lessKl } from "../../operators/token-rewards.ts";
import { mergeMoments, type RunMoments, runMoments, whitenRuns } from "../../operators/whiten.ts";
import type { Batch } from "../../rollouts/index.ts";
import { functionArgs } from "../arguments.ts";
import { defineMethod, type TwoPass } from "../method.ts";
import { klCoef, unitInterval } from "../parameters.ts";

const renormBeta = z.number().default(1).describe("subtracted from process reward plus outcome");

const params = z.object({
  renorm: z
    .boolean()
    .default(true)
    .describe("add the outcome to every process reward and subtract renorm_beta, so that its sign follows the outcome"),
  renorm_beta: renormBeta,
  gamma: unitInterval(1, "discount per policy token"),
  lam: unitInterval(1, "trade of bias (0) against variance (1)"),
  kl_coef: klCoef(0, "weight of the KL estimate inside the token rewards (released script: 0.001)"),
  whiten_advantage: z.boolean().default(true).describe("centre and scale over all policy tokens of the call"),
  whiten_eps: z.number().positive().default(1e-8).describe("added to the variance, inside the root"),
});
type Params = z.output<typeof params>;

/** score / max of a judge; `null` when it is no share: a maximum of 0 or less, or a score outside [0, max]. */
function shareOf(score: number, most: number): number | null {
  return most > 0 && score >= 0 && score <= most ? score / most : null;
}

/** Process reward of each turn that is not the last of its rollout, 0 where the judge gave nothing that can be used. */
function processRewards(batch: Batch): Float64Array {
  const offsets = batch.offsets("turn");
  const filled = { absent: 0, missing: 0 };
  const given = batch.numbers("turns.prm", filled);
  const score = batch.numbers("turns.judge_score", filled);
  // A missing maximum is 0, which no score is a share of.
  const most = batch.numbers("turns.judge_max", filled);
  const scored = batch.validity("turns.judge_score");
  const out = new Float64Array(batch.count("turn"));
  for (let i = 0; i < batch.size; i++) {
    const last = offsets[i + 1] - 1;
    if (last <= offsets[i]) continue;
    const prm = batch.hasIn("turns.prm", i);
    if (!prm && !batch.hasIn("turns.judge_score", i)) throw batch.missing("turns.judge_score", i, "or give turns.prm");
    if (!prm && !batch.hasIn("turns.judge_max", i)) throw batch.missing("turns.judge_max", i);
    for (let t = offsets[i]; t < last; t++) {
      if (prm) out[t] = shareOf(given[t], 1) ?? 0;
      else if (scored === null || scored[t] === 1) out[t] = shareOf(score[t], most[t]) ?? 0;
    }
  }
  return out;
}

/** r̂ of all turns: p_t + r_o − β (or p_t) before the last turn, the outcome on the last. */
function turnRewards(batch: Batch, p: Params): Float64Array {
  const offsets = batch.offsets("turn");
  const outcome = batch.numbers("rollout.reward");
  const out = processRewards(batch);
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i + 1] === offsets[i]) continue;
    const shift = p.renorm ? outcome[i] - p.renorm_beta : 0;
    for (let t = offsets[i]; t < offsets[i + 1] - 1; t++) out[t] += shift;
    out[offsets[i + 1] - 1] = outcome[i];
  }
  return out;
}

/** Rewards, advantages before whitening, and returns of tokens; 0 on tokens of the environment. */
function estimate(batch: Batch, turns: Float64Array, p: Params) {
  const values = policyNumbers(batch, "tokens.value", 0);
  const like = batch.has("tokens.value") ? values : undefined;
  const placed = batch.zeros("token", like);
  scatterAdd(unitsOf(batch, "turn"), turns, placed);
  const rewards = lessKl(batch, { rewards: placed, last: null }, p.kl_coef).rewards;
  const runs = policyRuns(batch);
  const advantage = batch.zeros("token", like);
  const returns = batch.zeros("token", like);
  gaeInto({ runs, values, rewards, gamma: p.gamma, lam: p.lam }, advantage, returns);
  return { rewards: rewards ?? placed, advantage, returns, runs };
}

/**
 * Credit of PPR (arXiv 2509.25598): the judge's share p_t of a turn before the last becomes r̂_t = p_t + r_o − β (ReNorm),
 * the last turn gets the outcome r_o; r̂_t sits on the last policy token of its turn, less the KL estimate. GAE over the
 * policy tokens as one chain, then whitening over all policy tokens of the call. Returns are taken before whitening.
 */
function assign(batch: Batch, p: Params, given?: RunMoments): Batch {
  requireRows(batch, "turn", "rewards are placed at the ends of turns");
  const turns = turnRewards(batch, p);
  if (!batch.hasLevel("token")) return batch.with({ "turns.reward": turns });
  const { rewards, advantage, returns, runs } = estimate(batch, turns, p);
  if (p.whiten_advantage) whitenRuns(advantage, runs, { ddof: 1, eps: p.whiten_eps }, given);
  return batch.with({
    "turns.reward": turns,
    "tokens.reward": rewards,
    "tokens.return": returns,
    "tokens.advantage": advantage,
  });
}

const twoPass: TwoPass<Params, RunMoments> = {
  scope: () => "rollout",
  collect(batch, p, state) {
    const { advantage, runs } = estimate(batch, turnRewards(batch, p), p);
    return mergeMoments(state, runMoments(advantage, runs));
  },
  apply: assign,
};

function warnings(batch: Batch): string[] {
  const outside = batch.numbers("rollout.reward").filter((r) => r < 0 || r > 1).length;
  if (outside === 0) return [];
  return [`${outside} outcomes lie outside 0 to 1: the sign of a process reward then no longer follows the outcome`];
}

const renormArgs = z.object({
  process: z.array(z.number().nullable()),
  outcome: z.number(),
  beta: renormBeta,
});

/**
 * ReNorm alone: p_t + r_o − β for each process reward (null and shares outside [0, 1] count as 0), then the outcome for the
 * answer turn; one number more than `process`.
 */
export function renorm(args: z.input<typeof renormArgs>): number[] {
  const { process, outcome, beta } = functionArgs(renormArgs, args);
  return [...process.map((p) => (p === null ? 0 : (shareOf(p, 1) ?? 0)) + outcome - beta), outcome];
}

const ratioArgs = z.object({ score: z.number().nullable(), max_score: z.number().nullable() });

/** Share of the judge's maximum, `null` when there is none: null, a maximum of 0 or less, or a score outside [0, max]. */
export function judgeRatio(args: z.input<typeof ratioArgs>): number | null {
  const { score, max_score } = functionArgs(ratioArgs, args);
  return score === null || max_score === null ? null : shareOf(score, max_score);
}

const replyArgs = z.object({ text: z.string() });

/** Score and maximum from a judge's reply: the last `<final_score>SCORE,MAX</final_score>` with two integers; else `null`. */
export function parseFinalScore(args: z.input<typeof replyArgs>): { score: number; max_score: number } | null {
  const { text } = functionArgs(replyArgs, args);
  const found = [...text.matchAll(/<final_score>\s*([+-]?\d+)\s*,\s*([+-]?\d+)\s*<\/final_score>/g)].pop();
  if (found === undefined) return null;
  const [score, max_score] = [Number(found[1]), Number(found[2])];
  return Number.isSafeInteger(score) && Number.isSafeInteger(max_score) ? { score, max_score } : null;
}

export const ppr = defineMethod({
  id: "ppr",
  title: "Principle Process Reward with ReNorm (PPR)",
  summary:
    "A judge scores every turn before the answer; ReNorm adds the outcome and subtracts one, so that process rewards never pay after a wrong answer and never punish after a right one, and PPO with GAE does the rest.",
  facts: {
    paper: {
      title: "Principle Process Reward with ReNorm (PPR)",
      arxiv: "2509.25598",
      date: "2025-09",
      repo: "Zhuohao-Li/ppr",
    },
    headline:
      "On search question answering 15 % (3B) and 5 % (7B) above outcome-reward RL on average; its judge model reaches 0.613 on NVProcessBench.",
    granularity: "turn",
    methodology: ["judge", "reward-model", "temporal-difference"],
    checked: "released kernels on responses of policy tokens only, max abs diff 9e-16",
    reconstructed: [
      "the chain and the whitening leave tokens of the environment out, which the release lets run through them",
    ],
  },
  equations: [
    { text: "r̂_t = p_t + r_o − β, r̂_T = r_o", tex: "\\hat r_t = p_t + r_o - \\beta,\\quad \\hat r_T = r_o" },
    {
      text: "A_t = δ_t + γ λ A_t', δ_t = r_t + γ V_t' − V_t, t' = next policy token",
      tex: "A_t = \\delta_t + \\gamma\\lambda A_{t'},\\quad \\delta_t = r_t + \\gamma V_{t'} - V_t",
    },
    {
      text: "A ← (A − mean) / sqrt(var + ε)",
      tex: "A \\leftarrow \\frac{A - \\operatorname{mean}}{\\sqrt{\\operatorname{var} + \\varepsilon}}",
    },
  ],
  params,
  presets: { official: { kl_coef: 0.001 } },
  reads: [
    "rollout.reward",
    "turns.judge_score | turns.prm",
    "turns.judge_max?",
    "turns.end?",
    "tokens.value?",
    "tokens.old_logprob if kl_coef",
    "tokens.ref_logprob if kl_coef",
    "tokens.mask?",
  ],
  writes: ["turns.reward", "tokens.reward", "tokens.return", "tokens.advantage"],
  scope: (p) => (p.whiten_advantage ? "batch" : "rollout"),
  functions: { renorm, parseFinalScore, judgeRatio },
  warnings,
  twoPass,
  assign: (batch, p) => assign(batch, p),
});
