import { z } from "zod";
import { preferenceLoss } from "../../operators/preference.ts";
import { ranks } from "../../operators/ranking.ts";
import { sigmoid, softplus } from "../../operators/scalars.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { count, functionArgs, numberList, probability, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { type Iterated, improved, iterate, winRates } from "./dno-iteration.ts";

const params = z.object({});

/**
 * Win rate of each candidate inside its group, from one judge's points (arXiv 2404.03715): the share of the other scored
 * candidates that have fewer points, equal ones counting ½. Alone: ½. A candidate without points has none and is nobody's
 * opponent.
 */
function assign(batch: Batch): Batch {
  const path = "signals.judge_score";
  batch.column(path);
  const scores = batch.numbers(path, { absent: 0, missing: 0 });
  const scored = batch.validity(path);
  const { count, offsets, members } = batch.groups();
  const values = new Float64Array(batch.size);
  for (let g = 0; g < count; g++) {
    const group = members.subarray(offsets[g], offsets[g + 1]).filter((i) => scored === null || scored[i] === 1);
    // The rank of a candidate is 1 + the number of lower ones + half the number of others that are equal.
    const rank = ranks(Float64Array.from(group, (i) => scores[i]));
    group.forEach((i, k) => {
      values[i] = group.length === 1 ? 0.5 : (rank[k] - 1) / (group.length - 1);
    });
  }
  return batch.with({ "rollout.win_rate": { values, valid: scored } });
}

const slack = 1e-6;
const policyArg = z
  .array(z.number().min(0))
  .min(1, "at least one response")
  .refine((p) => Math.abs(p.reduce((a, b) => a + b, 0) - 1) <= slack, "probabilities that sum to 1");
const preferenceArg = z.array(z.array(probability)).superRefine((matrix, context) => {
  matrix.forEach((row, i) => {
    const odd = row.findIndex((p, j) => Math.abs(p + (matrix[j]?.[i] ?? Number.NaN) - 1) > slack);
    if (row.length !== matrix.length) {
      context.addIssue({ code: "custom", message: `rows of ${matrix.length} numbers`, path: [i] });
    } else if (odd >= 0) {
      context.addIssue({ code: "custom", message: "P(y beats y') + P(y' beats y) = 1", path: [i, odd] });
    }
  });
});
const eta = z.number().positive().default(0.1);

/** @throws InputError for a probability of 0, whose logarithm is needed. */
function logsOf(name: string, policy: readonly number[]): number[] {
  const zero = policy.indexOf(0);
  if (zero < 0) return policy.map((p) => Math.log(p));
  throw new InputError(`argument ${name}.${zero} not valid`, { expected: "a probability above 0", got: "0" });
}

const rewardArgs = z.object({ policy: policyArg, preference: preferenceArg });

/** Reward of each response: its expected win rate against a draw from the policy, r(y) = Σ_y' π(y') P(y beats y'). */
export function dnoReward(args: z.input<typeof rewardArgs>): number[] {
  const { policy, preference } = functionArgs(rewardArgs, args);
  sameLength({ policy, preference });
  return winRates(preference, policy);
}

const targetArgs = z.object({
  policy: policyArg,
  rewards: numberList,
  eta,
  ref: policyArg.optional(),
  tau: z.number().min(0).default(0),
});

/**
 * Soft policy iteration: π*(y) ∝ π(y) e^(r(y)/η); with τ > 0 the mixture π^(1−τ/η) ref^(τ/η) stands for π.
 * @throws InputError for probabilities of 0: a response that is never sampled has no logarithm to start from.
 */
export function dnoTarget(args: z.input<typeof targetArgs>): number[] {
  const { policy, rewards, ref, tau, ...given } = functionArgs(targetArgs, args);
  sameLength({ policy, rewards, ...(ref === undefined ? {} : { ref }) });
  if (tau > given.eta)
    throw new InputError("argument tau not valid", { expected: `0 to eta ${given.eta}`, got: `${tau}` });
  const log = logsOf("policy", policy);
  if (tau === 0) return improved(log, rewards, given.eta).map(Math.exp);
  if (ref === undefined)
    throw new InputError("argument ref is missing", { expected: "a reference policy when tau > 0" });
  const share = tau / given.eta;
  const mixture = logsOf("ref", ref).map((x, y) => (1 - share) * log[y] + share * x);
  return improved(mixture, rewards, given.eta).map(Math.exp);
}

const lossArgs = z.object({ ratio1: numberList, ratio2: numberList, reward1: numberList, reward2: numberList, eta });

/**
 * Regression of the internal reward on the preference: mean of −z log σ(D) − (1 − z) log σ(−D), z = σ(reward1 − reward2),
 * D = η (ratio1 − ratio2), ratio = log π(y) − log π_t(y) summed over the response. No pairs: 0.
 */
export function dnoLoss(args: z.input<typeof lossArgs>): number {
  const { ratio1, ratio2, reward1, reward2, eta } = functionArgs(lossArgs, args);
  sameLength({ ratio1, ratio2, reward1, reward2 });
  const total = ratio1.reduce((sum, ratio, k) => {
    const label = sigmoid(reward1[k] - reward2[k]);
    const d = eta * (ratio - ratio2[k]);
    return sum + label * softplus(-d) + (1 - label) * softplus(d);
  }, 0);
  return ratio1.length === 0 ? 0 : total / ratio1.length;
}

const prctArgs = z.object({ positive: numberList, negative: numberList, eta });

/** Contrastive loss of DNO-Prct on log-ratios: mean of log(1 + e^(−η (ratio⁺ − ratio⁻))); no pairs: 0. */
export function dnoPrctLoss(args: z.input<typeof prctArgs>): number {
  const { positive, negative, eta } = functionArgs(prctArgs, args);
  sameLength({ positive, negative });
  return preferenceLoss(positive.map((ratio, k) => eta * (ratio - negative[k]))).loss;
}

const pairsArgs = z.object({
  scores: z.array(z.number().nullable()),
  sources: z.array(z.enum(["gold", "policy"])).optional(),
  minPositive: z.number().default(5),
  margin: z.number().min(0).default(2),
  studentMargin: z.number().min(0).default(1),
  restrictive: z.boolean().default(false),
});

/**
 * Pairs [positive, negative] of candidate numbers with a large margin: a positive has at least `minPositive` points, a
 * negative at least `margin` fewer than a gold positive or `studentMargin` fewer than one of the policy. `restrictive`: only
 * gold over policy. Candidates without points take no part. `sources` left out: all come from the policy.
 */
export function dnoPairs(args: z.input<typeof pairsArgs>): [number, number][] {
  const { scores, sources, minPositive, margin, studentMargin, restrictive } = functionArgs(pairsArgs, args);
  if (sources !== undefined) sameLength({ scores, sources });
  const isGold = (k: number) => sources?.[k] === "gold";
  const pairs: [number, number][] = [];
  scores.forEach((high, i) => {
    if (high === null || high < minPositive || (restrictive && !isGold(i))) return;
    const most = high - (isGold(i) ? margin : studentMargin);
    scores.forEach((low, j) => {
      if (j !== i && low !== null && low <= most && !(restrictive && isGold(j))) pairs.push([i, j]);
    });
  });
  return pairs;
}

const replayArgs = z.object({
  previous: z.array(count),
  first: probability.default(0.3),
  decay: probability.default(0.5),
});

/** Pairs to take again from earlier iterations, the latest first: floor(first · decay^k · n_k) of each. */
export function dnoReplay(args: z.input<typeof replayArgs>): number[] {
  const { previous, first, decay } = functionArgs(replayArgs, args);
  return previous.map((n, k) => Math.floor(first * decay ** k * n));
}

/** How much the best response wins against the policy beyond one half: max_y r(y) − ½; 0 at a Nash equilibrium. */
export function dnoExploitability(args: z.input<typeof rewardArgs>): number {
  return dnoReward(args).reduce((a, b) => Math.max(a, b)) - 0.5;
}

const iterateArgs = z.object({
  preference: preferenceArg.min(1, "at least one response"),
  eta,
  steps: z.int().min(1),
  policy: policyArg.optional(),
});

/**
 * Repeats `dnoReward` and `dnoTarget`: `average` of the policies before each step, the `last` policy, and the win rate of
 * every new policy against the one before it (`improvement`, at least ½). Starts from `policy`, default uniform.
 */
export function dnoIterate(args: z.input<typeof iterateArgs>): Iterated {
  const { preference, steps, policy, ...given } = functionArgs(iterateArgs, args);
  const start = policy ?? preference.map(() => 1 / preference.length);
  sameLength({ preference, policy: start });
  logsOf("policy", start);
  return iterate(preference, start, given.eta, steps);
}

export const dno = defineMethod({
  id: "dno",
  title: "Direct Nash Optimization (DNO)",
  summary:
    "Each iteration regresses the policy's log-ratio on the win rate against the current policy itself, under any preference, also a cyclic one; in practice DPO on on-policy samples and a gold answer, with large-margin pairs only.",
  facts: {
    paper: {
      title: "Direct Nash Optimization: Teaching Language Models to Self-Improve with General Preferences",
      arxiv: "2404.03715",
      date: "2024-04",
      repo: null,
    },
    headline: "A 7B model went from 7 % to 33 % wins against GPT-4-Turbo on AlpacaEval 2.0 in six iterations.",
    granularity: "rollout",
    methodology: ["game-theory", "implicit-reward", "preference"],
    checked:
      "no official code; the regression was minimised numerically and the improvement bound held on random games",
    reconstructed: ["equal points count as half a win"],
  },
  equations: [
    {
      text: "r_t(y) = Σ_y' π_t(y') P(y beats y')",
      tex: "r_t(y) = \\mathbb{E}_{y' \\sim \\pi_t}[\\mathcal{P}(y \\succ y')]",
    },
    {
      text: "π_{t+1}(y) ∝ π_t(y) e^(r_t(y)/η)",
      tex: "\\pi_{t+1}(y) \\propto \\pi_t(y)\\,e^{r_t(y)/\\eta}",
    },
    {
      text: "loss = −z log σ(D) − (1−z) log σ(−D), z = σ(r_1 − r_2), D = η (log-ratio_1 − log-ratio_2)",
      tex: "\\mathcal{L} = -z\\log\\sigma(D) - (1 - z)\\log\\sigma(-D)",
    },
  ],
  params,
  reads: ["signals.judge_score", "group?"],
  writes: ["rollout.win_rate"],
  scope: "group",
  functions: {
    dnoReward,
    dnoTarget,
    dnoLoss,
    dnoPrctLoss,
    dnoPairs,
    dnoReplay,
    dnoExploitability,
    dnoIterate,
  },
  assign: (batch) => assign(batch),
});
