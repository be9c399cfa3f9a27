import { assign } from "../../methods/assign.ts";
import { finBestOfN } from "../../methods/process/fin-prm.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { gaussian } from "../gaussian.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Summary, Trial } from "./experiment.ts";

const candidates = 16;
const selectors = ["joint", "steps only", "trajectory only", "majority vote"] as const;

const noisy = (mean: number, deviation: number, random: Random) =>
  Math.min(Math.max(mean + deviation * gaussian(random), 0), 1);

interface Trace {
  answer: number;
  steps: number[];
  trajectory: number;
}

/** A trace of four steps; option 0 is right, option 1 the one that wrong traces fall for. */
function drawTrace(soundness: number, random: Random): Trace {
  const sound = Array.from({ length: 4 }, () => random.uniform() < soundness);
  const all = sound.every((x) => x);
  const answer = all && random.uniform() < 0.95 ? 0 : random.choose([0.25, 0.45, 0.15, 0.15]);
  return {
    answer,
    steps: sound.map((x) => noisy(x ? 0.7 : 0.35, 0.2, random)),
    trajectory: noisy(answer === 0 ? 0.62 : 0.42, 0.2, random),
  };
}

/** The most frequent answer; the lowest option on ties. */
function vote(traces: readonly Trace[]): number {
  const votes = [0, 0, 0, 0];
  for (const { answer } of traces) votes[answer]++;
  return votes.indexOf(Math.max(...votes));
}

function select(questions: number, seed: number): Record<string, number> {
  const random = new Random(seed);
  const right: Record<string, number> = {};
  for (const name of selectors) right[name] = 0;
  for (let n = 0; n < questions; n++) {
    const soundness = 0.4 + 0.4 * random.uniform();
    const traces = Array.from({ length: candidates }, () => drawTrace(soundness, random));
    const stepScores = traces.map((trace) => trace.steps);
    const traj = traces.map(({ trajectory }) => trajectory);
    const best = {
      joint: finBestOfN({ steps: stepScores, traj }),
      "steps only": finBestOfN({ steps: stepScores, traj, alpha: 0 }),
      "trajectory only": finBestOfN({ steps: traces.map(() => []), traj }),
    };
    for (const [name, index] of Object.entries(best)) if (index !== null && traces[index].answer === 0) right[name]++;
    if (vote(traces) === 0) right["majority vote"]++;
  }
  return Object.fromEntries(selectors.map((name) => [`right of 16, ${name}`, right[name] / questions]));
}

const steps = 3;
const groupSize = 6;

/** Probability that all steps are sound, before every update and at the end. */
function train(processWeight: number, seed: number, updates: number): number[] {
  const random = new Random(seed);
  const policy = new SoftmaxTable(steps, 3);
  const sound = () => policy.probability(0, 0) * policy.probability(1, 0) * policy.probability(2, 0);
  const curve = [sound()];
  for (let update = 0; update < updates; update++) {
    const chosen = Array.from({ length: groupSize }, () =>
      Array.from({ length: steps }, (_, k) => policy.sample(k, random)),
    );
    const rollouts = chosen.map((row, i) => {
      const outcome = row.every((a) => a === 0) || random.uniform() < 0.7 ? 1 : 0;
      return {
        id: `r${i}`,
        group: "g",
        rewards: { outcome, trajectory: noisy(outcome === 1 ? 0.75 : 0.3, 0.15, random) },
        steps: { prm: row.map((a) => noisy(a === 0 ? 0.75 : 0.3, 0.15, random)) },
      };
    });
    const credit = assign(batchFromObjects(rollouts), "fin-prm", { process_weight: processWeight });
    const advantage = credit.numbers("rollout.advantage");
    chosen.forEach((row, i) => {
      row.forEach((a, k) => {
        policy.accumulate(k, a, advantage[i] / groupSize);
      });
    });
    policy.ascend(0.5);
    curve.push(sound());
  }
  return curve;
}

function trial(seed: number, scale: Scale): Trial {
  const full = scale === "full";
  const measures: Record<string, number> = select(full ? 400 : 20, seed);
  const curves: Record<string, number[]> = {};
  for (const delta of [0.5, 0]) {
    const curve = train(delta, seed, full ? 150 : 10);
    measures[`sound traces, delta ${delta}`] = curve[curve.length - 1];
    curves[`delta ${delta}`] = curve;
  }
  return { measures, curves };
}

function findings(summary: Summary) {
  const [joint, byStep, byTrajectory, majority] = selectors.map((name) => summary.mean(`right of 16, ${name}`));
  return [
    atLeast(summary, "right of 16, joint", 0.72, { over: "mean" }),
    atLeast(summary, "right of 16, steps only", 0.55, { over: "mean" }),
    atMost(summary, "right of 16, majority vote", 0.52, { over: "mean" }),
    {
      expected:
        "joint is above steps only, steps only above the majority vote, and trajectory only in between joint and " +
        "steps",
      measured: selectors.map((name) => `${name} ${summary.text(`right of 16, ${name}`)}`).join(", "),
      holds: joint > byTrajectory && byTrajectory > byStep && byStep > majority,
      kind: "claim" as const,
    },
    atLeast(summary, "sound traces, delta 0.5", 0.93, { over: "mean" }),
    atMost(summary, "sound traces, delta 0", 0.88, { over: "mean" }),
  ];
}

/**
 * One score per step and one per trajectory rank traces better than either, and keep lucky guesses from being
 * learned.
 */
export const experiment: Experiment = {
  id: "fin-prm",
  version: 1,
  claim:
    "Step and trajectory scores together pick better answers than either or a vote, and shape rewards against lucky " +
    "guesses.",
  environment:
    "(a) 400 questions of 4 options, 16 traces of 4 steps, wrong traces mostly fall for one option; noisy step and " +
    "trajectory scores. (b) 3 steps with 3 options, unsound traces score outcome 1 with 0.7; GRPO with G = 6, rate " +
    "0.5, 150 updates.",
  baseline: "majority vote; step or trajectory scores alone; fin-prm with process_weight 0",
  seeds: 5,
  trial,
  findings,
  plots: [
    {
      kind: "bars",
      title: "Best of 16: share of right answers",
      y: "share",
      measures: selectors.map((name) => `right of 16, ${name}`),
    },
    {
      kind: "lines",
      title: "Probability of an all-sound trace",
      x: "update",
      y: "probability",
      curves: ["delta 0.5", "delta 0"],
    },
  ],
  notes:
    "Trajectory scores follow the outcome, on which they are trained; with lucky guesses they are as wrong as it is.",
};
