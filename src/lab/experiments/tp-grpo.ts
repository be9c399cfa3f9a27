import { assign } from "../../methods/assign.ts";
import { thoughtAdvantage } from "../../methods/judge/tp-grpo.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { against, atLeast, atMost } from "./bounds.ts";
import { accumulateDecisions, type Decision, tailMean } from "./decisions.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const prompts = 4;
const approaches = 6;
const stop = approaches;
const mostSteps = 16;
const perPrompt = 8;

/**
 * Share of valid steps with a negative advantage, and the mean variance over the steps of a rollout, on random
 * labels.
 */
function labelStatistics(random: Random, merge: boolean, sequences: number): { negative: number; variance: number } {
  let [valid, negative, variance] = [0, 0, 0];
  for (let n = 0; n < sequences; n++) {
    const label: (0 | 1)[] = [random.uniform() < 0.5 ? 1 : 0];
    while (label.length < 20) {
      const last = label[label.length - 1];
      label.push(random.uniform() < 0.7 ? last : last === 1 ? 0 : 1);
    }
    const advantage = thoughtAdvantage({
      label,
      correct: true,
      outcome: 0.7,
      acc: 0.6,
      alpha: 1,
      merge_steps: merge,
    });
    advantage.forEach((a, k) => {
      // The last label is always 1, as in the rule.
      if (label[k] === 1 || k === label.length - 1) {
        valid++;
        if (a < 0) negative++;
      }
    });
    const mean = advantage.reduce((a, b) => a + b, 0) / advantage.length;
    variance += advantage.reduce((sum, a) => sum + (a - mean) ** 2, 0) / advantage.length;
  }
  return { negative: negative / valid, variance: variance / sequences };
}

/** Rows: the last approach tried (or none yet), per prompt. Before a try there is nothing to stop with. */
function startingPolicy(): SoftmaxTable {
  const policy = new SoftmaxTable(prompts * (approaches + 1), approaches + 1);
  for (let row = 0; row < policy.rows; row++) {
    const none = row % (approaches + 1) === approaches;
    policy.logits[row * (approaches + 1) + stop] = none ? -1e9 : -1;
  }
  policy.changed();
  return policy;
}

function solve(prompt: number, right: number, policy: SoftmaxTable, random: Random) {
  const decisions: Decision[] = [];
  const tried: number[] = [];
  let last = approaches;
  while (decisions.length < mostSteps - 1) {
    const row = prompt * (approaches + 1) + last;
    const action = policy.sample(row, random);
    decisions.push({ row, action });
    tried.push(action);
    if (action === stop) break;
    last = action;
  }
  if (tried[tried.length - 1] !== stop) {
    decisions.push({ row: -1, action: stop });
    tried.push(stop);
  }
  const label = (approach: number) => tried.map((a) => (a === approach || a === stop ? 1 : 0));
  return { decisions, reward: last === right ? 1 : 0, valid: label(right), adopted: label(last) };
}

const arms = {
  "tp-grpo": { method: "tp-grpo", params: {} },
  "static step rewards": { method: "tp-grpo", params: { merge_steps: false, adaptive: false } },
  grpo: { method: "grpo", params: {} },
} as const;
const names = Object.keys(arms) as (keyof typeof arms)[];

function train(name: keyof typeof arms, seed: number, updates: number): { steps: number[]; accuracy: number[] } {
  const random = new Random(seed);
  const right = Array.from({ length: prompts }, () => random.below(approaches));
  const policy = startingPolicy();
  const steps: number[] = [];
  const accuracy: number[] = [];
  const { method, params } = arms[name];
  for (let update = 0; update < updates; update++) {
    const solutions = Array.from({ length: prompts * perPrompt }, (_, i) => {
      const prompt = Math.floor(i / perPrompt);
      return solve(prompt, right[prompt], policy, random);
    });
    const rollouts = solutions.map(({ decisions, reward, valid, adopted }, i) => ({
      id: `r${i}`,
      group: `g${Math.floor(i / perPrompt)}`,
      reward,
      tokens: { id: decisions.map(({ action }) => action) },
      steps: { end: decisions.map((_, k) => k + 1), valid, adopted },
    }));
    const advantage = assign(batchFromObjects(rollouts), method, params).numbers("tokens.advantage");
    const moves = solutions.map(({ decisions }) => decisions);
    accumulateDecisions(policy, moves, advantage, 1 / perPrompt);
    policy.ascend(0.5);
    steps.push(moves.reduce((sum, { length }) => sum + length, 0) / moves.length);
    accuracy.push(solutions.reduce((sum, { reward }) => sum + reward, 0) / solutions.length);
  }
  return { steps, accuracy };
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const [name, merge] of [
    ["with", true],
    ["without", false],
  ] as const) {
    const { negative, variance } = labelStatistics(new Random(seed), merge, scale === "full" ? 2000 : 20);
    measures[`valid steps with a negative advantage, ${name} merging`] = negative;
    measures[`variance over steps, ${name} merging`] = variance;
  }
  for (const name of names) {
    const run = train(name, seed, scale === "full" ? 120 : 6);
    measures[`length in units of the cap, ${name}`] = tailMean(run.steps, 20) / mostSteps;
    measures[`accuracy, ${name}`] = tailMean(run.accuracy, 20);
    curves[name] = run.steps;
  }
  return { measures, curves };
}

/** Equal neighbours are merged into thoughts, so that valid steps cannot be farmed and are never punished. */
export const experiment: Experiment = {
  id: "tp-grpo",
  version: 1,
  claim:
    "Merged thoughts never give a valid step of a right answer a negative advantage, and cannot be farmed with more " +
    "steps as static step rewards can.",
  environment:
    "(a) Random labels of 20 steps. (b) 4 prompts, one right approach of 6: try one, or stop and answer with the " +
    "last one; at most 16 steps. Tabular softmax by prompt and last approach, 8 rollouts per prompt, rate 0.5, 120 " +
    "updates.",
  baseline: "tp-grpo with merge_steps and adaptive false; grpo",
  seeds: 8,
  trial,
  findings: (summary) => [
    atMost(summary, "valid steps with a negative advantage, with merging", 0),
    atLeast(summary, "valid steps with a negative advantage, without merging", 0.15),
    {
      expected: "merging lowers the variance over steps (about 0.08 against 2.4) at least tenfold",
      measured: against(summary, "variance over steps, with merging", "variance over steps, without merging", 3),
      holds:
        10 * summary.mean("variance over steps, with merging") <= summary.mean("variance over steps, without merging"),
      kind: "claim",
    },
    atLeast(summary, "length in units of the cap, static step rewards", 0.95),
    atMost(summary, "length in units of the cap, tp-grpo", 0.75),
    {
      expected: "final accuracy of tp-grpo at least that of grpo",
      measured: against(summary, "accuracy, tp-grpo", "accuracy, grpo", 3),
      holds: summary.mean("accuracy, tp-grpo") >= summary.mean("accuracy, grpo"),
      kind: "claim",
    },
  ],
  plots: [{ kind: "lines", title: "Length while training (cap 16)", x: "update", y: "steps", curves: names }],
  notes:
    "Final values are means of the last 20 updates. The card's limit (where detours do cause failures, not punishing " +
    "them is slower) is not part of this environment.",
};
