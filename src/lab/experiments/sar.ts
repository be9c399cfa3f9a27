import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { against, atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const vocabulary = 50;
const groupSize = 6;
const question = [0, 1, 2, 3, 4];
const concise = [...question, 5];

/** What the policy chooses from; `expected` is the score that the card measured, where the wording is determined. */
const templates = [
  { name: "concise correct", tokens: concise, correct: 1, expected: 0.81 },
  { name: "verbose correct", tokens: Array.from({ length: 30 }, (_, k) => concise[k % 6]), correct: 1, expected: null },
  { name: "short wrong", tokens: question.slice(0, 3), correct: 0, expected: 0.87 },
  { name: "random wrong", tokens: [11, 12, 13, 14, 15, 16, 17], correct: 0, expected: -0.1 },
];

/** The copy model: half uniform, half a copy of a token of the context; uniform where there is no context. */
function copyLogprobs(tokens: readonly number[], before: readonly number[]): number[] {
  const context = [...before];
  return tokens.map((token) => {
    const copies = context.filter((x) => x === token).length;
    const p = context.length === 0 ? 1 / vocabulary : 0.5 / vocabulary + (0.5 * copies) / context.length;
    context.push(token);
    return Math.log(p);
  });
}

const columns = templates.map(({ tokens }) => ({
  logprob: copyLogprobs(tokens, question),
  logprob_no_prompt: copyLogprobs(tokens, []),
}));

const arms = {
  "verifiable only": { alpha: 0 },
  "sar only": { alpha: 0.2, verifiable_weight: 0 },
  both: { alpha: 0.2 },
} as const;
const names = Object.keys(arms) as (keyof typeof arms)[];

function train(name: keyof typeof arms, seed: number, updates: number) {
  const random = new Random(seed);
  const policy = new SoftmaxTable(1, templates.length, [0, 1, 0, 1]);
  const expected = (of: (template: (typeof templates)[number]) => number) =>
    templates.reduce((sum, template, k) => sum + policy.probability(0, k) * of(template), 0);
  const lengths: number[] = [];
  for (let update = 0; update < updates; update++) {
    lengths.push(expected(({ tokens }) => tokens.length));
    const chosen = Array.from({ length: groupSize }, () => policy.sample(0, random));
    const rollouts = chosen.map((k, i) => ({
      id: `r${i}`,
      group: "g",
      reward: templates[k].correct,
      tokens: columns[k],
    }));
    const advantage = assign(batchFromObjects(rollouts), "sar", arms[name]).numbers("rollout.advantage");
    chosen.forEach((k, i) => {
      policy.accumulate(0, k, advantage[i] / groupSize);
    });
    policy.ascend(1);
  }
  return { lengths, length: expected(({ tokens }) => tokens.length), accuracy: expected(({ correct }) => correct) };
}

function trial(seed: number, scale: Scale): Trial {
  const scored = assign(
    batchFromObjects(templates.map((_, k) => ({ id: `${k}`, group: "g", reward: 0, tokens: columns[k] }))),
    "sar",
  ).numbers("rollout.sar");
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  templates.forEach(({ name }, k) => {
    measures[`score of ${name}`] = scored[k];
  });
  for (const name of names) {
    const run = train(name, seed, scale === "full" ? 800 : 20);
    measures[`accuracy, ${name}`] = run.accuracy;
    measures[`length, ${name}`] = run.length;
    curves[name] = run.lengths.filter((_, t) => t % 5 === 0);
  }
  return { measures, curves };
}

function findings(summary: Summary) {
  const ratio = summary.mean("length, both") / summary.mean("length, verifiable only");
  const scores = templates.map(({ name }) => summary.mean(`score of ${name}`));
  return [
    {
      expected: "scores of concise, short and random answers 0.81, 0.87 and -0.10 (within 0.01)",
      measured: templates.map(({ name }, k) => `${name} ${scores[k].toFixed(2)}`).join(", "),
      holds: templates.every(({ expected }, k) => expected === null || Math.abs(scores[k] - expected) <= 0.01),
      kind: "limit" as const,
    },
    atLeast(summary, "accuracy, verifiable only", 0.95, { over: "mean" }),
    atMost(summary, "accuracy, sar only", 0.1, { over: "mean" }),
    atLeast(summary, "accuracy, both", 0.95, { over: "mean" }),
    {
      expected: "the mix is at most 0.4 times as long as the verifiable reward alone",
      measured: `${against(summary, "length, both", "length, verifiable only", 1)} tokens, ratio ${ratio.toFixed(2)}`,
      holds: ratio <= 0.4,
      kind: "claim" as const,
    },
  ];
}

/** A small bonus for being tied to the question shortens right answers; alone it is hacked by copying the question. */
export const experiment: Experiment = {
  id: "sar",
  version: 1,
  claim:
    "The verifiable reward with a fifth of the self-aligned reward stays right and gets short; the latter alone is " +
    "hacked.",
  environment:
    "A frozen copy language model scores four answers to a question of 5 tokens: concise right (6 tokens), verbose " +
    "right (30), short wrong (3 copied tokens), random wrong (7). Softmax over them from (0, 1, 0, 1), G = 6, rate " +
    "1, 800 updates.",
  baseline: "sar with alpha 0 (verifiable reward only) and with verifiable_weight 0",
  seeds: 6,
  trial,
  findings,
  plots: [
    { kind: "lines", title: "Expected length", x: "update", y: "tokens", curves: names, every: 5 },
    { kind: "bars", title: "Accuracy at the end", y: "accuracy", measures: names.map((name) => `accuracy, ${name}`) },
  ],
  notes:
    "The verbose answer is the concise one five times over (the card gives its length only, and a score of 0.21). " +
    "Accuracy and length are exact expectations of the policy.",
};
