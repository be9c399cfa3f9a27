import { z } from "zod";
import { gaeInto } from "../../operators/gae.ts";
import { policyNumbers } from "../../operators/mask.ts";
import { clearGaps, policyRuns } from "../../operators/runs.ts";
import { tokenRewards } from "../../operators/token-rewards.ts";
import { mergeMoments, type RunMoments, runMoments, whitenRuns } from "../../operators/whiten.ts";
import { type Batch, markFinite } from "../../rollouts/index.ts";
import { functionArgs, numberRows, sameLength } from "../arguments.ts";
import { defineMethod, type TwoPass } from "../method.ts";
import { ddof, unitInterval } from "../parameters.ts";

const params = z.object({
  gamma: unitInterval(1, "discount per policy token"),
  lam: unitInterval(1, "trade of bias (0) against variance (1); TRL uses 0.95"),
  whiten_advantage: z.boolean().default(true).describe("centre and scale over all policy tokens of the call"),
  whiten_ddof: ddof(1),
  whiten_eps: z.number().positive().default(1e-8).describe("added to the variance, inside the root"),
});

type Params = z.output<typeof params>;

/** Advantages below 1e30 in absolute value cannot overflow, whitened or added to a finite value, not even in float32. */
const farFromOverflow = 1e60;

/** Advantages and returns before whitening. */
function estimate(batch: Batch, p: Params) {
  const values = policyNumbers(batch, "tokens.value");
  const runs = policyRuns(batch);
  const { rewards, last } = tokenRewards(batch);
  const bootstrap = batch.numbers("signals.bootstrap_value", { absent: 0 });
  const advantage = batch.floats("token", values);
  const returns = batch.floats("token", values);
  clearGaps(advantage, runs);
  clearGaps(returns, runs);
  const { gamma, lam } = p;
  const sums = gaeInto({ runs, values, rewards, last, bootstrap, gamma, lam }, advantage, returns);
  if (sums.squares < farFromOverflow) {
    markFinite(advantage);
    markFinite(returns);
  }
  return { advantage, returns, runs, moments: () => runMoments(advantage, runs, sums) };
}

/**
 * Credit of Generalized Advantage Estimation on tokens (arXiv 1506.02438 eq. 16; whitening as in PPO trainers).
 * Only policy tokens are walked; an observation is part of the transition and costs neither γ nor λ.
 * Returns are taken before whitening: they are the critic's target.
 */
function assign(batch: Batch, p: Params, given?: RunMoments): Batch {
  const { advantage, returns, runs, moments } = estimate(batch, p);
  if (p.whiten_advantage) {
    whitenRuns(advantage, runs, { ddof: p.whiten_ddof, eps: p.whiten_eps }, given ?? moments());
  }
  return batch.with({ "tokens.advantage": advantage, "tokens.return": returns });
}

const twoPass: TwoPass<Params, RunMoments> = {
  scope: () => "rollout",
  collect: (batch, p, state) => mergeMoments(state, estimate(batch, p).moments()),
  apply: assign,
};

const valueLossArgs = z.object({
  value: numberRows,
  old_value: numberRows,
  returns: numberRows,
  /** 1 for policy tokens; all of them when left out. */
  mask: numberRows.optional(),
  /** Range of the value around its old value; `null` = no clip. */
  clip: z.number().positive().nullable().default(0.5),
  agg: z.enum(["token-mean", "seq-mean-token-mean"]).default("token-mean"),
});

/**
 * Clipped value loss of PPO (arXiv 1707.06347): token loss ½ max((v − R)², (clip(v, v_old ± c) − R)²).
 * Rows without policy tokens do not count. `clip_fraction` is the share of policy tokens where the clipped square is larger.
 */
export function valueLoss(args: z.input<typeof valueLossArgs>): { loss: number; clip_fraction: number } {
  const given = functionArgs(valueLossArgs, args);
  const { value, old_value, returns, clip, agg } = given;
  const mask = given.mask ?? value.map((row) => row.map(() => 1));
  sameLength({ value, old_value, returns, mask });
  for (const [i, row] of value.entries())
    sameLength({ value: row, old_value: old_value[i], returns: returns[i], mask: mask[i] });
  let total = 0;
  let tokens = 0;
  let rows = 0;
  let clipped = 0;
  value.forEach((row, i) => {
    let sum = 0;
    let n = 0;
    row.forEach((v, t) => {
      if (mask[i][t] === 0) return;
      const plain = (v - returns[i][t]) ** 2;
      const near = clip === null ? v : Math.min(Math.max(v, old_value[i][t] - clip), old_value[i][t] + clip);
      const bounded = (near - returns[i][t]) ** 2;
      if (bounded > plain) clipped++;
      sum += 0.5 * Math.max(plain, bounded);
      n++;
    });
    if (n === 0) return;
    total += agg === "token-mean" ? sum : sum / n;
    tokens += n;
    rows++;
  });
  const divisor = agg === "token-mean" ? tokens : rows;
  return { loss: divisor === 0 ? 0 : total / divisor, clip_fraction: tokens === 0 ? 0 : clipped / tokens };
}

export const gae = defineMethod({
  id: "gae",
  title: "Generalized Advantage Estimation with masked whitening (PPO)",
  summary:
    "Temporal-difference errors of a learned value function, summed over the policy's own tokens with weight (gamma lambda)^k, then whitened over all policy tokens of the batch.",
  facts: {
    paper: {
      title: "High-Dimensional Continuous Control Using Generalized Advantage Estimation",
      arxiv: "1506.02438",
      date: "2015-06",
      repo: "volcengine/verl",
    },
    headline: "Learned 3D locomotion with lambda 0.9 to 0.99; in RLHF the usual setting is gamma 1, lambda 0.95 or 1.",
    granularity: "token",
    methodology: ["temporal-difference"],
    checked: "verl (August 2026), max abs diff 6e-9, except when all advantages are equal",
  },
  equations: [
    { text: "δ_t = r_t + γ V_t' − V_t, t' = next policy token", tex: "\\delta_t = r_t + \\gamma V_{t'} - V_t" },
    { text: "A_t = δ_t + γ λ A_t'", tex: "A_t = \\delta_t + \\gamma\\lambda A_{t'}" },
    { text: "return_t = A_t + V_t", tex: "R_t = A_t + V_t" },
    {
      text: "A ← (A − mean) / sqrt(var + ε)",
      tex: "A \\leftarrow \\frac{A - \\operatorname{mean}}{\\sqrt{\\operatorname{var} + \\varepsilon}}",
    },
  ],
  params,
  reads: ["tokens.value", "tokens.reward | rollout.reward", "tokens.mask?", "signals.bootstrap_value?"],
  writes: ["tokens.advantage", "tokens.return"],
  scope: (p) => (p.whiten_advantage ? "batch" : "rollout"),
  functions: { valueLoss },
  twoPass,
  assign: (batch, p) => assign(batch, p),
});
