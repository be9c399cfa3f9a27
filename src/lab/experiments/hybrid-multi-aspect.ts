import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { against, atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const groupSize = 8;
const rate = 2;
const verifiable = 4;
const routed = 8;
const answers = 4;
const routes = ["model only", "rule only", "hybrid"] as const;
type Route = (typeof routes)[number];

/** Trains a table with one group per prompt and update; `reward` gives what is written about a choice. */
function train(
  policy: SoftmaxTable,
  updates: number,
  random: Random,
  params: Readonly<Record<string, unknown>>,
  describe: (prompt: number, action: number) => Record<string, unknown>,
  after: () => void,
): void {
  for (let update = 0; update < updates; update++) {
    const chosen = Array.from({ length: policy.rows * groupSize }, (_, i) =>
      policy.sample(Math.floor(i / groupSize), random),
    );
    const rollouts = chosen.map((action, i) => {
      const prompt = Math.floor(i / groupSize);
      return { id: `r${i}`, group: `g${prompt}`, ...describe(prompt, action) };
    });
    const advantage = assign(batchFromObjects(rollouts), "hybrid-multi-aspect", params).numbers("rollout.advantage");
    chosen.forEach((action, i) => {
      policy.accumulate(Math.floor(i / groupSize), action, advantage[i] / groupSize);
    });
    policy.ascend(rate);
    after();
  }
}

/** Answer 0 is right; the model likes answer 1 of verifiable prompts best. */
function modelScore(prompt: number, action: number, random: Random): number {
  const base = action === 0 ? 0.6 : action === 1 && prompt < verifiable ? 0.75 : 0.1;
  return base + 0.02 * gaussian(random);
}

function route(kind: Route, seed: number, updates: number) {
  const random = new Random(seed);
  const policy = new SoftmaxTable(routed, answers);
  const describe = (prompt: number, action: number) => {
    const hasRule = prompt < verifiable && kind !== "model only";
    const rule = hasRule ? (action === 0 ? 1 : 0) : null;
    const model = kind === "rule only" ? null : modelScore(prompt, action, random);
    return { rewards: { rule, model }, tokens: { id: [action] } };
  };
  train(policy, updates, random, { length_weight: 0, aspect_weights: {} }, describe, () => {});
  const mean = (from: number, to: number) => {
    let sum = 0;
    for (let prompt = from; prompt < to; prompt++) sum += policy.probability(prompt, 0) / (to - from);
    return sum;
  };
  return { verifiable: mean(0, verifiable), open: mean(verifiable, routed) };
}

const lengths = [20, 40, 80, 160, 320];
const right = [0.6, 0.65, 0.7, 0.75, 0.8];
const masks = lengths.map((length) => new Array<number>(length).fill(1));

function brevity(lengthWeight: number, seed: number, updates: number) {
  const random = new Random(seed);
  const policy = new SoftmaxTable(6, lengths.length);
  const mean = (of: readonly number[]) => {
    let sum = 0;
    for (let prompt = 0; prompt < policy.rows; prompt++)
      sum += of.reduce((part, x, k) => part + x * policy.probability(prompt, k), 0) / policy.rows;
    return sum;
  };
  const curve: number[] = [];
  const describe = (_: number, action: number) => ({
    rewards: {
      rule: random.uniform() < right[action] ? 1 : 0,
      model: null,
      style: 0.6 * (1 - lengths[action] / 320),
    },
    tokens: { mask: masks[action] },
  });
  train(policy, updates, random, { length_weight: lengthWeight, aspect_weights: { style: 1 } }, describe, () => {
    curve.push(mean(lengths));
  });
  return { length: mean(lengths), accuracy: mean(right), curve };
}

function trial(seed: number, scale: Scale): Trial {
  const updates = scale === "full" ? 400 : 5;
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const kind of routes) {
    const run = route(kind, seed, updates);
    measures[`accuracy on verifiable prompts, ${kind}`] = run.verifiable;
    measures[`accuracy on open prompts, ${kind}`] = run.open;
  }
  for (const [name, weight] of [
    ["without length term", 0],
    ["with length term", 1],
  ] as const) {
    const run = brevity(weight, seed, updates);
    measures[`length, ${name}`] = run.length;
    measures[`accuracy, ${name}`] = run.accuracy;
    curves[name] = run.curve.filter((_, t) => t % 4 === 0);
  }
  return { measures, curves };
}

function findings(summary: Summary) {
  const gain = summary.mean("accuracy, with length term") - summary.mean("accuracy, without length term");
  return [
    atMost(summary, "accuracy on verifiable prompts, model only", 0.05, { over: "mean" }),
    atMost(summary, "accuracy on open prompts, rule only", 0.35, { over: "mean" }),
    atLeast(summary, "accuracy on verifiable prompts, hybrid", 0.95, { over: "mean" }),
    atLeast(summary, "accuracy on open prompts, hybrid", 0.95, { over: "mean" }),
    atMost(summary, "length, without length term", 70, { over: "mean", digits: 1 }),
    atLeast(summary, "length, with length term", 120, { over: "mean", digits: 1 }),
    {
      expected: "the length term makes accuracy at least 0.05 higher",
      measured: against(summary, "accuracy, with length term", "accuracy, without length term", 3),
      holds: gain >= 0.05,
      kind: "claim" as const,
    },
  ];
}

/** Rules where there are rules, a model where there are none, and a term that keeps answers from shrinking. */
export const experiment: Experiment = {
  id: "hybrid-multi-aspect",
  version: 1,
  claim:
    "Routing prompts to rule or model gets both kinds right, and a group-relative length term stops brevity hacking.",
  environment:
    "(a) 4 verifiable and 4 open prompts, 4 answers; the model scores a plausible wrong answer above the right one " +
    "where there is a rule. (b) 6 prompts, lengths 20 to 320 right with 0.6 to 0.8, a style channel that pays for " +
    "being short. G = 8, rate 2, 400 updates.",
  baseline: "hybrid-multi-aspect with the model or the rule alone, and with length_weight 0",
  seeds: 5,
  trial,
  findings,
  plots: [
    {
      kind: "lines",
      title: "Mean length with a style channel that pays for brevity",
      x: "update",
      y: "tokens",
      curves: ["without length term", "with length term"],
      every: 4,
    },
    {
      kind: "bars",
      title: "Accuracy by route",
      y: "accuracy",
      measures: ["verifiable", "open"].flatMap((what) => routes.map((kind) => `accuracy on ${what} prompts, ${kind}`)),
    },
  ],
};
