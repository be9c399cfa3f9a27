import { z } from "zod";
import { rowsToTokens, tokenSpans } from "../../operators/broadcast.ts";
import { policyMask, policyNumbers } from "../../operators/mask.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { maskRuns, policyRuns, type Runs } from "../../operators/runs.ts";
import { type RewardLevel, rowRewards } from "../../operators/token-rewards.ts";
import type { Batch, NumericArray } from "../../rollouts/index.ts";
import { functionArgs, numberList, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { unitInterval } from "../parameters.ts";
import { type CountedRows, hindsightTable } from "./hindsight-table.ts";

const params = z.object({
  level: z.enum(["turns", "steps", "tokens"]).default("turns").describe("table whose rows are the actions"),
  fit: z
    .enum(["given", "table"])
    .default("given")
    .describe("probabilities in hindsight: recorded as hindsight_logprob, or counted from the states of the call"),
  gamma: unitInterval(1, "discount per row"),
  max_ratio: z.number().min(0).default(0).describe("cut of the ratio against variance, biased; 0 = none"),
  prior: z.number().min(0).default(1).describe("table: how many observations the policy itself counts for"),
  bin_width: z.number().min(0).default(0).describe("table: width of the bins of returns; 0 = 9 significant digits"),
});
type Params = z.output<typeof params>;

const levels = { turns: "turn", steps: "step", tokens: "token" } as const satisfies Record<string, RewardLevel>;

/** Largest log-probability that still counts as rounding of 0. */
const mostLogprob = 1e-6;

/** Log-probabilities of the rows that count; one above 0 is an error. `absent`: for rollouts that lack the column. */
function logprobColumn(batch: Batch, path: string, onTokens: boolean, runs: Runs, absent?: number): NumericArray {
  const values = onTokens ? policyNumbers(batch, path, absent) : batch.numbers(path, { absent });
  const { starts, ends } = runs;
  for (let run = 0; run < starts.length; run++) {
    for (let row = starts[run]; row < ends[run]; row++) {
      if (values[row] > mostLogprob)
        throw batch.wrongValue(path, row, "a log-probability of at most 0", `${values[row]}`);
    }
  }
  return values;
}

/** Rows of the table that count, with the log-probability of the policy where it is recorded. */
function countedRows(batch: Batch, level: Params["level"], runs: Runs): CountedRows {
  const policy = `${level}.logprob`;
  const logprob = batch.has(policy) ? logprobColumn(batch, policy, level === "tokens", runs, 0) : null;
  const columns = ["state", "action"].map((name) => `${level}.${name}`);
  for (const path of columns) {
    const { present } = batch.column(path);
    const lacking = present?.indexOf(0) ?? -1;
    if (lacking >= 0) throw batch.missing(path, lacking);
  }
  const [state, action] = columns.map((path) => batch.cells(path));
  return {
    state,
    action,
    probability: (row, rollout) => (logprob !== null && batch.hasIn(policy, rollout) ? Math.exp(logprob[row]) : null),
  };
}

/** π / h of every row that counts. */
function ratios(batch: Batch, p: Params, runs: Runs, returns: Float64Array): Float64Array {
  const out = new Float64Array(returns.length);
  if (p.fit === "table") hindsightTable(countedRows(batch, p.level, runs), runs, returns, p, out);
  else {
    const onTokens = p.level === "tokens";
    const policy = logprobColumn(batch, `${p.level}.logprob`, onTokens, runs);
    const hindsight = logprobColumn(batch, `${p.level}.hindsight_logprob`, onTokens, runs);
    const { starts, ends } = runs;
    for (let run = 0; run < starts.length; run++) {
      for (let row = starts[run]; row < ends[run]; row++) out[row] = Math.exp(policy[row] - hindsight[row]);
    }
  }
  return p.max_ratio > 0 ? out.map((ratio) => Math.min(ratio, p.max_ratio)) : out;
}

/**
 * Hindsight credit assignment (arXiv 1912.02503, return-conditioned): Z_t = Σ_{k ≥ t} γ^{k−t} r_k,
 * A_t = (1 − π(a_t | x_t) / h(a_t | x_t, Z_t)) Z_t. `table` counts h over the call, shrunk towards π:
 * h = (n(x, a, z) + prior · π) / (n(x, z) + prior). Policy tokens get the A of their row.
 */
function assign(batch: Batch, p: Params): Batch {
  const level = levels[p.level];
  const onTokens = level === "token";
  const offsets = batch.offsets(level);
  const runs = onTokens ? policyRuns(batch) : maskRuns(offsets, null);
  const returns = new Float64Array(batch.count(level));
  const mask = onTokens ? policyMask(batch) : null;
  reverseSumsInto({ offsets, ...rowRewards(batch, level), mask, gamma: p.gamma }, returns);
  const ratio = ratios(batch, p, runs, returns);
  const advantage = returns.map((z, row) => (ratio[row] === 1 ? 0 : (1 - ratio[row]) * z));
  const columns = {
    [`${p.level}.hindsight_ratio`]: ratio,
    [`${p.level}.return`]: returns,
    [`${p.level}.advantage`]: advantage,
  };
  if (onTokens || !batch.hasLevel("token")) return batch.with(columns);
  tokenSpans(batch, level);
  return batch.with({ ...columns, "tokens.advantage": { later: () => rowsToTokens(batch, level, advantage) } });
}

const stateHcaArgs = z.object({
  rewards: numberList.min(1),
  ratios: numberList,
  gamma: params.shape.gamma,
  bootstrap_value: z.number().default(0),
  bootstrap_ratio: z.number().default(1),
});

/**
 * State-conditioned form, the value of any action: Q(x, a) = r_0 + Σ_{k ≥ 1} γ^k ρ_k r_k + γ^T ρ_T V(X_T) with
 * ρ_k = h_k(a | x, X_k) / π(a | x). `ratios[0]` is not used.
 */
export function stateHca(args: z.input<typeof stateHcaArgs>): number {
  const { rewards, ratios, gamma, bootstrap_value, bootstrap_ratio } = functionArgs(stateHcaArgs, args);
  sameLength({ rewards, ratios });
  const later = rewards.reduce((sum, r, k) => (k === 0 ? sum : sum + gamma ** k * ratios[k] * r), 0);
  return rewards[0] + later + gamma ** rewards.length * bootstrap_ratio * bootstrap_value;
}

export const hindsight = defineMethod({
  id: "hindsight",
  title: "Hindsight credit assignment (HCA)",
  summary:
    "Compare the policy's probability of an action with its probability in hindsight, given the return that followed: an action that is no likelier after seeing the outcome earns nothing.",
  facts: {
    paper: { title: "Hindsight Credit Assignment", arxiv: "1912.02503", date: "2019-12", repo: null },
    headline:
      "Solves small tasks with shortcuts, delayed effects and ambiguous outcomes on which policy gradients are slow or fail.",
    granularity: "turn",
    methodology: ["causal", "monte-carlo"],
    checked: "no official code; the mean gradient equals the policy gradient",
    reconstructed: ["the counting estimator"],
  },
  equations: [
    { text: "Z_t = Σ_{k ≥ t} γ^(k−t) r_k", tex: "Z_t = \\sum_{k \\ge t} \\gamma^{k-t} r_k" },
    {
      text: "A_t = (1 − π(a_t|x_t) / h(a_t|x_t, Z_t)) Z_t",
      tex: "A_t = \\Bigl(1 - \\frac{\\pi(a_t|x_t)}{h(a_t|x_t, Z_t)}\\Bigr) Z_t",
    },
    {
      text: "table: h = (n(x,a,z) + prior π) / (n(x,z) + prior)",
      tex: "h = \\frac{n(x,a,z) + c\\,\\pi(a|x)}{n(x,z) + c}",
    },
  ],
  params,
  reads: [
    "turns.logprob | steps.logprob | tokens.logprob if fit",
    "turns.hindsight_logprob | steps.hindsight_logprob | tokens.hindsight_logprob if fit",
    "turns.state | steps.state | tokens.state if fit",
    "turns.action | steps.action | tokens.action if fit",
    "turns.reward | steps.reward | tokens.reward | rollout.reward",
    "turns.end?",
    "steps.end?",
    "tokens.mask?",
  ],
  writes: [
    ...["turns", "steps", "tokens"].flatMap((key) => [`${key}.hindsight_ratio`, `${key}.return`, `${key}.advantage`]),
  ],
  scope: (p) => (p.fit === "table" ? "batch" : "rollout"),
  functions: { stateHca },
  assign,
});
