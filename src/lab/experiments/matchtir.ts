import { assign } from "../../methods/assign.ts";
import { toolSimilarity } from "../../methods/turn/matchtir.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import { tailMean } from "./decisions.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const tools = 10;
const golds = 3;
const turns = 4;
const rollouts = 8;
const rate = 0.6;
const arms = ["matchtir", "unmatched", "grpo"] as const;
type Arm = (typeof arms)[number];

const call = (tool: number) => ({ name: `tool_${tool}`, arguments: {} });

/** Three different tools. */
function drawGold(random: Random): number[] {
  const gold: number[] = [];
  while (gold.length < golds) {
    const tool = random.below(tools);
    if (!gold.includes(tool)) gold.push(tool);
  }
  return gold;
}

/** Advantages, a row of turns per rollout; the last turn is the answer. */
function creditsOf(arm: Arm, calls: readonly number[][], gold: readonly number[]): ArrayLike<number> {
  const end = Array.from({ length: turns + 1 }, (_, t) => t + 1);
  const objects = calls.map((row, i) => {
    const reward = gold.every((tool) => row.includes(tool)) ? 1 : 0;
    const best = (tool: number) => Math.max(...gold.map((g) => toolSimilarity({ pred: call(tool), gold: call(g) })));
    const paid =
      arm === "unmatched" ? { reward: [...row.map(best), reward] } : { tool_calls: [...row.map((t) => [call(t)]), []] };
    return {
      id: `r${i}`,
      group: "g",
      reward,
      meta: { gold_calls: gold.map(call) },
      tokens: { id: [...row, 0] },
      turns: { end, ...paid },
    };
  });
  return assign(batchFromObjects(objects), arm === "grpo" ? "grpo" : "matchtir").numbers("tokens.advantage");
}

function train(arm: Arm, seed: number, updates: number): { success: number[]; repeated: number[] } {
  const random = new Random(seed);
  const gold = drawGold(random);
  const policy = new SoftmaxTable(turns, tools);
  for (let t = 0; t < turns; t++) policy.logits[t * tools + gold[0]] = 2;
  policy.changed();
  const success: number[] = [];
  const repeated: number[] = [];
  for (let update = 0; update < updates; update++) {
    const calls = Array.from({ length: rollouts }, () =>
      Array.from({ length: turns }, (_, t) => policy.sample(t, random)),
    );
    const advantage = creditsOf(arm, calls, gold);
    calls.forEach((row, i) => {
      row.forEach((tool, t) => {
        policy.accumulate(t, tool, advantage[i * (turns + 1) + t] / rollouts);
      });
    });
    policy.ascend(rate);
    const found = calls.map((row) => row.filter((tool) => gold.includes(tool)));
    success.push(found.filter((row) => new Set(row).size === golds).length / rollouts);
    repeated.push(found.reduce((sum, row) => sum + row.length - new Set(row).size, 0) / rollouts);
  }
  return { success, repeated };
}

function trial(seed: number, scale: Scale): Trial {
  const updates = scale === "full" ? 200 : 42;
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const arm of arms) {
    const { success, repeated } = train(arm, seed, updates);
    measures[`success after training, ${arm}`] = tailMean(success, 20);
    measures[`success at updates 30 to 40, ${arm}`] = tailMean(success.slice(0, 40), 11);
    measures[`repeated gold calls, ${arm}`] = tailMean(repeated, 20);
    curves[arm] = success;
  }
  return { measures, curves };
}

/** A reference call can be claimed once: calling one right tool again and again earns nothing. */
export const experiment: Experiment = {
  id: "matchtir",
  version: 1,
  claim:
    "Matching calls one-to-one with reference calls prevents hacking by repetition, and learns faster than the " +
    "outcome.",
  environment:
    "10 tools of which 3 are called for, 4 call turns and an answer, outcome 1 when all three were called; one of " +
    "them starts with logit +2. Tabular softmax per turn, 8 rollouts per update, rate 0.6, 200 updates.",
  baseline: "grpo; matchtir on unmatched turn rewards (best similarity of every call)",
  seeds: 8,
  trial,
  findings: (summary) => [
    atMost(summary, "success after training, unmatched", 0.1, { over: "mean" }),
    atLeast(summary, "repeated gold calls, unmatched", 2.5, { over: "mean" }),
    atLeast(summary, "success after training, matchtir", 0.9, { over: "mean" }),
    atLeast(summary, "success at updates 30 to 40, matchtir", 0.4, { over: "mean" }),
    atMost(summary, "success at updates 30 to 40, grpo", 0.2, { over: "mean" }),
    atLeast(summary, "success after training, grpo", 0.9, { over: "mean", kind: "limit" }),
  ],
  plots: [
    { kind: "lines", title: "Share of episodes that call all three", x: "update", y: "share", curves: [...arms] },
    {
      kind: "bars",
      title: "Repeated calls of right tools per episode",
      y: "calls",
      measures: arms.map((arm) => `repeated gold calls, ${arm}`),
    },
  ],
};
