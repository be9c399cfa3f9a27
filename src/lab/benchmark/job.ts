import { exactGradient } from "../exact/gradient.ts";
import { Random } from "../random.ts";
import { Bench, creditGradient } from "./apply.ts";
import type { Entry } from "./entries.ts";
import { type CreditLevel, fidelityOf } from "./fidelity.ts";
import { gradientQuality } from "./gradients.ts";
import { learn, rates } from "./learning.ts";
import { benchTasks, settingOf } from "./tasks.ts";

/** Rises with every change of the benchmark that can change a number. */
export const benchVersion = 1;

/** How much is measured: `full`, or `quick` for a first look. */
export type BenchScale = "full" | "quick";

/** Episodes of each group. */
export const groupSize = 8;

/** Share of the optimum that counts as learned. */
export const learnedShare = 0.9;

interface Amounts {
  /** Groups that credit is compared with the truth on. */
  truthGroups: number;
  /** Groups that gradients are sampled from, for every batch size; more where a task is about bias. */
  gradientGroups: number;
  preciseGroups: number;
  /** Groups per batch. */
  batchSizes: readonly number[];
  updates: number;
  groupsPerUpdate: number;
  timings: number;
}

export const amounts: Readonly<Record<BenchScale, Amounts>> = {
  full: {
    truthGroups: 48,
    gradientGroups: 192,
    preciseGroups: 1536,
    batchSizes: [1, 4, 16],
    updates: 100,
    groupsPerUpdate: 2,
    timings: 3,
  },
  quick: {
    truthGroups: 12,
    gradientGroups: 32,
    preciseGroups: 64,
    batchSizes: [1, 4],
    updates: 15,
    groupsPerUpdate: 2,
    timings: 1,
  },
};

/** One method on one task with one seed. */
export interface Job {
  entry: Entry;
  columns: readonly string[];
  task: string;
  seed: number;
  scale: BenchScale;
}

/** Numbers by name; null where there is nothing to measure. */
export type Measures = Readonly<Record<string, number | null>>;

export interface JobResult {
  measures: Measures;
  /** Exact expected reward before each update, by learning rate. */
  curves: Readonly<Record<string, readonly number[]>>;
}

/** Runs every measurement of a job. A pure function of it, the measured time aside. */
export function runJob(job: Job): JobResult {
  const bench = new Bench(job.entry, settingOf(benchTasks[job.task]), job.seed, job.columns);
  const { measures, curves } = learningOf(bench, job);
  return { measures: { ...truthMeasures(bench, job), ...gradientMeasures(bench, job), ...measures }, curves };
}

function levelOf({ method }: Bench): CreditLevel {
  const granularity = method?.facts.granularity ?? "turn";
  if (granularity === "agent") return "agent";
  return granularity === "rollout" || granularity === "group" || granularity === "reward-function" ? "rollout" : "turn";
}

function truthMeasures(bench: Bench, { seed, scale }: Job): Measures {
  const { start } = bench.setting;
  const { truthGroups, timings } = amounts[scale];
  const feed = bench.sample(start, bench.oracles(start), truthGroups, groupSize, new Random(seed * 31 + 1));
  const credit = bench.credit(feed);
  const extra = feed.extra.turns / feed.episodes.states.length;
  const nanoseconds = (1e9 * bench.seconds(feed, timings)) / feed.layout.count;
  return { ...fidelityOf(feed, credit, levelOf(bench)), extra, nanoseconds };
}

function gradientMeasures(bench: Bench, { seed, scale }: Job): Measures {
  const { model, start, task } = bench.setting;
  const { batchSizes, gradientGroups, preciseGroups } = amounts[scale];
  const oracles = bench.oracles(start);
  const exact = exactGradient(model, start, oracles.values);
  const measures: Record<string, number> = {};
  for (const size of batchSizes) {
    const random = new Random(seed * 31 + 2);
    const groups = task.precise === true && size === 1 ? preciseGroups : gradientGroups;
    const samples = Array.from({ length: Math.floor(groups / size) }, () => {
      const feed = bench.sample(start, oracles, size, groupSize, random);
      return creditGradient(start, feed, bench.credit(feed));
    });
    for (const [name, value] of Object.entries(gradientQuality(samples, exact))) measures[`${name} of ${size}`] = value;
  }
  return measures;
}

function learningOf(bench: Bench, { seed, scale }: Job): JobResult {
  const { updates, groupsPerUpdate: groups } = amounts[scale];
  const { task, optimalValue } = bench.setting;
  const until = task.gameable === true ? null : learnedShare * optimalValue;
  const measures: Record<string, number | null> = {};
  const curves: Record<string, number[]> = {};
  for (const rate of rates) {
    const learning = learn(bench, { rate, updates, groups, size: groupSize, seed: seed * 31 + 7, until });
    measures[`episodes at ${rate}`] = learning.episodes;
    measures[`reward at ${rate}`] = learning.curve[learning.curve.length - 1];
    measures[`verdict at ${rate}`] = learning.verdict;
    curves[`${rate}`] = learning.curve;
  }
  return { measures, curves };
}
