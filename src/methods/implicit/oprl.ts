import { z } from "zod";
import { rowsToTokens, tokenSpans } from "../../operators/broadcast.ts";
import { policyMask, policyNumbers } from "../../operators/mask.ts";
import { poolMoments } from "../../operators/normalize.ts";
import { type Pools, poolByGroup } from "../../operators/pools.ts";
import { preferenceLoss } from "../../operators/preference.ts";
import type { Batch } from "../../rollouts/index.ts";
import { functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod, type TwoPass } from "../method.ts";

const beta = z.number().positive().default(0.05).describe("scale of the log-ratio");
const params = z.object({
  beta,
  alpha: z.number().min(0).default(1).describe("weight of the step part"),
  estimator: z
    .enum(["rloo", "mean", "mean_std"])
    .default("rloo")
    .describe("baseline: mean of the others (released), mean of all, or the mean and the spread of all (paper)"),
  reward_norm: z
    .enum(["batch_max", "none"])
    .default("batch_max")
    .describe("divide step rewards by the largest one of the call (released), or take them as they are (paper)"),
  step_baseline: z
    .enum(["all", "first"])
    .default("all")
    .describe(
      "steps are compared with all steps of the group (paper), or with the first step of each rollout (released)",
    ),
  eps: z.number().min(0).default(1e-6).describe("added to the standard deviation of mean_std"),
  norm_eps: z.number().positive().default(1e-6).describe("added to the largest step reward of batch_max"),
  process_only: z.boolean().default(false).describe("leave out the episode part"),
});
type Params = z.output<typeof params>;

/** Log-ratio of reward model and sampling policy, summed over the policy tokens of each turn; 0 in other rollouts. */
function summedRatios(batch: Batch, beta: number, given: string): Float64Array {
  const prm = policyNumbers(batch, "tokens.prm_logprob", 0);
  const old = policyNumbers(batch, "tokens.old_logprob", 0);
  const mask = policyMask(batch);
  const { starts, ends } = tokenSpans(batch, "turn");
  const offsets = batch.offsets("turn");
  const out = new Float64Array(starts.length);
  for (let i = 0; i < batch.size; i++) {
    if (batch.hasIn(given, i)) continue;
    for (let row = offsets[i]; row < offsets[i + 1]; row++) {
      let sum = 0;
      for (let t = starts[row]; t < ends[row]; t++) if (mask === null || mask[t] === 1) sum += prm[t] - old[t];
      out[row] = beta * sum;
    }
  }
  return out;
}

/** Step rewards before batch_max: `turns.prm_reward` where a rollout has it, else from the two log-probabilities. */
function stepRewards(batch: Batch, p: Params): Float64Array {
  const given = "turns.prm_reward";
  const { present } = batch.rows("turn");
  for (let i = 0; i < batch.size; i++) {
    if (present !== null && present[i] === 0) throw batch.missing("turns.end", i, "a turn is one step");
    if (batch.hasIn(given, i)) continue;
    if (!batch.hasIn("tokens.prm_logprob", i))
      throw batch.missing("tokens.prm_logprob", i, `or give the step rewards themselves as ${given}`);
    if (!batch.hasIn("tokens.old_logprob", i)) throw batch.missing("tokens.old_logprob", i);
  }
  if (batch.has(given, "every")) return Float64Array.from(batch.numbers(given));
  const out = summedRatios(batch, p.beta, given);
  if (!batch.has(given)) return out;
  const rewards = batch.numbers(given, { absent: 0 });
  for (let row = 0; row < out.length; row++) out[row] += rewards[row];
  return out;
}

/** Values against the statistics of their pool, in which each row stands `weight` times; a pool of one keeps its value. */
function compared(values: Float64Array, pools: Pools, weight: Uint8Array | null, p: Params): Float64Array {
  const { count, mean, squares, min, max } = poolMoments(values, pools, null, weight);
  const factor = mean.map((_, pool) => {
    const n = count[pool];
    if (n === 1 || p.estimator === "mean") return 1;
    if (p.estimator === "rloo") return n / (n - 1);
    return min[pool] === max[pool] ? 0 : 1 / (Math.sqrt(squares[pool] / (n - 1)) + p.eps);
  });
  return values.map((value, row) => {
    const pool = pools.of[row];
    return count[pool] === 1 ? value : (value - mean[pool]) * factor[pool];
  });
}

/** 1 on the first turn of each rollout. */
function firstTurns(batch: Batch): Uint8Array {
  const offsets = batch.offsets("turn");
  const first = new Uint8Array(batch.count("turn"));
  for (let i = 0; i < batch.size; i++) if (offsets[i + 1] > offsets[i]) first[offsets[i]] = 1;
  return first;
}

const largestOf = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/**
 * Credit of OPRL / iStar (arXiv 2509.19199; released scripts): step reward r_t = β Σ (log π_φ − log π_old) over the policy
 * tokens of turn t, divided by the largest one of the call; A_t = A^E + α A^S_t, A^E the outcome and A^S the step reward
 * against the group. A pool of one value gives that value.
 * @param given largest step reward of the whole input, where this is a piece of it.
 */
function assign(batch: Batch, p: Params, given?: number): Batch {
  const rewards = stepRewards(batch, p);
  if (p.reward_norm === "batch_max") {
    const largest = (given ?? largestOf(rewards)) + p.norm_eps;
    for (let row = 0; row < rewards.length; row++) rewards[row] /= largest;
  }
  const outcome = Float64Array.from(batch.numbers("rollout.reward"));
  const episode = compared(outcome, poolByGroup(batch, "rollout"), null, p);
  const weight = p.step_baseline === "first" ? firstTurns(batch) : null;
  const step = compared(rewards, poolByGroup(batch, "turn"), weight, p);
  const offsets = batch.offsets("turn");
  const advantage = step.slice();
  if (!p.process_only) {
    for (let i = 0; i < batch.size; i++) {
      for (let row = offsets[i]; row < offsets[i + 1]; row++) advantage[row] = episode[i] + p.alpha * step[row];
    }
  }
  const columns = {
    "turns.reward": rewards,
    "rollout.advantage": episode,
    "turns.step_advantage": step,
    "turns.advantage": advantage,
  };
  if (!batch.hasLevel("token")) return batch.with(columns);
  tokenSpans(batch, "turn");
  return batch.with({ ...columns, "tokens.advantage": { later: () => rowsToTokens(batch, "turn", advantage) } });
}

const twoPass: TwoPass<Params, number> = {
  scope: () => "group",
  collect: (batch, p, state) => Math.max(state ?? 0, largestOf(stepRewards(batch, p))),
  apply: assign,
};

const dpoArgs = z.object({
  logratio: numberRows,
  reward: numberList,
  group: z.array(z.union([z.string(), z.number(), z.null()])),
  beta,
  reduce: z.enum(["sum", "mean"]).default("mean"),
  pairing: z.enum(["threshold", "graded"]).default("threshold"),
  threshold: z.number().default(0),
});

/** All (better, worse) pairs of rollouts within a group. */
function pairsOf({ reward, group, pairing, threshold }: z.output<typeof dpoArgs>): [number, number][] {
  const wins = (a: number, b: number) => (pairing === "graded" ? a > b : a > threshold && b <= threshold);
  const members = new Map<string | number, number[]>();
  group.forEach((name, i) => {
    if (name === null) return;
    const list = members.get(name);
    if (list === undefined) members.set(name, [i]);
    else list.push(i);
  });
  return [...members.values()].flatMap((list) =>
    list.flatMap((i) => list.filter((j) => wins(reward[i], reward[j])).map((j): [number, number] => [i, j])),
  );
}

/**
 * Loss of the reward model on whole trajectories: the mean of −log σ(S_i − S_j) over all pairs of a better rollout i and a
 * worse one j of the same group, S = β × sum (paper) or mean (released) of the log-ratios of the turns.
 * `pairing` threshold: reward above `threshold` beats reward up to it; graded: the higher reward wins. No pair: loss 0.
 * @param args `logratio[i][t]` = summed log-ratio of turn t of rollout i; `group` null = alone.
 * @returns loss, number of pairs, and d loss / d logratio.
 */
export function trajectoryDpo(args: z.input<typeof dpoArgs>): { loss: number; pairs: number; grad: number[][] } {
  const given = functionArgs(dpoArgs, args);
  const { logratio, reward, group, reduce } = given;
  sameLength({ logratio, reward, group });
  const slope = logratio.map((turns) => given.beta / (reduce === "mean" ? Math.max(turns.length, 1) : 1));
  const score = logratio.map((turns, i) => slope[i] * turns.reduce((a, b) => a + b, 0));
  const pairs = pairsOf(given);
  const { loss, gradient } = preferenceLoss(pairs.map(([i, j]) => score[i] - score[j]));
  const byScore = new Float64Array(logratio.length);
  pairs.forEach(([i, j], k) => {
    byScore[i] += gradient[k];
    byScore[j] -= gradient[k];
  });
  return { loss, pairs: pairs.length, grad: logratio.map((turns, i) => turns.map(() => byScore[i] * slope[i])) };
}

export const oprl = defineMethod({
  id: "oprl",
  title: "Online process reward learning (OPRL, also iStar)",
  summary:
    "A second language model learns online, by DPO on whole trajectories against the sampling policy, which ones succeed; its log-ratio over a turn is the step reward, and its group advantage is added to that of the outcome.",
  facts: {
    paper: {
      title: "Agentic Reinforcement Learning with Implicit Step Rewards",
      arxiv: "2509.19199",
      date: "2025-09",
      repo: "Tongyi-ConvAI/Qwen-Character",
    },
    headline:
      "86.5 % success on WebShop and 91.7 % on VisualSokoban, with about half the updates of RLOO; SOTOPIA goals 6.92 to 8.06.",
    granularity: "step",
    methodology: ["implicit-reward", "preference", "monte-carlo"],
    checked: "official code, advantages with step_baseline first 4e-16, loss and gradient 2e-16",
    reconstructed: ["pairing graded"],
  },
  equations: [
    {
      text: "r_t = β Σ_{tokens of turn t} (log π_φ − log π_old)",
      tex: "r_t = \\beta \\sum_{k \\in t} \\log\\frac{\\pi_\\phi(y_k)}{\\pi_{old}(y_k)}",
    },
    {
      text: "A_t = A^E + α A^S_t, each a value minus the mean of the others of its group",
      tex: "A_{i,t} = A^E_i + \\alpha A^S_{i,t}",
    },
    {
      text: "loss = −mean log σ(S_i − S_j) over pairs (success i, failure j), S = Σ_t r_t",
      tex: "\\mathcal{L} = -\\operatorname{mean}\\log\\sigma(S_i - S_j)",
    },
  ],
  params,
  presets: { paper: { estimator: "mean_std", reward_norm: "none" }, official: { step_baseline: "first" } },
  reads: [
    "rollout.reward",
    "tokens.prm_logprob | turns.prm_reward",
    "tokens.old_logprob | turns.prm_reward",
    "turns",
    "turns.end?",
    "tokens.mask?",
    "group?",
  ],
  writes: ["turns.reward", "rollout.advantage", "turns.step_advantage", "turns.advantage", "tokens.advantage"],
  scope: (p) => (p.reward_norm === "batch_max" ? "batch" : "group"),
  twoPass,
  functions: { trajectoryDpo },
  assign: (batch, p) => assign(batch, p),
});
