import { exactGradient } from "../exact/gradient.ts";
import { Random } from "../random.ts";
import { Bench, creditGradient } from "./apply.ts";
import type { Entry } from "./entries.ts";
import { type CreditLevel, fidelityOf } from "./fidelity.ts";
import { gradientQuality } from "./gradients.ts";
import { learn, paces } from "./learning.ts";
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
  /** Groups per batch, and from how many groups in all gradients are made. */
  batches: readonly { size: number; groups: number }[];
  updates: number;
  groupsPerUpdate: number;
  timings: number;
}

export const amounts: Readonly<Record<BenchScale, Amounts>> = {
  full: {
    truthGroups: 48,
    batches: [
      { size: 1, groups: 640 },
      { size: 4, groups: 192 },
      { size: 16, groups: 192 },
    ],
    updates: 200,
    groupsPerUpdate: 1,
    timings: 5,
  },
  quick: {
    truthGroups: 12,
    batches: [
      { size: 1, groups: 64 },
      { size: 4, groups: 32 },
    ],
    updates: 40,
    groupsPerUpdate: 1,
    timings: 2,
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
  /** Exact expected reward before each update, by pace. */
  curves: Readonly<Record<string, readonly number[]>>;
}

/** Runs every measurement of a job. A pure function of it, the measured time aside. */
export function runJob(job: Job): JobResult {
  const bench = new Bench(job.entry, settingOf(benchTasks[job.task]), job.seed, job.columns);
  const gradients = gradientMeasures(bench, job);
  const { measures, curves } = learningOf(bench, job, gradients["size of 1"]);
  // Time is taken last, when the code is warm.
  return { measures: { ...truthMeasures(bench, job), ...gradients, ...measures }, curves };
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

function gradientMeasures(bench: Bench, { seed, scale }: Job): Record<string, number> {
  const { model, start } = bench.setting;
  const oracles = bench.oracles(start);
  const exact = exactGradient(model, start, oracles.values);
  const measures: Record<string, number> = {};
  for (const { size, groups } of amounts[scale].batches) {
    const random = new Random(seed * 31 + 2);
    const samples = Array.from({ length: Math.floor(groups / size) }, () => {
      const feed = bench.sample(start, oracles, size, groupSize, random);
      return creditGradient(start, feed, bench.credit(feed));
    });
    for (const [name, value] of Object.entries(gradientQuality(samples, exact))) measures[`${name} of ${size}`] = value;
  }
  return measures;
}

/** @param length root mean square length of the gradient of one group at the start. */
function learningOf(bench: Bench, { seed, scale }: Job, length: number): JobResult {
  const { updates, groupsPerUpdate: groups } = amounts[scale];
  const { task, optimalValue } = bench.setting;
  const until = task.gameable === true ? null : learnedShare * optimalValue;
  const measures: Record<string, number | null> = {};
  const curves: Record<string, number[]> = {};
  for (const pace of paces) {
    const rate = length === 0 ? 0 : pace / length;
    const learning = learn(bench, { rate, updates, groups, size: groupSize, seed: seed * 31 + 7, until });
    measures[`episodes at ${pace}`] = learning.episodes;
    measures[`reward at ${pace}`] = learning.curve[learning.curve.length - 1];
    measures[`verdict at ${pace}`] = learning.verdict;
    curves[`${pace}`] = learning.curve;
  }
  return { measures, curves };
}
