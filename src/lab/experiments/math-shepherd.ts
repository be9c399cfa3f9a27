import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const draws = 20_000;
const completions = [1, 2, 4, 8, 16, 32];
/** Chance that a completion succeeds: from a sound step, and by luck from a broken one. */
const sound = 0.3;
const broken = 0.05;

/** Share of steps with hard label 1, when each of `total` completions of a step succeeds with chance p. */
function labelled(p: number, total: number, count: number, random: Random): number {
  const correct = Array.from({ length: count }, () => {
    let right = 0;
    for (let k = 0; k < total; k++) if (random.uniform() < p) right++;
    return right;
  });
  const steps = { mc_correct: correct, mc_total: correct.map(() => total) };
  const batch = batchFromObjects([{ id: "r", reward: 0, steps }]);
  const label = assign(batch, "math-shepherd", { final_label: "none" }).numbers("steps.label_hard");
  let ones = 0;
  for (const one of label) ones += one;
  return ones / count;
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const count = scale === "full" ? draws : 1000;
  const measures: Record<string, number> = {};
  for (const total of completions) {
    measures[`missed, N = ${total}`] = 1 - labelled(sound, total, count, random);
    measures[`false positives, N = ${total}`] = labelled(broken, total, count, random);
  }
  return { measures };
}

/** Three standard errors of a share over all draws. */
const tolerance = (p: number, trials: number) => 3 * Math.sqrt((p * (1 - p)) / (draws * trials));

/** The errors of hard labels follow their formula, and the number of completions trades one for the other. */
export const experiment: Experiment = {
  id: "math-shepherd",
  version: 1,
  claim:
    "Hard labels miss a sound step with (1 − p)^N and call a broken one right with 1 − (1 − e)^N: more completions " +
    "lower the first error and raise the second.",
  environment:
    "20 000 steps per seed and N; completions of a sound step succeed with p = 0.3, those of a broken one by luck " +
    "with e = 0.05. Nothing is trained.",
  baseline: "the exact formulas",
  seeds: 3,
  trial,
  findings: (summary) => {
    const n = summary.trials.length;
    return [
      ...completions.flatMap((total) => {
        const expectations = [
          { name: "missed", exact: (1 - sound) ** total },
          { name: "false positives", exact: 1 - (1 - broken) ** total },
        ];
        return expectations.map(({ name, exact }) => ({
          expected: `${name}, N = ${total}: ${(100 * exact).toFixed(2)} % (within three standard errors)`,
          measured: `${(100 * summary.mean(`${name}, N = ${total}`)).toFixed(2)} %`,
          holds: Math.abs(summary.mean(`${name}, N = ${total}`) - exact) <= tolerance(exact, n) + 1e-12,
          kind: "claim" as const,
        }));
      }),
    ];
  },
  plots: [
    {
      kind: "bars",
      title: "Label errors by number of completions",
      y: "share",
      measures: completions.flatMap((total) => [`missed, N = ${total}`, `false positives, N = ${total}`]),
    },
  ],
  notes: "The card checks N = 8 (5.8 % and 33.7 %); the other N show the trade.",
};
