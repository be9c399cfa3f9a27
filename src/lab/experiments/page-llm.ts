import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import { tailMean } from "./decisions.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const slots = 5;
const relevance = [3, 3, 2, 2, 1, 0, 0, 0];
const batchSize = 32;
const rate = 1;

const gainOf = (item: number) => 2 ** relevance[item] - 1;
const discount = (slot: number) => 1 / Math.log2(slot + 2);
const ideal = relevance.slice(0, slots).reduce((sum, _, slot) => sum + gainOf(slot) * discount(slot), 0);

/** Discounted gain of a page over the best possible, an item that was shown before counting nothing. */
function quality(page: readonly number[]): number {
  const sum = page.reduce(
    (total, item, slot) => total + (page.indexOf(item) < slot ? 0 : gainOf(item) * discount(slot)),
    0,
  );
  return sum / ideal;
}

const distinctShare = (page: readonly number[]) => new Set(page).size / slots;

const arms = {
  joint: { page_weight: 2, item_weight: 1 },
  "items only": { page_weight: 0, item_weight: 1 },
  "page only": { page_weight: 2, item_weight: 0 },
} as const;

function train(weights: (typeof arms)[keyof typeof arms], updates: number, seed: number) {
  const policy = new SoftmaxTable(slots, relevance.length);
  const random = new Random(seed);
  const found: number[] = [];
  const repeated: number[] = [];
  const end = Array.from({ length: slots }, (_, slot) => slot + 1);
  for (let update = 0; update < updates; update++) {
    const pages = Array.from({ length: batchSize }, () => end.map((_, slot) => policy.sample(slot, random)));
    const mean = (of: (page: readonly number[]) => number) =>
      pages.reduce((sum, page) => sum + of(page), 0) / batchSize;
    found.push(mean(quality));
    repeated.push(1 - mean(distinctShare));
    const rollouts = pages.map((id, i) => ({
      id: `r${i}`,
      tokens: { id },
      steps: { end, item_reward: id.map((item, slot) => (gainOf(item) / 7) * discount(slot)) },
      rewards: { page: distinctShare(id) },
    }));
    const credited = assign(batchFromObjects(rollouts), "page-llm", { ...weights, kl_coef: 0, lam: 1 });
    const advantage = credited.numbers("tokens.advantage");
    for (let slot = 0; slot < slots; slot++) {
      const base = pages.reduce((sum, _, i) => sum + advantage[i * slots + slot], 0) / batchSize;
      pages.forEach((page, i) => {
        policy.accumulate(slot, page[slot], (advantage[i * slots + slot] - base) / batchSize);
      });
    }
    policy.ascend(rate);
  }
  return { found, repeated };
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const [arm, weights] of Object.entries(arms)) {
    const { found, repeated } = train(weights, scale === "full" ? 400 : 20, seed);
    measures[arm] = tailMean(found, 20);
    measures[`${arm}, repeated`] = tailMean(repeated, 20);
    curves[arm] = found.filter((_, k) => k % 4 === 0);
  }
  return { measures, curves };
}

/** Rewards of items know relevance but not repetition, rewards of pages the reverse: together they make a good page. */
export const experiment: Experiment = {
  id: "page-llm",
  version: 1,
  claim:
    "Item rewards alone repeat the best item, a page reward alone does not care for order; both together make nearly " +
    "the best page.",
  environment:
    "5 slots, 8 items with relevance 3, 3, 2, 2, 1, 0, 0, 0, a softmax per slot. Item reward (2^rel − 1)/7 with the " +
    "slot's discount; page reward, weight 2: share of distinct items. Batches of 32, 400 updates. Discounted gain, a " +
    "repeated item counting 0, over the ideal; last 20 updates.",
  baseline: "items only, and page only",
  seeds: 5,
  trial,
  findings: (summary) => [
    atLeast(summary, "joint", 0.85, { over: "mean" }),
    atMost(summary, "items only", 0.8, { over: "mean" }),
    atLeast(summary, "items only, repeated", 0.4, { over: "mean" }),
    atMost(summary, "page only", 0.6, { over: "mean" }),
  ],
  plots: [
    {
      kind: "lines",
      title: "Quality of the page while training",
      x: "update",
      y: "discounted gain over the ideal",
      curves: Object.keys(arms),
      every: 4,
    },
    {
      kind: "bars",
      title: "Share of slots that repeat an item",
      y: "share",
      measures: Object.keys(arms).map((arm) => `${arm}, repeated`),
    },
  ],
  notes: "The card names no rate: 1 on the mean gradient over the pages of a batch, the same for all arms.",
};
