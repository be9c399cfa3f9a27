import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const problems = 60;
const judgedSteps = 6;
const rounds = 3;
const updates = 150;
const rate = 60;
const beta = 0.5;

/** Kinds of trajectories: how likely at first, whether the solver accepts them, how likely the judge accepts a step. */
const kinds = [
  { name: "sound", share: 0.2, outcome: 1, accepted: 0.9 },
  { name: "lucky", share: 0.4, outcome: 1, accepted: 0.5 },
  { name: "wrong", share: 0.4, outcome: 0, accepted: 0.3 },
] as const;

interface Trajectory {
  problem: number;
  kind: number;
  verdicts: number[];
}

function sample(policy: SoftmaxTable, perProblem: number, random: Random): Trajectory[] {
  return Array.from({ length: problems * perProblem }, (_, i) => {
    const problem = Math.floor(i / perProblem);
    const kind = policy.sample(problem, random);
    const verdicts = Array.from({ length: judgedSteps }, () => (random.uniform() < kinds[kind].accepted ? 1 : 0));
    return { problem, kind, verdicts };
  });
}

/** One full-batch step of weighted DPO: the coefficients of the method, at the policy's present log-probabilities. */
function update(policy: SoftmaxTable, trajectories: readonly Trajectory[], useProcess: boolean): void {
  const rollouts = trajectories.map(({ problem, kind, verdicts }, i) => ({
    id: `r${i}`,
    group: `${problem}`,
    reward: kinds[kind].outcome,
    tokens: { id: [kind], logprob: [policy.logProbability(problem, kind)] },
    steps: { prm: verdicts },
  }));
  const credited = assign(batchFromObjects(rollouts), "step-orlm", { beta, use_process: useProcess });
  const coefficient = credited.numbers("rollout.advantage");
  trajectories.forEach(({ problem, kind }, i) => {
    policy.accumulate(problem, kind, coefficient[i]);
  });
  policy.ascend(rate);
}

/** Share of each kind after all rounds, averaged over problems. */
function train(useProcess: boolean, perProblem: number, steps: number, seed: number) {
  const start = Array.from({ length: problems }, () => kinds.map(({ share }) => Math.log(share))).flat();
  const policy = new SoftmaxTable(problems, kinds.length, start);
  const random = new Random(seed);
  const shareOf = (kind: number) =>
    Array.from({ length: problems }, (_, p) => policy.probability(p, kind)).reduce((sum, x) => sum + x, 0) / problems;
  const curve: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const trajectories = sample(policy, perProblem, random);
    for (let step = 0; step < steps; step++) {
      if (step % 10 === 0) curve.push(shareOf(0));
      update(policy, trajectories, useProcess);
    }
  }
  return { shares: kinds.map((_, kind) => shareOf(kind)), curve };
}

const arms = { "W-DPO": true, "solver only": false } as const;

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  const steps = scale === "full" ? updates : 10;
  for (const [arm, useProcess] of Object.entries(arms)) {
    const { shares, curve } = train(useProcess, 4, steps, seed);
    kinds.forEach(({ name }, kind) => {
      measures[`${arm}, ${name}`] = shares[kind];
    });
    curves[arm] = curve;
    measures[`${arm}, sound, k = 8`] = train(useProcess, 8, steps, seed).shares[0];
  }
  return { measures, curves };
}

/** Step verdicts tell sound solutions from lucky ones, which the solver's outcome cannot. */
export const experiment: Experiment = {
  id: "step-orlm",
  version: 1,
  claim:
    "Preference pairs weighted by the judge's step scores make sound trajectories win; pairs by the solver's outcome " +
    "alone raise the lucky ones, which have flawed steps and a right result.",
  environment:
    "60 problems, three kinds of trajectories: sound (0.2), lucky (0.4, the solver accepts them), wrong (0.4). The " +
    "judge accepts each of 6 steps with 0.9, 0.5 and 0.3. 3 rounds, 4 samples per problem, β 0.5, 150 full-batch " +
    "steps, rate 60.",
  baseline: "the same without step scores (use_process false)",
  seeds: 5,
  trial,
  findings: (summary) => [
    atLeast(summary, "W-DPO, sound", 0.55),
    atMost(summary, "solver only, sound", 0.4),
    atMost(summary, "W-DPO, wrong", 0.02),
    atMost(summary, "solver only, wrong", 0.02),
    {
      expected: "solver only nearly doubles the lucky kind, to about 0.7 (from 0.4)",
      measured: summary.text("solver only, lucky", 3),
      holds: Math.abs(summary.mean("solver only, lucky") - 0.7) <= 0.1,
      kind: "claim",
    },
    {
      expected: "with 8 samples per problem the gap widens (0.83 against 0.27)",
      measured: `${summary.text("W-DPO, sound, k = 8", 3)} against ${summary.text("solver only, sound, k = 8", 3)}`,
      holds:
        summary.mean("W-DPO, sound, k = 8") - summary.mean("solver only, sound, k = 8") >
        summary.mean("W-DPO, sound") - summary.mean("solver only, sound"),
      kind: "claim",
    },
  ],
  plots: [
    {
      kind: "bars",
      title: "What the policy writes at the end",
      y: "share",
      measures: Object.keys(arms).flatMap((arm) => kinds.map(({ name }) => `${arm}, ${name}`)),
    },
    {
      kind: "lines",
      title: "Share of sound trajectories",
      x: "step over three rounds",
      y: "share",
      curves: Object.keys(arms),
      every: 10,
    },
  ],
};
