import { assign } from "../../methods/assign.ts";
import { clipScale } from "../../methods/turn/a2tgpo.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import { accumulateDecisions, tailMean } from "./decisions.ts";
import { type EvidenceChain, search } from "./evidence-chain.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const groupSize = 16;
const deepest = 6;

/**
 * Groups with 2 to 6 search turns each, whose gains shrink with depth; equal outcomes, so that only gains are
 * credited.
 */
function syntheticGroups(groups: number, random: Random) {
  const good: boolean[][] = [];
  const rollouts = Array.from({ length: groups * groupSize }, (_, i) => {
    const labels = Array.from({ length: 2 + random.below(deepest - 1) }, () => random.uniform() < 0.5);
    good.push(labels);
    const gains = labels.map((label, t) => 1.5 * 0.5 ** t + 0.3 * (label ? 1 : -1) + 0.15 * gaussian(random));
    const group = `g${Math.floor(i / groupSize)}`;
    return { id: `r${i}`, group, reward: 0, turns: { info_gain: [...gains, 0] } };
  });
  return { batch: batchFromObjects(rollouts), good };
}

function deviation(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length);
}

function statistics(seed: number, groups: number): Record<string, number> {
  const { batch, good } = syntheticGroups(groups, new Random(seed));
  const credit = assign(batch, "a2tgpo", { alpha: 1 });
  const normalised = credit.numbers("turns.info_gain_norm", { missing: 0 });
  const process = credit.numbers("turns.advantage");
  const scales = credit.numbers("turns.clip_scale");
  // With equal outcomes and no discount a turn's pooled gain is its advantage minus that of the next turn.
  const pooled = assign(batch, "igpo").numbers("turns.advantage");
  const offsets = batch.offsets("turn");
  const wrong = { pooled: 0, turn: 0 };
  const sums: number[][] = Array.from({ length: deepest + 1 }, () => []);
  const rescaled: number[][] = Array.from({ length: deepest + 1 }, () => []);
  let turns = 0;
  let [lowest, highest] = [1, 1];
  good.forEach((labels, i) => {
    labels.forEach((label, t) => {
      const row = offsets[i] + t;
      const left = labels.length - t;
      turns++;
      if (pooled[row] - pooled[row + 1] > 0 !== label) wrong.pooled++;
      if (normalised[row] > 0 !== label) wrong.turn++;
      rescaled[left].push(process[row]);
      sums[left].push(process[row] * Math.sqrt(left));
      lowest = Math.min(lowest, scales[row]);
      highest = Math.max(highest, scales[row]);
    });
  });
  const spread = rescaled.slice(1).map(deviation);
  const grid = Array.from({ length: 201 }, (_, k) => clipScale({ z: (k - 100) / 10, beta: 0.3 }));
  const rising = grid.every((x, k) => k === 0 || x > grid[k - 1]) && grid[100] === 1;
  const measures: Record<string, number> = {
    "sign error, pooled": wrong.pooled / turns,
    "sign error, by turn": wrong.turn / turns,
    "growth of the plain sum": deviation(sums[deepest]) / deviation(sums[1]),
    "least spread": Math.min(...spread),
    "largest spread": Math.max(...spread),
    "lowest clip scale": lowest,
    "highest clip scale": highest,
    "clip scale rises with z and is 1 at 0": rising ? 1 : 0,
  };
  for (let n = 1; n <= deepest; n++) {
    measures[`plain sum of ${n}`] = deviation(sums[n]);
    measures[`rescaled sum of ${n}`] = spread[n - 1];
  }
  return measures;
}

const belief = [0.01, 0.015, 0.03, 0.06, 0.15, 0.95];
const chain: EvidenceChain = { pieces: 5, searches: 6, actions: 10, success: belief, logprob: belief.map(Math.log) };

/** Success over the last 20 of 150 updates on the chain of igpo, groups starting with 0 to 4 pieces known. */
function train(method: "a2tgpo" | "igpo", seed: number, updates: number): number {
  const random = new Random(seed);
  const policy = new SoftmaxTable(chain.pieces, chain.actions);
  const success: number[] = [];
  for (let update = 0; update < updates; update++) {
    const starts = Array.from({ length: 4 }, () => random.below(chain.pieces));
    const episodes = Array.from({ length: 32 }, (_, i) => search(chain, policy, random, starts[i >> 3]));
    const rollouts = episodes.map(({ logprobs, reward }, i) => ({
      id: `r${i}`,
      group: `g${i >> 3}`,
      reward,
      signals: { gt_logprob_0: chain.logprob[starts[i >> 3]] },
      turns: { gt_logprob: logprobs },
    }));
    const advantage = assign(batchFromObjects(rollouts), method).numbers("turns.advantage");
    accumulateDecisions(
      policy,
      episodes.map(({ decisions }) => decisions),
      advantage,
      1 / episodes.length,
    );
    policy.ascend(0.3);
    success.push(episodes.reduce((sum, { reward }) => sum + reward, 0) / episodes.length);
  }
  return tailMean(success, 20);
}

function trial(seed: number, scale: Scale): Trial {
  const full = scale === "full";
  const measures = statistics(seed, full ? 60 : 10);
  for (const method of ["a2tgpo", "igpo"] as const)
    measures[`success of ${method}`] = train(method, seed, full ? 150 : 10);
  measures["success against igpo"] = measures["success of a2tgpo"] - measures["success of igpo"];
  return { measures };
}

/** Gains shrink with depth: compared with all turns, a deep good turn looks bad; compared at its depth it does not. */
export const experiment: Experiment = {
  id: "a2tgpo",
  version: 1,
  claim:
    "Comparing gains at the same depth gets their signs right, dividing their sum by the square root of its length " +
    "keeps its spread flat, and the clip range follows the gain within its bounds.",
  environment:
    "60 groups of 16 rollouts with 2 to 6 search turns; gain 1.5 · 0.5^t ± 0.3 + N(0, 0.15²), the sign being the " +
    "hidden label. Training: the chain of igpo with 0 to 4 pieces known at the start.",
  baseline: "igpo (all gains of a group in one pool)",
  seeds: 5,
  trial,
  findings: (summary) => [
    atLeast(summary, "sign error, pooled", 0.25),
    atMost(summary, "sign error, by turn", 0.12),
    atLeast(summary, "growth of the plain sum", 2, { over: "mean" }),
    atLeast(summary, "least spread", 0.9, { over: "mean" }),
    atMost(summary, "largest spread", 1.1, { over: "mean" }),
    atLeast(summary, "clip scale rises with z and is 1 at 0", 1),
    atLeast(summary, "lowest clip scale", 0.7),
    atMost(summary, "highest clip scale", 1.3),
    atLeast(summary, "success against igpo", -0.05, { over: "mean", kind: "limit" }),
  ],
  plots: [
    {
      kind: "bars",
      title: "Spread of the process term by number of gains in it",
      y: "standard deviation",
      measures: ["plain sum", "rescaled sum"].flatMap((name) =>
        Array.from({ length: deepest }, (_, n) => `${name} of ${n + 1}`),
      ),
    },
    {
      kind: "bars",
      title: "Gains whose sign disagrees with the label",
      y: "share",
      measures: ["sign error, pooled", "sign error, by turn"],
    },
  ],
};
