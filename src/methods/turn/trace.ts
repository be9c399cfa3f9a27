import { z } from "zod";
import { poolMoments } from "../../operators/normalize.ts";
import { poolByGroup } from "../../operators/pools.ts";
import { bits } from "../../operators/ranges.ts";
import { requireRows, rowAdvantageColumns } from "../../operators/row-credit.ts";
import type { Batch, NumericArray } from "../../rollouts/index.ts";
import { count, functionArgs, numberList } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { unitInterval } from "../parameters.ts";

const horizon = count.default(3).describe("K: how many value changes the credit of a turn looks at; 0 = none");
const gamma = unitInterval(0.8, "discount inside the window, and of the outcome");
const gapEps = z.number().positive().default(0.1).describe("part of the gap to certainty, not a numerical guard");
const terminalScale = z.number().min(0).default(2).describe("weight of the outcome where the window reaches the end");

const params = z.object({
  horizon,
  gamma,
  gap_eps: gapEps,
  terminal_scale: terminalScale,
  outcome_weight: z.number().min(0).default(1).describe("weight of the group-relative outcome advantage"),
  turn_weight: z.number().min(0).default(0.2).describe("weight of the credit of a tool turn; 0 = outcome only"),
  norm_by_std: z.boolean().default(true).describe("divide the outcome by its spread (false = subtract the mean only)"),
  std_tol: z.number().min(0).default(1e-6).describe("spread of outcomes up to which a group teaches nothing"),
});
type Params = z.output<typeof params>;

/** A_out: outcomes centred in their group and over the population spread; 0 where the spread is at most `std_tol`. */
function outcomeAdvantages(batch: Batch, p: Params): Float64Array {
  const rewards = batch.numbers("rollout.reward");
  const pools = poolByGroup(batch, "rollout");
  const { count, mean, squares } = poolMoments(rewards, pools);
  return Float64Array.from(pools.of, (pool, i) => {
    const spread = Math.sqrt(squares[pool] / count[pool]);
    if (!(spread > p.std_tol)) return 0;
    return (rewards[i] - mean[pool]) / (p.norm_by_std ? spread : 1);
  });
}

/** V = ln(d_0 / d), d = −l + gap_eps: how much of the gap to certainty has been closed. */
function gapValue(first: number, logprob: number, eps: number): number {
  return Math.log((eps - first) / (eps - logprob));
}

/** What the credit of a turn is made of. */
interface Window {
  horizon: number;
  gamma: number;
  terminal_scale: number;
}

/**
 * c_t for the tool turns 0 … n − 1: Σ_j γ^{j−t} δ_j / Σ_j γ^{j−t} over j = t … end, end = min(t + K − 1, n − 1) and
 * δ_j = V_{j+1} − V_j; plus terminal_scale γ^{n−t} A_out where the window reaches the last tool turn. O(n min(n, K)).
 * @param values V_0 … V_n
 */
function creditInto(values: Float64Array, outcome: number, w: Window, out: Float64Array, at = 0): void {
  const n = values.length - 1;
  for (let t = 0; t < n; t++) {
    const end = w.horizon === 0 ? t : Math.min(t + w.horizon - 1, n - 1);
    let sum = 0;
    let weights = 0;
    let weight = 1;
    for (let j = t; w.horizon > 0 && j <= end; j++) {
      sum += weight * (values[j + 1] - values[j]);
      weights += weight;
      weight *= w.gamma;
    }
    out[at + t] = weights === 0 ? 0 : sum / weights;
    if (end === n - 1) out[at + t] += w.terminal_scale * w.gamma ** (n - t) * outcome;
  }
}

/** Mean log-probability of the reference answer at the prompt of a rollout and after a turn, checked when asked for. */
interface Beliefs {
  prompt: (rollout: number) => number;
  turn: (row: number) => number;
}

function beliefsOf(batch: Batch): Beliefs {
  const column = (path: string) => {
    const values: NumericArray = batch.numbers(path, { absent: 0, missing: 0 });
    const valid = batch.validity(path);
    return (row: number) => {
      if (valid !== null && valid[row] === 0) throw batch.wrongValue(path, row, "a log-probability", "null or nothing");
      if (values[row] > 0) throw batch.wrongValue(path, row, "a log-probability of at most 0", `${values[row]}`);
      return values[row];
    };
  };
  return { prompt: column("signals.gt_logprob_0"), turn: column("turns.gt_logprob") };
}

/**
 * Credit of TRACE (arXiv 2607.13988). A frozen scorer gives the log-probability l_t of the reference answer after each tool
 * turn; V_t = ln(d_0 / d_t) with the gap d = −l + gap_eps. c_t is the γ-weighted mean of the next K changes of V, plus
 * terminal_scale γ^{n−t} A_out where the window reaches the end. A tool turn gets outcome_weight A_out + turn_weight c_t,
 * the answer turn outcome_weight A_out.
 */
function assign(batch: Batch, p: Params): Batch {
  requireRows(batch, "turn", "the last turn of a rollout is its answer");
  const offsets = batch.offsets("turn");
  const outcome = outcomeAdvantages(batch, p);
  const truncated = bits(batch, "signals.truncated", { absent: 0, missing: 0 });
  const beliefs = beliefsOf(batch);
  const turns = batch.count("turn");
  const value = new Float64Array(turns);
  const credit = new Float64Array(turns);
  const advantage = new Float64Array(turns);
  const isTool = new Uint8Array(turns);
  for (let i = 0; i < batch.size; i++) {
    const from = offsets[i];
    const tools = Math.max(0, offsets[i + 1] - from - (truncated[i] === 1 ? 0 : 1));
    isTool.fill(1, from, from + tools);
    const values = new Float64Array(tools + 1);
    const first = tools > 0 ? beliefs.prompt(i) : 0;
    for (let t = 0; t < tools; t++) {
      values[t + 1] = gapValue(first, beliefs.turn(from + t), p.gap_eps);
      value[from + t] = values[t + 1];
    }
    creditInto(values, outcome[i], p, credit, from);
    for (let t = from; t < offsets[i + 1]; t++) {
      advantage[t] = p.outcome_weight * outcome[i] + p.turn_weight * credit[t];
    }
  }
  return batch.with({
    "rollout.advantage": outcome,
    "turns.value": { values: value, valid: isTool },
    "turns.credit": { values: credit, valid: isTool },
    ...rowAdvantageColumns(batch, "turn", advantage),
  });
}

const logprob = z.number().max(0);
const valuesArgs = z.object({ gt_logprob: z.array(logprob), gap_eps: gapEps });

/**
 * Values V_0 … V_n of one rollout from the mean log-probabilities of the reference answer at the prompt and after each tool
 * turn (l_0 … l_n): V_t = ln(d_0 / d_t), d = −l + gap_eps; V_0 = 0.
 * @throws InputError on null and on log-probabilities above 0.
 */
export function traceValues(args: z.input<typeof valuesArgs>): number[] {
  const { gt_logprob, gap_eps } = functionArgs(valuesArgs, args);
  return gt_logprob.map((l) => gapValue(gt_logprob[0], l, gap_eps));
}

const creditArgs = z.object({
  values: numberList.min(1),
  outcome_advantage: z.number(),
  horizon,
  gamma,
  terminal_scale: terminalScale,
});

/** Credit c_0 … c_{n−1} of the tool turns of one rollout from its values V_0 … V_n; see the credit rule of `trace`. */
export function traceCredit(args: z.input<typeof creditArgs>): number[] {
  const { values, outcome_advantage, ...window } = functionArgs(creditArgs, args);
  const out = new Float64Array(values.length - 1);
  creditInto(Float64Array.from(values), outcome_advantage, window, out);
  return [...out];
}

export const trace = defineMethod({
  id: "trace",
  title: "Turn-level Reward Assignment via Credit Estimation (TRACE)",
  summary:
    "At every tool call a frozen model scores the reference answer; the log-ratio of the remaining gap is the value of the state, and its change over the next few turns is added to the group-relative outcome with a small weight.",
  facts: {
    paper: {
      title: "TRACE: Turn-level Reward Assignment via Credit Estimation for Long-Horizon Agents",
      arxiv: "2607.13988",
      date: "2026-07",
      repo: null,
    },
    headline:
      "Qwen3-4B-Thinking on BrowseComp-Plus (closed web) reached 35.6 % against 30.0 % for matched GRPO; a small public reproduction of 12 updates did not see the gain.",
    granularity: "turn",
    methodology: ["information", "temporal-difference"],
    checked: "window and outcome fill against a public port, max abs diff 9e-8 (float32 there); no official code found",
    reconstructed: ["what tokens of the final answer get: the outcome alone, as the public ports read it"],
  },
  equations: [
    {
      text: "V_t = ln(d_0 / d_t), d_t = −l_t + ε",
      tex: "V_t = \\ln\\frac{d_0}{d_t},\\quad d_t = -\\ell_t + \\varepsilon",
    },
    {
      text: "c_t = Σ_j γ^(j−t) (V_{j+1} − V_j) / Σ_j γ^(j−t), j = t … t + K − 1; + λ γ^(n−t) A_out at the end",
      tex: "c_t = \\frac{\\sum_{j=t}^{t+K-1}\\gamma^{j-t}(V_{j+1}-V_j)}{\\sum_j \\gamma^{j-t}} + \\lambda\\gamma^{n-t}A_{out}\\,[\\text{window ends at } n]",
    },
    { text: "A_t = w_o A_out + w_t c_t", tex: "A_t = w_o A_{out} + w_t c_t" },
  ],
  params,
  reads: [
    "rollout.reward",
    "turns.gt_logprob",
    "signals.gt_logprob_0",
    "signals.truncated?",
    "group?",
    "turns.end?",
    "tokens.mask?",
  ],
  writes: ["rollout.advantage", "turns.value", "turns.credit", "turns.advantage", "tokens.advantage"],
  scope: "group",
  functions: { traceValues, traceCredit },
  assign,
});
