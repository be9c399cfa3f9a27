import { assign } from "../../methods/assign.ts";
import { mcValue } from "../../methods/tree/vineppo.ts";
import { cosine } from "../../operators/vectors.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { allRight, continuations, logitOf } from "./decision-chain.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const decisions = 5;
const actions = 4;
const size = 8;
const rows = Array.from({ length: decisions }, (_, t) => t);
const startLogit = logitOf(0.014, decisions, actions);
const rate = 1;
const goal = 0.8;
const mostUpdates = 600;
const startBatches = 200;

function startingPolicy(): SoftmaxTable {
  const logits = new Float64Array(decisions * actions);
  for (const row of rows) logits[row * actions] = startLogit;
  return new SoftmaxTable(decisions, actions, logits);
}

/** One group, with the values that VinePPO measures when `samples` is not 0. */
function sampleGroup(policy: SoftmaxTable, samples: number, random: Random) {
  const value = (from: number, right: boolean) =>
    mcValue({ rewards: continuations(policy, rows.slice(from), right, samples, random) });
  const root = samples > 0 ? value(0, true) : 0;
  return Array.from({ length: size }, (_, i) => {
    const taken = rows.map((row) => policy.sample(row, random));
    const firstWrong = taken.findIndex((a) => a !== 0);
    const right = (t: number) => firstWrong < 0 || t < firstWrong;
    const end = rows.map((t) => t + 1);
    const steps =
      samples > 0 ? { end, mc_value: rows.map((t) => (t + 1 < decisions ? value(t + 1, right(t)) : null)) } : { end };
    return {
      id: `${i}`,
      group: "g",
      reward: firstWrong < 0 ? 1 : 0,
      signals: { mc_value_0: root },
      tokens: { id: taken },
      steps,
    };
  });
}

/** Gathers the mean, over the rollouts of one group, of the sum over steps. */
function gather(policy: SoftmaxTable, samples: number, random: Random): void {
  const rollouts = sampleGroup(policy, samples, random);
  const batch = batchFromObjects(rollouts);
  const credited = samples > 0 ? assign(batch, "vineppo", { whiten_advantage: false }) : assign(batch, "dr-grpo");
  const advantage = credited.numbers("tokens.advantage");
  rollouts.forEach(({ tokens }, i) => {
    for (const row of rows) policy.accumulate(row, tokens.id[row], advantage[i * decisions + row] / size);
  });
}

/** Exact gradient of the success. */
function exactGradient(policy: SoftmaxTable): Float64Array {
  const exact = policy.copy();
  const success = allRight(policy, rows);
  for (const row of rows) exact.accumulate(row, 0, success);
  return exact.gradient.slice();
}

function train(samples: number, most: number, seed: number): { updates: number; curve: number[] } {
  const policy = startingPolicy();
  const random = new Random(seed);
  const curve: number[] = [];
  let updates = most;
  for (let update = 0; update < most; update++) {
    const success = allRight(policy, rows);
    if (curve.length < 150) curve.push(success);
    if (success >= goal) {
      updates = update;
      break;
    }
    gather(policy, samples, random);
    policy.ascend(rate);
  }
  while (curve.length < 150) curve.push(curve[curve.length - 1]);
  return { updates, curve };
}

/** At the start: share of groups without any gradient, and mean cosine of the others with the exact one. */
function atStart(samples: number, batches: number, seed: number): { zero: number; cosine: number } {
  const policy = startingPolicy();
  const exact = exactGradient(policy);
  const random = new Random(seed + 1000);
  let zero = 0;
  let total = 0;
  for (let b = 0; b < batches; b++) {
    gather(policy, samples, random);
    if (policy.gradient.every((x) => x === 0)) zero++;
    else total += cosine(policy.gradient, exact);
    policy.gradient.fill(0);
  }
  return { zero: zero / batches, cosine: zero === batches ? 0 : total / (batches - zero) };
}

function trial(seed: number, scale: Scale): Trial {
  const full = scale === "full";
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const samples of [0, 1, 3, 9, 27]) {
    const name = samples === 0 ? "mean-centred" : `VinePPO, K = ${samples}`;
    const { updates, curve } = train(samples, full ? mostUpdates : 10, seed);
    measures[`${name}: updates`] = updates;
    if (samples !== 0 && samples !== 9) continue;
    curves[name] = curve;
    const { zero, cosine } = atStart(samples, full ? startBatches : 10, seed);
    measures[`${name}: zero gradients`] = zero;
    measures[`${name}: cosine`] = cosine;
  }
  return { measures, curves };
}

/** Measured values of every prefix: groups without a success still teach something. */
export const experiment: Experiment = {
  id: "vineppo",
  version: 1,
  claim:
    "Values measured after every step need fewer updates than the mean-centred outcome, because a group without any " +
    "success still has a gradient.",
  environment:
    "A chain of 5 decisions with 4 actions (one row of logits each), reward 1 when all are right, success 0.014 at " +
    "the start; groups of 8, one per update, K = 9 continuations, plain gradient of rate 1, until the exact success " +
    "is 0.8.",
  baseline: "dr-grpo (mean-centred outcome)",
  seeds: 30,
  trial,
  findings: (summary) => {
    const updates = (samples: number) => `VinePPO, K = ${samples}: updates`;
    const ratio = summary.mean(updates(9)) / summary.mean("mean-centred: updates");
    const budgets = [1, 3, 9, 27].map((samples) => summary.mean(updates(samples)));
    return [
      {
        expected: "VinePPO needs at most 0.9 times the updates",
        measured: `${summary.text(updates(9), 1)} against ${summary.text("mean-centred: updates", 1)}, ratio ${ratio.toFixed(2)}`,
        holds: ratio <= 0.9,
        kind: "claim",
      },
      {
        expected:
          "groups with zero gradient at the start: at least 0.85 mean-centred, at most 0.2 with measured values",
        measured: `${summary.text("mean-centred: zero gradients")} and ${summary.text("VinePPO, K = 9: zero gradients")}`,
        holds:
          summary.mean("mean-centred: zero gradients") >= 0.85 && summary.mean("VinePPO, K = 9: zero gradients") <= 0.2,
        kind: "claim",
      },
      {
        expected: "when a mean-centred group is alive its gradient is better aligned (0.85 against 0.70 in the card)",
        measured: `cosine ${summary.text("mean-centred: cosine")} against ${summary.text("VinePPO, K = 9: cosine")}`,
        holds: summary.mean("mean-centred: cosine") > summary.mean("VinePPO, K = 9: cosine"),
        kind: "limit",
      },
      {
        expected: "K = 1, 3, 9, 27 need about the same updates (within 15 % of one another)",
        measured: budgets.map((x) => x.toFixed(1)).join(" / "),
        holds: Math.max(...budgets) <= 1.15 * Math.min(...budgets),
        kind: "limit",
      },
    ];
  },
  plots: [
    {
      kind: "lines",
      title: "Success while training",
      x: "update",
      y: "exact success",
      curves: ["mean-centred", "VinePPO, K = 9"],
    },
    {
      kind: "bars",
      title: "Updates to success 0.8",
      y: "updates",
      measures: ["mean-centred: updates", ...[1, 3, 9, 27].map((samples) => `VinePPO, K = ${samples}: updates`)],
    },
  ],
  notes:
    "Advantages are not whitened (the plain gradient of the card); the value of the prompt is measured once per group.",
};
