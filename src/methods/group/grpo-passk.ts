import { z } from "zod";
import { advantageColumns } from "../../operators/group-credit.ts";
import { poolMoments } from "../../operators/normalize.ts";
import { outcomes } from "../../operators/outcome.ts";
import { type Pools, poolByGroup } from "../../operators/pools.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { count, functionArgs, numberList } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps, rewardColumn } from "../parameters.ts";

const params = z.object({
  norm_by_std: z
    .boolean()
    .default(true)
    .describe("divide by the spread of the group's rewards (false = the unbiased form of the paper)"),
  ddof: ddof(1),
  eps: positiveEps(1e-6),
  center: z
    .boolean()
    .default(false)
    .describe("subtract the mean of these advantages over the group: less variance, biased"),
  reward_column: rewardColumn,
});
type Params = z.output<typeof params>;
type Rule = Pick<Params, "norm_by_std" | "ddof" | "eps" | "center">;

/** Largest and second largest of each pool; with a tie for the largest both are equal. */
function topTwo(values: ArrayLike<number>, pools: Pools, valid: Uint8Array | null) {
  const first = new Float64Array(pools.count).fill(Number.NEGATIVE_INFINITY);
  const second = new Float64Array(pools.count).fill(Number.NEGATIVE_INFINITY);
  for (let row = 0; row < pools.of.length; row++) {
    if (valid !== null && valid[row] === 0) continue;
    const pool = pools.of[row];
    const x = values[row];
    if (x > first[pool]) {
      second[pool] = first[pool];
      first[pool] = x;
    } else if (x > second[pool]) second[pool] = x;
  }
  return { first, second };
}

function passkAdvantages(rewards: ArrayLike<number>, pools: Pools, rule: Rule, valid: Uint8Array | null): Float64Array {
  const { first, second } = topTwo(rewards, pools, valid);
  const { count: members, squares } = poolMoments(rewards, pools, valid);
  const out = new Float64Array(pools.of.length);
  for (let row = 0; row < out.length; row++) {
    const pool = pools.of[row];
    if ((valid !== null && valid[row] === 0) || members[pool] < 2) continue;
    const lead = first[pool] - second[pool];
    if (lead === 0) continue;
    const own = rewards[row] === first[pool] ? lead : 0;
    const centre = rule.center ? lead / members[pool] : 0;
    const spread = Math.sqrt(squares[pool] / (members[pool] - rule.ddof));
    out[row] = (own - centre) / (rule.norm_by_std ? spread + rule.eps : 1);
  }
  return out;
}

/**
 * Policy gradient for the best of k samples (arXiv 2503.19595 section 3): A_i = max_j R_j − max_{j ≠ i} R_j over the group of
 * k, which is the lead of a single winner and 0 for everybody else, divided by the spread of the group's rewards.
 * Unscored rollouts are no members and get 0.
 */
function assign(batch: Batch, p: Params): Batch {
  const { rewards, scored } = outcomes(batch, p.reward_column);
  const advantage = passkAdvantages(rewards, poolByGroup(batch, "rollout"), p, scored);
  return batch.with(advantageColumns(batch, advantage));
}

const { norm_by_std, ddof: ddofParam, eps, center } = params.shape;
const advantageArgs = z.object({ rewards: numberList, norm_by_std, ddof: ddofParam, eps, center });

/** Advantages of one group of rewards; arguments as the parameters of the method. */
export function passkAdvantage(args: z.input<typeof advantageArgs>): number[] {
  const { rewards, ...rule } = functionArgs(advantageArgs, args);
  return [...passkAdvantages(rewards, { of: new Int32Array(rewards.length), count: 1 }, rule, null)];
}

const passAtKArgs = z.object({ n: count, c: count, k: z.int().min(1) });

/**
 * Unbiased estimate of the chance that one of k samples is right, from n samples of which c are:
 * 1 − C(n − c, k) / C(n, k), as a product, so that nothing overflows.
 * @throws InputError unless 0 ≤ c ≤ n and 1 ≤ k ≤ n.
 */
export function passAtK(args: z.input<typeof passAtKArgs>): number {
  const { n, c, k } = functionArgs(passAtKArgs, args);
  if (c > n) throw new InputError("argument c not valid", { expected: `at most n = ${n}`, got: `${c}` });
  if (k > n) throw new InputError("argument k not valid", { expected: `at most n = ${n}`, got: `${k}` });
  if (n - c < k) return 1;
  let none = 1;
  for (let j = n - c + 1; j <= n; j++) none *= 1 - k / j;
  return 1 - none;
}

export const grpoPassk = defineMethod({
  id: "grpo-passk",
  title: "Policy gradient for pass@k",
  summary:
    "Train for the best of the group instead of its mean: only a single winner earns credit, and it earns its lead over the second best.",
  facts: {
    paper: {
      title: "Optimizing Language Models for Inference Time Objectives using Reinforcement Learning",
      arxiv: "2503.19595",
      date: "2025-03",
      repo: null,
    },
    headline: "10 to 20 points more at pass@100 on code generation than training for the mean.",
    granularity: "rollout",
    methodology: ["monte-carlo"],
    checked: "verl's estimator, max abs diff 5e-9",
    reconstructed: ["the exact form of center"],
  },
  equations: [
    { text: "A_i = max_j R_j − max_{j ≠ i} R_j", tex: "A_i = \\max_j R_j - \\max_{j \\ne i} R_j" },
    { text: "norm_by_std: A_i ← A_i / (s(R) + ε)", tex: "A_i \\leftarrow \\frac{A_i}{s(R) + \\varepsilon}" },
    {
      text: "pass@k = 1 − C(n − c, k) / C(n, k)",
      tex: "\\text{pass@}k = 1 - \\binom{n-c}{k} \\Big/ \\binom{n}{k}",
    },
  ],
  params,
  presets: { paper: { norm_by_std: false } },
  reads: ["reward_column", "group?", "tokens.mask?"],
  writes: ["rollout.advantage", "tokens.advantage"],
  scope: "group",
  unscored: true,
  functions: { passkAdvantage, passAtK },
  assign,
});
