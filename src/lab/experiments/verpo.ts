import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const slots = 4;
const options = 6;
const groupSize = 16;
const mostLogit = Math.log(0.98 / 0.02);

/** Tests 0 to 5 always pass, 6 to 25 when the program is simple or finished, 26 to 29 by the leading right slots. */
function passed(advanced: boolean, choices: readonly number[]): number[] {
  const wrong = choices.findIndex((choice) => choice !== 0);
  const right = advanced ? (wrong < 0 ? slots : wrong) : 0;
  const plain = !advanced || right === slots ? 1 : 0;
  return Array.from({ length: 30 }, (_, j) => (j < 6 ? 1 : j < 26 ? plain : right > j - 26 ? 1 : 0));
}

const arms = {
  density: {},
  difficulty: { weighting: "difficulty" },
  uniform: { weighting: "uniform" },
  "outcome only": { local_weight: 0 },
  "local only": { global_weight: 0 },
} as const;
type Arm = keyof typeof arms;
const armNames = Object.keys(arms) as Arm[];

/** Probability of passing all tests, before each update and at the end. */
function train(arm: Arm, seed: number, updates: number): number[] {
  const random = new Random(seed);
  const style = new SoftmaxTable(1, 2);
  const policy = new SoftmaxTable(slots, options);
  const curve: number[] = [];
  for (let update = 0; update < updates; update++) {
    const programs = Array.from({ length: groupSize }, () => {
      const advanced = style.sample(0, random) === 1;
      const choices = advanced ? Array.from({ length: slots }, (_, k) => policy.sample(k, random)) : [];
      return { advanced, choices };
    });
    const rollouts = programs.map(({ advanced, choices }, i) => ({
      id: `r${i}`,
      group: "g",
      turns: { tests_passed: [passed(advanced, choices)] },
    }));
    const advantage = assign(batchFromObjects(rollouts), "verpo", arms[arm]).numbers("turns.advantage");
    programs.forEach(({ advanced, choices }, i) => {
      const weight = advantage[i] / groupSize;
      style.accumulate(0, advanced ? 1 : 0, weight);
      choices.forEach((choice, k) => {
        policy.accumulate(k, choice, weight);
      });
    });
    // One logit is trained: the other stays, so that two do not move apart twice as fast.
    style.gradient[0] = 0;
    style.ascend(1);
    style.logits[1] = Math.min(Math.max(style.logits[1], -mostLogit), mostLogit);
    style.changed();
    policy.ascend(1);
    let all = style.probability(0, 1);
    for (let k = 0; k < slots; k++) all *= policy.probability(k, 0);
    curve.push(all);
  }
  return curve;
}

function trial(seed: number, scale: Scale): Trial {
  const updates = scale === "full" ? 400 : 20;
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const arm of armNames) {
    const curve = train(arm, seed, updates);
    measures[`all tests pass: ${arm}`] = curve[updates - 1];
    curves[arm] = curve.filter((_, t) => t % 4 === 0);
  }
  return { measures, curves };
}

/** Tests that are equally easy count once together: a few hard ones are not outvoted. */
export const experiment: Experiment = {
  id: "verpo",
  version: 1,
  claim:
    "Weighting tests by rarity and density lets a few hard tests outweigh many easy ones that an unfinished program " +
    "breaks.",
  environment:
    "30 tests: 6 always pass, 20 break while the advanced program is unfinished, 4 need the first 1, 2, 3, 4 of 4 " +
    "hidden slots with 6 options. P(advanced) from 0.5, kept in [0.02, 0.98]; one turn, groups of 16, rate 1, 400 " +
    "updates.",
  baseline: "verpo with uniform or difficulty weights, with the outcome only, with the local reward only",
  seeds: 10,
  trial,
  findings: (summary) => [
    atLeast(summary, "all tests pass: density", 0.9),
    atMost(summary, "all tests pass: uniform", 0.05),
    atMost(summary, "all tests pass: difficulty", 0.05),
    atMost(summary, "all tests pass: outcome only", 0.1, { over: "mean" }),
    atLeast(summary, "all tests pass: local only", 0.6, { over: "mean" }),
    atMost(summary, "all tests pass: local only", 0.9, { over: "mean" }),
  ],
  plots: [
    {
      kind: "lines",
      title: "Probability that all tests pass",
      x: "update",
      y: "probability",
      curves: armNames,
      every: 4,
    },
  ],
};
