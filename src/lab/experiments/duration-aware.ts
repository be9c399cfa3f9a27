import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const seconds = [1, 10] as const;
const worth = [0.3, 1] as const;
const slow = 1;
const noise = 0.1;
const capacity = 40;
/** 0.3 on a single logit is 0.15 on each of two. */
const banditRate = 0.15;
const goal = 0.9;

const stages = 5;
const options = 5;
const groupSize = 8;
const programRate = 0.5;

/** A draw from the Poisson distribution, by multiplying uniform numbers. */
function poisson(mean: number, random: Random): number {
  const least = Math.exp(-mean);
  let count = 0;
  for (let product = random.uniform(); product > least; product *= random.uniform()) count++;
  return count;
}

interface BanditArm {
  baseline: "none" | "batch";
  weighted: boolean;
  start: number;
}

/**
 * P(slow) over the learner's intervals: in each, what has finished by then arrives, which is mostly the fast action.
 */
function learnBandit({ baseline, weighted, start }: BanditArm, intervals: number, random: Random): number[] {
  const policy = new SoftmaxTable(1, 2, [0, Math.log(start / (1 - start))]);
  const curve = [policy.probability(0, slow)];
  for (let k = 0; k < intervals; k++) {
    const taken = seconds.flatMap((duration, a) =>
      new Array<number>(poisson((capacity * policy.probability(0, a)) / duration, random)).fill(a),
    );
    if (taken.length > 0) {
      const rollouts = taken.map((a, i) => ({
        id: `r${i}`,
        group: "g",
        reward: worth[a] + noise * gaussian(random),
        tokens: { id: [a] },
        turns: { end: [1], duration_s: [seconds[a]] },
      }));
      const credited = assign(batchFromObjects(rollouts), "duration-aware", { baseline, weighted });
      const advantage = credited.numbers("turns.advantage");
      taken.forEach((a, i) => {
        policy.accumulate(0, a, advantage[i] / taken.length);
      });
      policy.ascend(banditRate);
    }
    curve.push(policy.probability(0, slow));
  }
  return curve;
}

/** P(all stages right) over updates of a program that stops at its first wrong stage. */
function learnProgram(withMilestones: boolean, updates: number, random: Random): number[] {
  const policy = new SoftmaxTable(stages, options);
  const right = Array.from({ length: stages }, () => random.below(options));
  const success = () => right.reduce((product, option, t) => product * policy.probability(t, option), 1);
  const curve = [success()];
  for (let k = 0; k < updates; k++) {
    const programs = Array.from({ length: groupSize }, () =>
      Array.from({ length: stages }, (_, t) => policy.sample(t, random)),
    );
    const rollouts = programs.map((id, i) => {
      const wrong = id.findIndex((option, t) => option !== right[t]);
      const reached = wrong < 0 ? stages : wrong;
      const submitted = wrong < 0;
      const signals = {
        milestones: withMilestones ? reached : 0,
        submitted: submitted ? 1 : 0,
        ...(submitted && { score: 0.9 }),
      };
      return { id: `r${i}`, group: "g", tokens: { id }, turns: { end: [stages] }, signals };
    });
    const params = { weighted: false };
    const advantage = assign(batchFromObjects(rollouts), "duration-aware", params).numbers("tokens.advantage");
    programs.forEach((id, i) => {
      id.forEach((option, t) => {
        policy.accumulate(t, option, advantage[i * stages + t] / groupSize);
      });
    });
    policy.ascend(programRate);
    curve.push(success());
  }
  return curve;
}

const kinds = [
  { name: "weighted", weighted: true },
  { name: "unweighted", weighted: false },
] as const;
const starts = [0.5, 0.2];
const without = (kind: string, start: number) => `${kind}, no baseline, from ${start}`;
const withMean = (kind: string) => `${kind}, mean baseline, intervals to 0.9 from 0.2`;

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  const intervals = scale === "full" ? 400 : 20;
  const thinned = (curve: readonly number[]) => curve.filter((_, k) => k % 4 === 0);
  for (const { name, weighted } of kinds) {
    for (const start of starts) {
      const curve = learnBandit({ baseline: "none", weighted, start }, intervals, new Random(seed));
      measures[without(name, start)] = curve[intervals];
      if (start === 0.5) curves[name] = thinned(curve);
    }
    const centred = learnBandit({ baseline: "batch", weighted, start: 0.2 }, intervals, new Random(seed));
    const reached = centred.findIndex((p) => p >= goal);
    measures[withMean(name)] = reached < 0 ? intervals : reached;
    measures[`${name}, mean baseline, at the end`] = centred[intervals];
  }
  for (const milestones of [true, false]) {
    const name = milestones ? "with milestones" : "without milestones";
    const curve = learnProgram(milestones, scale === "full" ? 300 : 20, new Random(seed));
    measures[name] = curve[curve.length - 1];
    curves[name] = thinned(curve);
  }
  return { measures, curves };
}

/**
 * Where slow actions arrive rarely, weighing them by their duration undoes the bias; milestones give a first foothold.
 */
export const experiment: Experiment = {
  id: "duration-aware",
  version: 1,
  claim:
    "Weighing actions by their duration lets a slow good action win over a fast poor one although it arrives ten " +
    "times as rarely; milestones make a program learnable that fails at first.",
  environment:
    "(a) Fast action (1 s, reward 0.3) or slow one (10 s, reward 1), noise 0.1; arrivals per interval Poisson(40 " +
    "π/duration), one logit, rate 0.3, 400 intervals. (b) Programs of 5 stages with 5 options that stop at the first " +
    "wrong one, score 0.9; 8 per update, rate 0.5, 300 updates.",
  baseline: "(a) the same without weights; (b) the same without milestones",
  seeds: 10,
  trial,
  findings: (summary) => [
    ...starts.flatMap((start) => [
      atLeast(summary, without("weighted", start), 0.95, { over: "mean" }),
      atMost(summary, without("unweighted", start), 0.1, { over: "mean" }),
    ]),
    atMost(summary, withMean("weighted"), 130, { over: "mean", digits: 1 }),
    atLeast(summary, withMean("unweighted"), 200, { over: "mean", digits: 1 }),
    ...kinds.map(({ name }) => atLeast(summary, `${name}, mean baseline, at the end`, 0.9, { kind: "limit" })),
    atLeast(summary, "with milestones", 0.95),
    atMost(summary, "without milestones", 0.1),
  ],
  plots: [
    {
      kind: "lines",
      title: "Probability of the slow, good action, no baseline",
      x: "interval",
      y: "P(slow)",
      curves: kinds.map(({ name }) => name),
      every: 4,
    },
    {
      kind: "lines",
      title: "Success of a program of five stages",
      x: "update",
      y: "P(all right)",
      curves: ["with milestones", "without milestones"],
      every: 4,
    },
  ],
  notes:
    "Without milestones a program that fails is paid −10 wherever it stops. In (b) all programs take equally long, " +
    "so the weights are switched off. Without milestones 2,400 programs are tried at a chance of 1 in 3,125 each: " +
    "one seed of ten happens on enough successes to learn from (0.89), the other nine end at 0.06 or below.",
};
