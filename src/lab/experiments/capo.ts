import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { against, atLeast, atMost } from "./bounds.ts";
import { tailMean } from "./decisions.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const steps = 6;
/** Right, wrong but harmless, harmful, harmful. */
const options = 4;
const groupSize = 8;
const rollouts = 4 * groupSize;
const rate = 0.3;

interface Arm {
  critiques: number;
  flip: number;
  params: Readonly<Record<string, number | string>>;
}

const arms: Readonly<Record<string, Arm>> = {
  "outcome only": { critiques: 4, flip: 0.15, params: { w_process: 0 } },
  intersection: { critiques: 4, flip: 0.15, params: { vote_rule: "intersection" } },
  majority: { critiques: 4, flip: 0.15, params: { vote_rule: "majority" } },
  "one poor critique": { critiques: 1, flip: 0.35, params: { vote_rule: "majority" } },
  "majority of nine poor critiques": { critiques: 9, flip: 0.35, params: { vote_rule: "majority" } },
};

/** Share of wrong steps and success in every update. */
function train(
  { critiques, flip, params }: Arm,
  seed: number,
  updates: number,
): { wrong: number[]; success: number[] } {
  const random = new Random(seed);
  const policy = new SoftmaxTable(steps, options);
  const end = Array.from({ length: steps }, (_, k) => k + 1);
  const wrong: number[] = [];
  const success: number[] = [];
  for (let update = 0; update < updates; update++) {
    const chosen = Array.from({ length: rollouts }, () =>
      Array.from({ length: steps }, (_, k) => policy.sample(k, random)),
    );
    const objects = chosen.map((row, i) => {
      const votes = Array.from({ length: critiques }, (_, j) => [
        `critique_${j + 1}`,
        row.map((a) => ((a !== 0) !== random.uniform() < flip ? 1 : 0)),
      ]);
      return {
        id: `r${i}`,
        group: `g${Math.floor(i / groupSize)}`,
        reward: row.every((a) => a < 2) ? 1 : 0,
        tokens: { id: row },
        steps: { end, ...Object.fromEntries(votes) },
      };
    });
    const advantage = assign(batchFromObjects(objects), "capo", params).numbers("tokens.advantage");
    chosen.forEach((row, i) => {
      row.forEach((a, k) => {
        policy.accumulate(k, a, advantage[i * steps + k] / rollouts);
      });
    });
    policy.ascend(rate);
    wrong.push(chosen.reduce((sum, row) => sum + row.filter((a) => a !== 0).length, 0) / (rollouts * steps));
    success.push(objects.reduce((sum, { reward }) => sum + reward, 0) / rollouts);
  }
  return { wrong, success };
}

/** First update at which the mean success of three updates is 0.8. */
function reached(success: readonly number[]): number {
  for (let t = 2; t < success.length; t++) if (tailMean(success.slice(0, t + 1), 3) >= 0.8) return t + 1;
  return success.length;
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const [name, arm] of Object.entries(arms)) {
    const { wrong, success } = train(arm, seed, scale === "full" ? 150 : 6);
    measures[`wrong steps, ${name}`] = tailMean(wrong, 20);
    measures[`success, ${name}`] = tailMean(success, 20);
    measures[`updates to success 0.8, ${name}`] = reached(success);
    curves[name] = wrong;
  }
  return { measures, curves };
}

/** Updates with one critique and with nine, both of a poor judge. */
const poor = ["one poor critique", "majority of nine poor critiques"].map((name) => `updates to success 0.8, ${name}`);

function votingGain(summary: Summary): number {
  const [one, nine] = poor.map((name) => summary.mean(name));
  return one / nine;
}

/** Steps that are wrong but do no harm: outcomes cannot see them, critics can; and many critics are better than one. */
export const experiment: Experiment = {
  id: "capo",
  version: 1,
  claim:
    "The outcome cannot remove wrong steps that do no harm; critiques of steps can, and voting makes up for poor " +
    "critics.",
  environment:
    "6 steps: right, wrong but harmless, or harmful (two of four options); outcome 1 without a harmful step. Tabular " +
    "softmax, 4 groups of 8, rate 0.3, 150 updates. The judge errs on a verdict with probability 0.15 (four " +
    "critiques) or 0.35.",
  baseline: "capo with w_process 0; one critique",
  seeds: 6,
  trial,
  findings: (summary) => [
    atLeast(summary, "wrong steps, outcome only", 0.4, { over: "mean" }),
    ...["intersection", "majority"].flatMap((name) => [
      atMost(summary, `wrong steps, ${name}`, 0.05, { over: "mean" }),
      atLeast(summary, `success, ${name}`, 0.9, { over: "mean" }),
    ]),
    {
      expected: "critics that err at 0.35: one critique needs at least 1.2 times the updates of a majority of nine",
      measured: `${against(summary, poor[0], poor[1], 1)}, ratio ${votingGain(summary).toFixed(2)}`,
      holds: votingGain(summary) >= 1.2,
      kind: "claim",
    },
  ],
  plots: [
    {
      kind: "lines",
      title: "Share of wrong steps",
      x: "update",
      y: "share",
      curves: ["outcome only", "intersection", "majority"],
    },
    {
      kind: "bars",
      title: "Updates to success 0.8, judge wrong 35 % of the time",
      y: "updates",
      measures: poor,
    },
  ],
};
