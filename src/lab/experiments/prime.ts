import { assign } from "../../methods/assign.ts";
import { primePairAccuracy } from "../../methods/implicit/prime.ts";
import { sigmoid } from "../../operators/scalars.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost, median } from "./bounds.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const length = 20;
const symbols = 4;
const keys = [3, 9, 15];
const groupSize = 4;
const rollouts = 4 * groupSize;
const beta = 0.5;

function startingTable(): SoftmaxTable {
  const logits = new Float64Array(length * symbols);
  for (const t of keys) logits[t * symbols] = 1;
  return new SoftmaxTable(length, symbols, logits);
}

function successOf(policy: SoftmaxTable): number {
  return keys.reduce((product, t) => product * policy.probability(t, 0), 1);
}

interface Arm {
  params?: Readonly<Record<string, number>>;
  /** Logit by which the implicit reward model starts out wrong: for symbol 1 at the first key position. */
  bias?: number;
  frozen?: boolean;
}

const arms = {
  prime: {},
  "outcome only": { params: { rm_coef: 0 } },
  "biased, online": { bias: 3 },
  "biased, frozen": { bias: 3, frozen: true },
} as const satisfies Record<string, Arm>;
const names = Object.keys(arms) as (keyof typeof arms)[];

interface Sequence {
  id: number[];
  reward: number;
}

function sampleSequence(policy: SoftmaxTable, random: Random): Sequence {
  const id = Array.from({ length }, (_, t) => policy.sample(t, random));
  return { id, reward: keys.every((t) => id[t] === 0) ? 1 : 0 };
}

const logprobs = (table: SoftmaxTable, id: readonly number[]) => id.map((a, t) => table.logProbability(t, a));

function logRatio(model: SoftmaxTable, reference: SoftmaxTable, id: readonly number[]): number {
  return id.reduce((sum, a, t) => sum + model.logProbability(t, a) - reference.logProbability(t, a), 0);
}

/** One step down the mean cross-entropy of outcomes against σ(β Σ log-ratio). */
function learnOutcomes(model: SoftmaxTable, reference: SoftmaxTable, sequences: readonly Sequence[]): void {
  for (const { id, reward } of sequences) {
    const error = reward - sigmoid(beta * logRatio(model, reference, id));
    id.forEach((a, t) => {
      model.accumulate(t, a, (beta * error) / sequences.length);
    });
  }
  model.ascend(20);
}

/** Exact success before every update and at the end; accuracy of the model on pairs of the starting policy. */
function train(arm: Arm, seed: number, updates: number): { curve: number[]; accuracy: number } {
  const random = new Random(seed);
  const policy = startingTable();
  const reference = startingTable();
  const model = startingTable();
  model.logits[keys[0] * symbols + 1] += arm.bias ?? 0;
  model.changed();
  const curve: number[] = [successOf(policy)];
  for (let update = 0; update < updates; update++) {
    const sequences = Array.from({ length: rollouts }, () => sampleSequence(policy, random));
    const objects = sequences.map(({ id, reward }, i) => ({
      id: `r${i}`,
      group: `g${Math.floor(i / groupSize)}`,
      reward,
      tokens: { id, prm_logprob: logprobs(model, id), prm_ref_logprob: logprobs(reference, id) },
    }));
    const credit = assign(batchFromObjects(objects), "prime", { beta, ...arm.params });
    const advantage = credit.numbers("tokens.advantage");
    sequences.forEach(({ id }, i) => {
      id.forEach((a, t) => {
        policy.accumulate(t, a, advantage[i * length + t] / rollouts);
      });
    });
    if (arm.frozen !== true) learnOutcomes(model, reference, sequences);
    policy.ascend(0.3);
    curve.push(successOf(policy));
  }
  const pairs = Array.from({ length: 200 }, () => sampleSequence(reference, random));
  const accuracy = primePairAccuracy({
    score: pairs.map(({ id }) => beta * logRatio(model, reference, id)),
    reward: pairs.map(({ reward }) => reward),
  });
  return { curve, accuracy };
}

function trial(seed: number, scale: Scale): Trial {
  const updates = scale === "full" ? 120 : 10;
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const name of names) {
    const { curve, accuracy } = train(arms[name], seed, updates);
    const reached = curve.findIndex((success) => success >= 0.8);
    measures[`updates, ${name}`] = reached < 0 ? updates : reached;
    measures[`final success, ${name}`] = curve[updates];
    measures[`largest success, ${name}`] = Math.max(...curve);
    measures[`pair accuracy, ${name}`] = accuracy;
    curves[name] = curve;
  }
  measures["updates against outcome only"] = measures["updates, prime"] / measures["updates, outcome only"];
  return { measures, curves };
}

const medianOf = (summary: Summary, name: string) => median(summary.values(`updates, ${name}`));

/** A reward model trained on outcomes alone gives dense token rewards; it has to keep learning. */
export const experiment: Experiment = {
  id: "prime",
  version: 1,
  claim:
    "Implicit token rewards learned online from outcomes speed up training, and an implicit reward model that starts " +
    "out wrong is over-optimised when frozen and corrected when it keeps learning.",
  environment:
    "20 tokens over 4 symbols, right when symbol 0 stands at positions 3, 9 and 15 (logit +1 there at the start). " +
    "Policy and implicit model by position; 4 groups of 4, rates 0.3 and 20, beta 0.5, 120 updates, until exact " +
    "success is 0.8.",
  baseline: "prime with rm_coef 0 (outcome only); a frozen implicit model",
  seeds: 8,
  trial,
  findings: (summary) => [
    atMost(summary, "updates against outcome only", 0.85),
    atLeast(summary, "pair accuracy, prime", 0.9),
    atMost(summary, "largest success, biased, frozen", 0.2, { kind: "limit" }),
    atMost(summary, "final success, biased, frozen", 0.05),
    {
      expected: "biased but learning online: 0.8 is reached as fast as without the bias (medians within 20 %)",
      measured:
        `${medianOf(summary, "biased, online")} against ${medianOf(summary, "prime")} updates, ` +
        `final success ${summary.text("final success, biased, online")}`,
      holds: medianOf(summary, "biased, online") <= 1.2 * medianOf(summary, "prime"),
      kind: "claim",
    },
  ],
  plots: [
    { kind: "lines", title: "Exact success", x: "update", y: "success", curves: names },
    {
      kind: "bars",
      title: "Updates to success 0.8 (at most 120)",
      y: "updates",
      measures: names.map((name) => `updates, ${name}`),
    },
  ],
  notes:
    "Pair accuracy is measured on 200 sequences of the starting policy. Token rewards come from before the model's " +
    "step (update: after).",
};
