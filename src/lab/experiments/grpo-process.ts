import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { median } from "./bounds.ts";
import type { Experiment, Finding, Scale, Summary, Trial } from "./experiment.ts";

const actions = 4;
const groupSize = 8;
const lengths = [4, 8] as const;
const methods = ["grpo-process", "grpo"] as const;
const mostUpdates = 3000;

function train(method: string, length: number, seed: number, most: number): { updates: number; curve: number[] } {
  const random = new Random(seed);
  const policy = new SoftmaxTable(length, actions);
  const end = Array.from({ length }, (_, k) => k + 1);
  const curve: number[] = [];
  for (let update = 0; update < most; update++) {
    let success = 1;
    for (let k = 0; k < length; k++) success *= policy.probability(k, 0);
    curve.push(success);
    if (success >= 0.8) return { updates: update, curve };
    const chosen = Array.from({ length: groupSize }, () => Array.from({ length }, (_, k) => policy.sample(k, random)));
    const rollouts = chosen.map((row, i) => ({
      id: `r${i}`,
      group: "g",
      reward: row.every((a) => a === 0) ? 1 : 0,
      tokens: { id: row },
      steps: { end, prm: row.map((a) => (a === 0 ? 1 : 0) + 0.1 * gaussian(random)) },
    }));
    const advantage = assign(batchFromObjects(rollouts), method).numbers("tokens.advantage");
    chosen.forEach((row, i) => {
      row.forEach((action, k) => {
        policy.accumulate(k, action, advantage[i * length + k] / (length * groupSize));
      });
    });
    policy.ascend(0.5);
  }
  return { updates: most, curve };
}

function trial(seed: number, scale: Scale): Trial {
  const most = scale === "full" ? mostUpdates : 40;
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const method of methods) {
    for (const length of lengths) {
      const { updates, curve } = train(method, length, seed, most);
      measures[`updates of ${method}, ${length} steps`] = updates;
      if (length === 4) {
        const last = curve[curve.length - 1];
        curves[method] = Array.from({ length: 150 }, (_, k) => curve[4 * k] ?? last);
      }
    }
  }
  return { measures, curves };
}

function ratioFinding(summary: Summary, length: number): Finding {
  const [process, outcome] = methods.map((method) => median(summary.values(`updates of ${method}, ${length} steps`)));
  return {
    expected: `${length} steps: process supervision needs at most 0.3 times the updates of the outcome (medians)`,
    measured:
      `${process} against ${outcome}${outcome >= mostUpdates ? " or more" : ""}, ` +
      `ratio ${(process / outcome).toFixed(2)}`,
    holds: process / outcome <= 0.3,
    kind: "claim",
  };
}

/** Scores of steps, normalised over the group and summed from the step on, against one outcome per response. */
export const experiment: Experiment = {
  id: "grpo-process",
  version: 1,
  claim:
    "Group-relative process supervision learns a chain of decisions in far fewer updates than outcome supervision.",
  environment:
    "4 or 8 decisions with 4 actions, one right each; outcome 1 when all are right, step score right or wrong plus " +
    "N(0, 0.1²). Tabular softmax, one group of 8 per update, rate 0.5 on advantages divided by the steps, until " +
    "success is 0.8.",
  baseline: "grpo",
  seeds: 7,
  trial,
  findings: (summary) => lengths.map((length) => ratioFinding(summary, length)),
  plots: [
    { kind: "lines", title: "Exact success, 4 steps", x: "update", y: "success", curves: [...methods], every: 4 },
    {
      kind: "bars",
      title: "Updates to success 0.8 (at most 3000)",
      y: "updates",
      measures: lengths.flatMap((length) => methods.map((method) => `updates of ${method}, ${length} steps`)),
    },
  ],
  notes: "Up to 3000 updates are allowed, so that 8 steps with the outcome alone can be compared too.",
};
