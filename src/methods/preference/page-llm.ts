import { z } from "zod";
import { tokenSpans } from "../../operators/broadcast.ts";
import { gaeInto } from "../../operators/gae.ts";
import { sumOfChannels } from "../../operators/group-credit.ts";
import { lastPolicyTokens, policyMask, policyNumbers } from "../../operators/mask.ts";
import { preferenceLoss } from "../../operators/preference.ts";
import { ndcg as ndcgOf } from "../../operators/ranking.ts";
import { clearGaps, policyRuns } from "../../operators/runs.ts";
import type { Batch, FloatArray } from "../../rollouts/index.ts";
import { bit, functionArgs, numberList, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { klCoef, unitInterval } from "../parameters.ts";
import { discount, type RejectedPage, rejectedPages } from "./page-pairs.ts";

const params = z.object({
  page_weight: z.number().min(0).default(1).describe("weight of the reward of the whole page"),
  item_weight: z.number().min(0).default(1).describe("weight of the rewards of its items"),
  center_items: z.boolean().default(false).describe("take the mean item reward of the rollout off each item first"),
  kl_coef: klCoef(0.05, "weight of the KL estimate of each token, where both log-probabilities are there"),
  gamma: unitInterval(1, "discount per policy token"),
  lam: unitInterval(0.95, "trace of GAE"),
});
type Params = z.output<typeof params>;

/** Item rewards of all rollouts as they enter the sum: null is 0, and with center_items the mean of the rollout is off. */
function itemRewards(batch: Batch, centre: boolean): Float64Array {
  const items = Float64Array.from(batch.numbers("steps.item_reward", { absent: 0, missing: 0 }));
  if (!centre) return items;
  const offsets = batch.offsets("step");
  for (let i = 0; i < batch.size; i++) {
    const own = items.subarray(offsets[i], offsets[i + 1]);
    const mean = own.reduce((a, b) => a + b, 0) / own.length;
    for (let k = 0; k < own.length; k++) own[k] -= mean;
  }
  return items;
}

/** Adds to each token −kl_coef (log π − log π_ref), in rollouts that have both. */
function addKl(batch: Batch, coef: number, out: FloatArray): void {
  const [policy, reference] = ["tokens.logprob", "tokens.ref_logprob"];
  if (coef === 0 || !batch.has(policy) || !batch.has(reference)) return;
  const ours = policyNumbers(batch, policy, 0);
  const theirs = policyNumbers(batch, reference, 0);
  const { offsets, starts, ends } = policyRuns(batch);
  for (let i = 0; i < batch.size; i++) {
    if (!batch.hasIn(policy, i) || !batch.hasIn(reference, i)) continue;
    for (let run = offsets[i]; run < offsets[i + 1]; run++) {
      for (let t = starts[run]; t < ends[run]; t++) out[t] -= coef * (ours[t] - theirs[t]);
    }
  }
}

/** Adds each item's reward to the last policy token of its span; an item without one is dropped. */
function addItems(batch: Batch, items: Float64Array, weight: number, out: FloatArray): void {
  if (!batch.has("steps.item_reward")) return;
  const { starts, ends } = tokenSpans(batch, "step");
  const mask = policyMask(batch);
  for (let k = 0; k < items.length; k++) {
    let t = ends[k] - 1;
    if (mask !== null) while (t >= starts[k] && mask[t] === 0) t--;
    if (t >= starts[k]) out[t] += weight * items[k];
  }
}

/**
 * Mixed-grained credit of PageLLM (arXiv 2506.09084): token reward = −kl_coef · KL, plus the reward of an item on its last
 * policy token, plus that of the page on the last policy token of all; then GAE over policy tokens,
 * δ_t = r_t + γ V' − V_t, A_t = δ_t + γ λ A', return = A + V, with V = 0 where there is no value column.
 */
function assign(batch: Batch, p: Params): Batch {
  if (batch.size > 0 && !batch.has("rewards.page") && !batch.has("steps.item_reward"))
    throw batch.missing("rewards.page or steps.item_reward", 0);
  const items = itemRewards(batch, p.center_items);
  const page = sumOfChannels(batch, { page: p.page_weight });
  const steps = batch.offsets("step");
  const total = page.map((reward, i) => {
    return reward + p.item_weight * items.subarray(steps[i], steps[i + 1]).reduce((a, b) => a + b, 0);
  });
  if (!batch.hasLevel("token")) return batch.with({ "rollout.reward": total });
  const rewards = batch.zeros("token");
  addKl(batch, p.kl_coef, rewards);
  addItems(batch, items, p.item_weight, rewards);
  lastPolicyTokens(batch).forEach((t, i) => {
    if (t >= 0) rewards[t] += page[i];
  });
  const runs = policyRuns(batch);
  const values = policyNumbers(batch, "tokens.value", 0);
  const advantage = batch.floats("token");
  const returns = batch.floats("token");
  clearGaps(advantage, runs);
  clearGaps(returns, runs);
  gaeInto({ runs, values, rewards, gamma: p.gamma, lam: p.lam }, advantage, returns);
  return batch.with({
    "tokens.reward": rewards,
    "tokens.advantage": advantage,
    "tokens.return": returns,
    "rollout.reward": total,
  });
}

const lossArgs = z.object({
  chosen: numberList,
  rejected: numberList,
  weights: z.array(z.number().min(0)).optional(),
});

/** Weighted Bradley-Terry loss of a scorer: −Σ w log σ(chosen − rejected) / Σ w, default weights 1; 0 if they sum to 0. */
export function bradleyTerryLoss(args: z.input<typeof lossArgs>): number {
  const { chosen, rejected, weights } = functionArgs(lossArgs, args);
  sameLength({ chosen, rejected, ...(weights === undefined ? {} : { weights }) });
  return preferenceLoss(
    chosen.map((x, k) => x - rejected[k]),
    weights,
  ).loss;
}

const engagement = z.array(z.union([bit, z.boolean()], "0 or 1"));
const swapArgs = z.object({ engaged: engagement });

interface SwapPair {
  i: number;
  j: number;
  weight: number;
}

/**
 * Pairs of positions i < j (from 0) of which only the item at i was engaged with: the order shown is preferred to the one
 * with both swapped, by the discount lost, 1/log2(i + 2) − 1/log2(j + 2).
 */
export function itemSwapPairs(args: z.input<typeof swapArgs>): SwapPair[] {
  const engaged = functionArgs(swapArgs, args).engaged.map(Boolean);
  const pairs: SwapPair[] = [];
  for (let i = 0; i < engaged.length; i++) {
    if (!engaged[i]) continue;
    for (let j = i + 1; j < engaged.length; j++) {
      if (!engaged[j]) pairs.push({ i, j, weight: discount(i) - discount(j) });
    }
  }
  return pairs;
}

const choice = z.int().min(0).default(0);
const pageArgs = z.object({
  page: z.array(z.string()),
  engaged: engagement,
  category: z.record(z.string(), z.string()).default({}),
  pool: z.array(z.string()).default([]),
  pick: z
    .object({ engaged: choice, pool: choice, slot: choice, source: choice })
    .default({ engaged: 0, pool: 0, slot: 0, source: 0 }),
});

/**
 * Up to four pages that are worse than the logged one: a less relevant item (relevance), engaged items at the end
 * (ranking), one more item of the most common category (diversity), an item shown twice (redundancy). Every choice comes
 * from `pick`, taken modulo the number of possibilities.
 */
export function pagePairs(args: z.input<typeof pageArgs>): RejectedPage[] {
  const { engaged, ...logged } = functionArgs(pageArgs, args);
  sameLength({ page: logged.page, engaged });
  return rejectedPages({ ...logged, engaged: engaged.map(Boolean) });
}

const ndcgArgs = z.object({ relevance: z.array(z.number().min(0).max(1000)), k: z.int().min(0).optional() });

/** NDCG of a page in the order shown: Σ_{i < k} (2^rel_i − 1) / log2(i + 2) over that of the best order; 0 if that is 0. */
export function ndcg(args: z.input<typeof ndcgArgs>): number {
  const { relevance, k } = functionArgs(ndcgArgs, args);
  const shown = relevance.map((_, i) => -i);
  return ndcgOf(
    shown,
    relevance.map((rel) => 2 ** rel - 1),
    k,
  );
}

export const pageLlm = defineMethod({
  id: "page-llm",
  title: "PageLLM: rewards for the page and for its items",
  summary:
    "A model writes a result page item by item; PPO receives the reward of each item where the item ends and the reward of the whole page at the end.",
  facts: {
    paper: {
      title: "Enhanced Whole Page Optimization via Mixed-Grained Reward Mechanism-Adapted Language Models",
      arxiv: "2506.09084",
      date: "2025-06",
      repo: null,
    },
    headline: "Both rewards together raise NDCG@100 by up to 46.8 %; online with 10 million users GMV rose by 0.44 %.",
    granularity: "segment",
    methodology: ["reward-model", "preference", "temporal-difference"],
    checked: "no official code is public",
    reconstructed: [
      "where item and page rewards are placed, and that they are added",
      "weights of swap pairs",
      "how the four families of worse pages are made",
    ],
  },
  equations: [
    {
      text: "r_t = −kl_coef (log π − log π_ref) + item_weight g_k (last token of item k) + page_weight page (last token)",
      tex: "r_t = -\\beta\\log\\frac{\\pi}{\\pi_{ref}} + w_i g_k [t = \\mathrm{end}_k] + w_p R_{page} [t = T]",
    },
    { text: "A_t = δ_t + γ λ A_t', δ_t = r_t + γ V_t' − V_t", tex: "A_t = \\delta_t + \\gamma\\lambda A_{t'}" },
    {
      text: "scorers: −Σ w log σ(score chosen − score rejected) / Σ w",
      tex: "\\mathcal{L} = -\\frac{\\sum w \\log\\sigma(s_c - s_r)}{\\sum w}",
    },
  ],
  params,
  reads: [
    "rewards.page | steps.item_reward",
    "steps.end?",
    "tokens.logprob?",
    "tokens.ref_logprob?",
    "tokens.value?",
    "tokens.mask?",
  ],
  writes: ["tokens.reward", "tokens.advantage", "tokens.return", "rollout.reward"],
  scope: "rollout",
  functions: { bradleyTerryLoss, itemSwapPairs, pagePairs, ndcg },
  assign,
});
