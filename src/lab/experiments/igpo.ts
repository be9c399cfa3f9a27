import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import { accumulateDecisions, tailMean } from "./decisions.ts";
import { collapsedShare, type EvidenceChain, search } from "./evidence-chain.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const belief = [0.01, 0.015, 0.03, 0.06, 0.15, 0.95];

function chainOf(pieces: number, actions: number): EvidenceChain {
  const success = belief.slice(0, pieces).concat(0.95);
  return { pieces, searches: 6, actions, success, logprob: success.map(Math.log) };
}

const hard = chainOf(5, 10);
const easy = chainOf(4, 6);
const groups = 4;
const groupSize = 8;

interface Run {
  success: number[];
  collapse: number;
}

function train(chain: EvidenceChain, method: "igpo" | "grpo", rate: number, updates: number, seed: number): Run {
  const random = new Random(seed);
  const policy = new SoftmaxTable(chain.pieces, chain.actions);
  const success: number[] = [];
  let collapse = 0;
  for (let update = 0; update < updates; update++) {
    const episodes = Array.from({ length: groups * groupSize }, () => search(chain, policy, random));
    const end = episodes[0].decisions.map((_, t) => t + 1);
    const rollouts = episodes.map(({ logprobs, reward }, i) => ({
      id: `r${i}`,
      group: `g${Math.floor(i / groupSize)}`,
      reward,
      signals: { gt_logprob_0: chain.logprob[0] },
      tokens: { id: logprobs.map(() => 0) },
      turns: { end, gt_logprob: logprobs },
    }));
    const advantage = assign(batchFromObjects(rollouts), method).numbers("tokens.advantage");
    accumulateDecisions(
      policy,
      episodes.map(({ decisions }) => decisions),
      advantage,
      1 / episodes.length,
    );
    policy.ascend(rate);
    success.push(episodes.reduce((sum, { reward }) => sum + reward, 0) / episodes.length);
    collapse += collapsedShare(advantage, groups) / updates;
  }
  return { success, collapse };
}

function trial(seed: number, scale: Scale): Trial {
  const updates = scale === "full" ? 150 : 20;
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const method of ["igpo", "grpo"] as const) {
    const run = train(hard, method, 0.3, updates, seed);
    measures[`${method} success`] = tailMean(run.success, 20);
    measures[`${method} collapse`] = run.collapse;
    curves[method] = run.success;
    measures[`${method} success, easy chain`] = tailMean(train(easy, method, 0.5, updates, seed).success, 20);
  }
  return { measures, curves };
}

/** Groups whose outcomes are all equal still learn when every turn is paid what it adds to the belief of the answer. */
export const experiment: Experiment = {
  id: "igpo",
  version: 1,
  claim:
    "Paying turns for information gain keeps groups with equal outcomes from having no gradient at all, and learns.",
  environment:
    "5 pieces of evidence, 10 actions of which one finds the next piece; the belief in the right answer rises from " +
    "0.01 to 0.95 with the evidence and is the chance of reward 1. Tabular softmax, 150 updates of 4 groups of 8, " +
    "rate 0.3.",
  baseline: "grpo",
  seeds: 5,
  trial,
  findings: (summary) => [
    atLeast(summary, "igpo success", 0.8),
    atMost(summary, "grpo success", 0.2),
    atLeast(summary, "grpo collapse", 0.5),
    atMost(summary, "igpo collapse", 0.05),
    atLeast(summary, "igpo success, easy chain", 0.9, { kind: "limit" }),
    atLeast(summary, "grpo success, easy chain", 0.9, { kind: "limit" }),
  ],
  plots: [
    { kind: "lines", title: "Success while training", x: "update", y: "success", curves: ["igpo", "grpo"] },
    { kind: "bars", title: "Groups without a gradient", y: "share", measures: ["igpo collapse", "grpo collapse"] },
  ],
  notes: "The card's 6 turns are read as 6 searches before the answer turn, which has no choice of its own.",
};
