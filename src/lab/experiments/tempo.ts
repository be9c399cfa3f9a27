import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

/** P(reward = 1) by the ids at the two places that decide. */
const success = [
  [0.9, 0.5, 0.3],
  [0.6, 0.3, 0.1],
  [0.3, 0.1, 0.05],
];
const length = 8;
const ids = 3;
const deciding = [1, 4] as const;
const rate = 0.15;
const mostUpdates = 400;

/** Uniform at the two deciding places, logit 4 on one id at the others. */
function startingPolicy(): SoftmaxTable {
  const logits = new Float64Array(length * ids);
  for (let t = 0; t < length; t++) if (t !== deciding[0] && t !== deciding[1]) logits[t * ids] = 4;
  return new SoftmaxTable(length, ids, logits);
}

/** Expected reward of the policy, and its gradient by the logits. */
function exact(policy: SoftmaxTable): { value: number; gradient: Float64Array } {
  const [first, second] = deciding.map((t) => policy.probabilities(t));
  const gradient = new Float64Array(length * ids);
  let value = 0;
  for (let a = 0; a < ids; a++) for (let b = 0; b < ids; b++) value += first[a] * second[b] * success[a][b];
  for (let a = 0; a < ids; a++) {
    let row = 0;
    let column = 0;
    for (let b = 0; b < ids; b++) {
      row += second[b] * success[a][b];
      column += first[b] * success[b][a];
    }
    gradient[deciding[0] * ids + a] = first[a] * (row - value);
    gradient[deciding[1] * ids + a] = second[a] * (column - value);
  }
  return { value, gradient };
}

const norm = (v: Float64Array) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

function cosine(a: Float64Array, b: Float64Array): number {
  const size = norm(a) * norm(b);
  return size === 0 ? 0 : a.reduce((sum, x, k) => sum + x * b[k], 0) / size;
}

/** Samples one group, credits it, and gathers the policy gradient: the mean over rollouts of the sum over tokens. */
function gather(policy: SoftmaxTable, method: string, groupSize: number, random: Random): void {
  const rollouts = Array.from({ length: groupSize }, (_, i) => {
    const id = Array.from({ length }, (_, t) => policy.sample(t, random));
    const reward = random.uniform() < success[id[deciding[0]]][id[deciding[1]]] ? 1 : 0;
    return { id: `r${i}`, group: "g", reward, tokens: { id } };
  });
  const advantage = assign(batchFromObjects(rollouts), method).numbers("tokens.advantage");
  rollouts.forEach(({ tokens }, i) => {
    for (let t = 0; t < length; t++) policy.accumulate(t, tokens.id[t], advantage[i * length + t] / groupSize);
  });
}

interface Run {
  updates: number;
  curve: number[];
  cosine: number;
}

function train(method: string, groupSize: number, unitLength: boolean, seed: number, most: number): Run {
  const policy = startingPolicy();
  const random = new Random(seed);
  const curve: number[] = [];
  const cosines: number[] = [];
  let updates = most;
  for (let update = 0; update < most; update++) {
    const { value, gradient } = exact(policy);
    if (curve.length < 100) curve.push(value);
    if (value >= 0.7) {
      updates = Math.min(updates, update);
      if (curve.length >= 100) break;
    }
    gather(policy, method, groupSize, random);
    const size = norm(policy.gradient);
    if (size > 0 && updates === most) cosines.push(cosine(policy.gradient, gradient));
    policy.ascend(unitLength && size > 0 ? rate / size : rate);
  }
  return { updates, curve, cosine: cosines.reduce((sum, c) => sum + c, 0) / Math.max(cosines.length, 1) };
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  const most = scale === "full" ? mostUpdates : 100;
  for (const method of ["grpo", "tempo"]) {
    for (const size of scale === "full" ? [4, 8, 16] : [8]) {
      const run = train(method, size, false, seed, most);
      measures[`${method} updates, G = ${size}`] = run.updates;
      if (size !== 8) continue;
      measures[`${method} cosine`] = run.cosine;
      curves[method] = run.curve;
    }
    measures[`${method} updates, unit length`] = train(method, 8, true, seed, most).updates;
  }
  return { measures, curves };
}

function ratio(summary: Summary, what: string): number {
  return summary.mean(`tempo ${what}`) / summary.mean(`grpo ${what}`);
}

/** Branch tokens get credit of their own: fewer updates than with one advantage for the whole response. */
export const experiment: Experiment = {
  id: "tempo",
  version: 1,
  claim: "Temporal differences on the prefix tree of a group learn in fewer updates than one advantage per response.",
  environment:
    "8 tokens of 3 ids; tokens 1 and 4 decide the chance of the reward, the others are near-deterministic. One row of " +
    "logits per position, plain policy gradient with rate 0.15, one group per update, until the exact success is 0.7.",
  baseline: "grpo",
  seeds: 30,
  trial,
  findings: (summary) => [
    ...[4, 8, 16].map((size) => ({
      expected: `G = ${size}: TEMPO needs at most 0.65 times the updates of GRPO`,
      measured: `${summary.text(`tempo updates, G = ${size}`, 1)} against ${summary.text(`grpo updates, G = ${size}`, 1)}, ratio ${ratio(summary, `updates, G = ${size}`).toFixed(2)}`,
      holds: ratio(summary, `updates, G = ${size}`) <= 0.65,
      kind: "claim" as const,
    })),
    {
      expected: "with gradients of unit length the two are within 10 %",
      measured: `${summary.text("tempo updates, unit length", 1)} against ${summary.text("grpo updates, unit length", 1)}`,
      holds: Math.abs(ratio(summary, "updates, unit length") - 1) <= 0.1,
      kind: "limit" as const,
    },
    {
      expected: "the cosine with the exact gradient rises only a little (by less than 0.05)",
      measured: `${summary.text("tempo cosine", 3)} against ${summary.text("grpo cosine", 3)}`,
      holds: summary.mean("tempo cosine") - summary.mean("grpo cosine") < 0.05,
      kind: "limit" as const,
    },
  ],
  plots: [
    {
      kind: "lines",
      title: "Success while training, G = 8",
      x: "update",
      y: "exact success",
      curves: ["grpo", "tempo"],
    },
    {
      kind: "bars",
      title: "Updates to success 0.7",
      y: "updates",
      measures: [
        "grpo updates, G = 8",
        "tempo updates, G = 8",
        "grpo updates, unit length",
        "tempo updates, unit length",
      ],
    },
  ],
};
