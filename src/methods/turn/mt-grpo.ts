import { z } from "zod";
import { normalizePools, type PoolMoments, poolMoments } from "../../operators/normalize.ts";
import { knownOutcomes } from "../../operators/outcome.ts";
import { type Pools, poolByGroup, poolByIndex } from "../../operators/pools.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { rowAdvantageColumns } from "../../operators/row-credit.ts";
import type { Batch } from "../../rollouts/index.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";

const weight = (text: string) => z.number().min(0).default(1).describe(text);

const params = z.object({
  baseline: z
    .enum(["turn_index", "turn_index_sum", "fixed", "alive"])
    .default("turn_index")
    .describe(
      "z-scores per turn index, or returns against: the biased sum of means, a mean over all, or over those alive",
    ),
  credit: z
    .enum(["immediate", "return"])
    .default("immediate")
    .describe("turn_index: a turn gets its own z-score, or those of all later turns too"),
  absent: z
    .enum(["zero", "skip"])
    .default("zero")
    .describe("turn_index: a rollout without the turn enters its pool with 0, or not at all"),
  single_turn: z
    .enum(["combined", "outcome"])
    .default("combined")
    .describe("turn_index: a rollout of one turn is scored by all its rewards, or by the outcome"),
  turn_weight: weight("weight of the rewards of turns"),
  outcome_weight: weight("weight of the outcome"),
  gamma: weight("discount per turn"),
  leave_one_out: z.boolean().default(false).describe("return baselines: the rollout itself leaves the mean"),
  norm_by_std: z.boolean().default(true).describe("divide by the spread (false = subtract the mean only)"),
  eps: positiveEps(1e-4),
  ddof: ddof(1),
});
type Params = z.output<typeof params>;

interface Input {
  offsets: Int32Array;
  /** Reward of every turn, outcome of every rollout. */
  reward: ArrayLike<number>;
  outcome: ArrayLike<number>;
  /** Turns with equal index in a group. */
  indices: Pools;
}

/** z of each rollout's outcome plus the rewards of all its turns. */
function combined(batch: Batch, { offsets, reward, outcome }: Input, spec: Parameters<typeof normalizePools>[2]) {
  const total = Float64Array.from(outcome);
  for (let i = 0; i < batch.size; i++) for (let t = offsets[i]; t < offsets[i + 1]; t++) total[i] += reward[t];
  return normalizePools(total, poolByGroup(batch, "rollout"), spec);
}

/** Members of each pool of turns once more, with a stand-in for the rollouts that have no such turn. */
interface Padded {
  pools: Pools;
  /** How often each row counts: turns once or not at all, then one row per pool for those that lack it. */
  weight: Int32Array;
}

/** Adds to every pool of turns a row that counts once for each rollout of the group without a counted turn there. */
function padded(batch: Batch, { indices }: Input, counted: Uint8Array): Padded {
  const { of, count } = indices;
  const rows = of.length;
  const weight = new Int32Array(rows + count);
  const pool = new Int32Array(rows + count);
  const offsets = batch.offsets("turn");
  const groups = batch.groups();
  weight.set(counted);
  pool.set(of);
  for (let k = 0; k < count; k++) pool[rows + k] = k;
  for (let i = 0; i < batch.size; i++) {
    const g = batch.groupOf[i];
    for (let t = offsets[i]; t < offsets[i + 1]; t++) weight[rows + of[t]] = groups.offsets[g + 1] - groups.offsets[g];
  }
  for (let t = 0; t < rows; t++) weight[rows + of[t]] -= counted[t];
  return { pools: { of: pool, count }, weight };
}

/** A: outcomes and turn rewards as z-scores; the last turn of a rollout answers for the outcome alone. */
function turnIndex(batch: Batch, input: Input, p: Params): Float64Array {
  const { offsets, reward, outcome } = input;
  const spec = { ddof: p.ddof, eps: p.eps, normByStd: p.norm_by_std } as const;
  const ofOutcome = normalizePools(outcome, poolByGroup(batch, "rollout"), spec);
  const ofSingle = p.single_turn === "combined" ? combined(batch, input, spec) : ofOutcome;
  const intermediate = new Uint8Array(reward.length).fill(1);
  for (let i = 0; i < batch.size; i++) if (offsets[i + 1] > offsets[i]) intermediate[offsets[i + 1] - 1] = 0;
  const { pools, weight } = padded(batch, input, intermediate);
  if (p.absent === "skip") weight.fill(0, reward.length);
  const values = new Float64Array(weight.length);
  for (let t = 0; t < reward.length; t++) if (intermediate[t] === 1) values[t] = reward[t];
  const ofTurn = normalizePools(values, pools, { ...spec, weight }).subarray(0, reward.length);
  for (let t = 0; t < ofTurn.length; t++) if (intermediate[t] === 0) ofTurn[t] = 0;
  if (p.credit === "return") reverseSumsInto({ offsets, rewards: ofTurn, gamma: p.gamma }, ofTurn);
  const advantage = new Float64Array(reward.length);
  for (let i = 0; i < batch.size; i++) {
    const last = offsets[i + 1] - 1;
    for (let t = offsets[i]; t < last; t++) advantage[t] = p.outcome_weight * ofOutcome[i] + p.turn_weight * ofTurn[t];
    if (last >= offsets[i]) advantage[last] = last === offsets[i] ? ofSingle[i] : ofOutcome[i];
  }
  return advantage;
}

/** Mean of each row's pool, the own value left out if asked for; 0 where nobody is left. */
function meanOfPool(values: ArrayLike<number>, pools: Pools, moments: PoolMoments, leaveOneOut: boolean): Float64Array {
  const { count, mean } = moments;
  return Float64Array.from({ length: values.length }, (_, row) => {
    const pool = pools.of[row];
    if (!leaveOneOut) return mean[pool];
    return count[pool] === 1 ? 0 : mean[pool] - (values[row] - mean[pool]) / (count[pool] - 1);
  });
}

/** B: returns of one reward stream minus a baseline per turn index. */
function returnBaseline(batch: Batch, input: Input, p: Params) {
  const { offsets, reward, outcome, indices } = input;
  const stream = Float64Array.from(reward, (r) => p.turn_weight * r);
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i + 1] > offsets[i]) stream[offsets[i + 1] - 1] += p.outcome_weight * outcome[i];
  }
  const toGo = new Float64Array(stream.length);
  reverseSumsInto({ offsets, rewards: stream, gamma: p.gamma }, toGo);
  let baseline: Float64Array;
  if (p.baseline === "turn_index_sum") {
    baseline = meanOfPool(stream, indices, poolMoments(stream, indices), p.leave_one_out);
    reverseSumsInto({ offsets, rewards: baseline, gamma: p.gamma }, baseline);
  } else if (p.baseline === "alive") {
    baseline = meanOfPool(toGo, indices, poolMoments(toGo, indices), p.leave_one_out);
  } else {
    const { pools, weight } = padded(batch, input, new Uint8Array(toGo.length).fill(1));
    const values = new Float64Array(weight.length);
    values.set(toGo);
    baseline = meanOfPool(toGo, indices, poolMoments(values, pools, null, weight), p.leave_one_out);
  }
  const scale = p.norm_by_std ? spreads(batch, toGo, p) : null;
  const advantage = toGo.map((g, t) => g - baseline[t]);
  for (let i = 0; i < batch.size && scale !== null; i++) {
    for (let t = offsets[i]; t < offsets[i + 1]; t++) advantage[t] /= scale[batch.groupOf[i]];
  }
  return { advantage, baseline };
}

/** Per group: spread of the returns from the first turn (1 for a rollout alone) plus eps. */
function spreads(batch: Batch, toGo: Float64Array, p: Params): Float64Array {
  const offsets = batch.offsets("turn");
  const first = Float64Array.from({ length: batch.size }, (_, i) =>
    offsets[i + 1] > offsets[i] ? toGo[offsets[i]] : 0,
  );
  const { count, squares } = poolMoments(first, poolByGroup(batch, "rollout"));
  return squares.map((s, g) => (count[g] === 1 ? 1 : Math.sqrt(s / (count[g] - p.ddof))) + p.eps);
}

/**
 * MT-GRPO (arXiv 2505.11821). `turn_index`: A_t = w_o z(R) + w_t z(r_t), z over the group, for r_t over the turns of index t;
 * the last turn gets z(R). Return baselines: A_t = G_t − b_t on the stream w_t r_t (+ w_o R at the end), with b_t the sum of
 * per-index means from t to the own last turn (`turn_index_sum`, biased where the policy decides when to stop), or the mean
 * of G at index t over all rollouts of the group (`fixed`) or over those that reach t (`alive`).
 */
function assign(batch: Batch, p: Params): Batch {
  const input: Input = {
    offsets: batch.offsets("turn"),
    reward: batch.numbers("turns.reward", { missing: 0 }),
    outcome: knownOutcomes(batch),
    indices: poolByIndex(batch, "turn"),
  };
  if (p.baseline === "turn_index") return batch.with(rowAdvantageColumns(batch, "turn", turnIndex(batch, input, p)));
  const { advantage, baseline } = returnBaseline(batch, input, p);
  return batch.with({ "turns.baseline": baseline, ...rowAdvantageColumns(batch, "turn", advantage) });
}

function warnings(_: Batch, p: Params): string[] {
  if (p.baseline !== "turn_index_sum") return [];
  return ["turn_index_sum is biased where the policy decides when to stop: use fixed or alive for training"];
}

export const mtGrpo = defineMethod({
  id: "mt-grpo",
  title: "MT-GRPO and the unbiased turn baseline",
  summary:
    "Pay every intermediate turn its own group-normalised reward next to the group-normalised outcome; or compare returns with a baseline that does not depend on the rollout's own stopping turn.",
  facts: {
    paper: {
      title: "Reinforcing Multi-Turn Reasoning in LLM Agents via Turn-Level Credit Assignment",
      arxiv: "2505.11821",
      date: "2025-05",
      repo: "SiliangZeng/Multi-Turn-RL-Agent",
    },
    headline:
      "Qwen2.5-7B on search questions: the tool is called in every rollout and exact match reaches 50 %, against 20 to 30 % for GRPO.",
    granularity: "turn",
    methodology: ["monte-carlo", "verifier"],
    checked: "released trainer on two turns, max abs diff 3.3e-7",
    reconstructed: ["the form for more than two turns", "fixed and alive, from the diagnosis in verl issue 7244"],
  },
  equations: [
    { text: "z(x) = (x − μ) / (σ + ε)", tex: "z(x) = \\frac{x - \\mu}{\\sigma + \\varepsilon}" },
    {
      text: "turn_index: A_t = w_o z(R) + w_t z_t(r_t) for t < T, A_T = z(R)",
      tex: "A_t = w_o z(R) + w_t z_t(r_t)\\;(t < T),\\quad A_T = z(R)",
    },
    { text: "G_t = Σ_{k ≥ t} γ^(k−t) ρ_k", tex: "G_t = \\sum_{k \\ge t} \\gamma^{k-t} \\rho_k" },
    {
      text: "fixed: b_t = (1/G) Σ_j G_{j,t}; alive: mean over rollouts with T_j ≥ t",
      tex: "b_t = \\tfrac{1}{G}\\sum_j G_{j,t}",
    },
  ],
  params,
  reads: ["turns.reward", "rollout.reward", "group?", "turns.end?", "tokens.mask?"],
  writes: ["turns.baseline", "turns.advantage", "tokens.advantage"],
  scope: "group",
  warnings,
  assign,
});
