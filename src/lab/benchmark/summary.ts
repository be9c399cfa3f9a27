import { findMethod, methods } from "../../methods/registry.ts";
import { Summary } from "../experiments/experiment.ts";
import type { Entry } from "./entries.ts";
import { amounts, type BenchScale, benchVersion, groupSize, type JobResult } from "./job.ts";
import { paces } from "./learning.ts";
import type { Source } from "./signals.ts";
import { benchTasks, settingOf } from "./tasks.ts";

/** A mean over seeds and half the width of its 95 % confidence interval. */
export interface Interval {
  mean: number;
  margin: number;
}

/** Mean and margin (Student's t) of one number per seed. */
export function intervalOf(values: readonly number[]): Interval {
  const summary = new Summary(values.map((value) => ({ measures: { value } })));
  return { mean: summary.mean("value"), margin: summary.margin("value") };
}

/**
 * Whether a gradient estimator is unbiased, is so up to one common scale, or points elsewhere; `unclear` where the seeds do
 * not tell.
 */
export type BiasVerdict = "none" | "scale" | "biased" | "unclear";

/** What was measured of one method on one task. */
export interface TaskSummary {
  task: string;
  credit: string;
  /** Plain measures by name: pearson, own, sign, top, mass, luck, extra, nanoseconds, `cosine of 1`, … */
  measures: Readonly<Record<string, Interval>>;
  /** Episodes until 90 % of the optimum at the best pace; those that did not get there count with all they had. */
  episodes: Interval & { pace: number; reached: number; perSeed: readonly number[] };
  bias: BiasVerdict | null;
  /** At the pace with the best reward at the end: reward and verdict as shares of their optima, and their difference. */
  end: { pace: number; reward: Interval; verdict: Interval; gap: Interval };
  /** Mean over seeds of the expected reward before each update, at the best pace. */
  curve: readonly number[];
}

/** One row of the leaderboard. */
export interface EntrySummary {
  label: string;
  method: string;
  params: Readonly<Record<string, unknown>>;
  title: string;
  granularity: string;
  /** What it takes beyond rewards and the policy's own probabilities. */
  sources: readonly Source[];
  /** Means over the tasks: of correlations and shares; of episodes the geometric mean. `null` where no task measures it. */
  overall: Readonly<
    Record<"pearson" | "own" | "sign" | "top" | "luck" | "cosine" | "noise" | "nanoseconds" | "extra", Interval | null>
  >;
  episodes: Interval | null;
  reached: { runs: number; of: number };
  /** Number of tasks when it runs on some only, so that its means are not those of the others; null when on all. */
  partial: number | null;
  /** Part of the mean gradient that points elsewhere: ‖E g perpendicular‖ / ‖E g‖, root mean square over the tasks. */
  skew: number;
  /** Over all tasks together; null with fewer than three seeds. */
  bias: BiasVerdict | null;
  gap: Interval | null;
  tasks: readonly TaskSummary[];
}

export interface LeftOut {
  label: string;
  reason: string;
  /** Tasks on which it is so; all of them when empty. */
  tasks: readonly string[];
}

export interface BenchSummary {
  version: number;
  scale: BenchScale;
  seeds: readonly number[];
  groupSize: number;
  /** Episodes that a learner has at most. */
  mostEpisodes: number;
  episodesPerUpdate: number;
  tasks: readonly {
    id: string;
    about: string;
    states: number;
    start: number;
    optimum: number;
    gameable: boolean;
  }[];
  entries: readonly EntrySummary[];
  leftOut: readonly LeftOut[];
}

/** What came of the jobs of one method on one task, a result per seed. */
export interface Finished {
  entry: Entry;
  task: string;
  sources: readonly Source[];
  credit: string;
  results: readonly JobResult[];
}

const numberOf = (result: JobResult, name: string) => result.measures[name] as number;

/** Bias that is smaller than this, as a share of the squared length, is none. */
const smallBias = 0.005;
/** Bias that may be none or this large is not called none. */
const unclearBias = 0.02;
/** Seeds from which on there is a verdict about bias. */
const enoughSeeds = 3;

interface BiasMeasures {
  bias: Interval;
  skew: Interval;
  scale: Interval;
}

/** `null` with too few seeds to tell. */
function verdictOf({ bias, skew, scale }: BiasMeasures, seeds: number): BiasVerdict | null {
  if (seeds < enoughSeeds) return null;
  const isThere = ({ mean, margin }: Interval) => mean - margin > smallBias;
  const isUnclear = (measured: Interval) => !isThere(measured) && measured.mean > unclearBias;
  if (isThere(skew) || scale.mean <= 0) return "biased";
  if (isUnclear(skew)) return "unclear";
  return isThere(bias) || isUnclear(bias) ? "scale" : "none";
}

function best<T>(items: readonly T[], score: (item: T) => number): T {
  return items.reduce((top, item) => (score(item) > score(top) ? item : top));
}

const average = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

function meanCurve(results: readonly JobResult[], pace: number): number[] {
  const curves = results.map(({ curves: all }) => all[`${pace}`]);
  const length = Math.max(...curves.map((curve) => curve.length));
  return Array.from({ length }, (_, t) => average(curves.map((curve) => curve[Math.min(t, curve.length - 1)])));
}

export function mostEpisodes(scale: BenchScale): number {
  const { updates, groupsPerUpdate } = amounts[scale];
  return updates * groupsPerUpdate * groupSize;
}

/** What a method did on a task, over the seeds. */
export function summarizeTask({ task, credit, results }: Finished, scale: BenchScale): TaskSummary {
  const { optimalValue, optimalVerdict } = settingOf(benchTasks[task]);
  const most = mostEpisodes(scale);
  const learned = /^(episodes|reward|verdict) at /;
  const names = Object.keys(results[0].measures).filter((name) => !learned.test(name));
  const measures = Object.fromEntries(
    names.map((name) => [name, intervalOf(results.map((result) => numberOf(result, name)))]),
  );
  const spent = (pace: number) => results.map(({ measures: all }) => all[`episodes at ${pace}`]);
  // A learner that did not arrive counts twice when paces are compared, so that luck with some seeds does not win.
  const pace = best(paces, (one) => -average(spent(one).map((episodes) => episodes ?? 2 * most)));
  const perSeed = spent(pace).map((episodes) => Math.max(episodes ?? most, groupSize));
  const reached = spent(pace).filter((episodes) => episodes !== null).length;
  const shares = (name: string, optimum: number, at: number) =>
    results.map((r) => numberOf(r, `${name} at ${at}`) / optimum);
  const endPace = best(paces, (one) => average(shares("reward", optimalValue, one)));
  const reward = shares("reward", optimalValue, endPace);
  const verdict = shares("verdict", optimalVerdict, endPace);
  return {
    task,
    credit,
    measures,
    episodes: { ...intervalOf(perSeed), pace, reached, perSeed },
    bias: verdictOf(
      { bias: measures["bias2 of 1"], skew: measures["skew2 of 1"], scale: measures["scale of 1"] },
      results.length,
    ),
    end: {
      pace: endPace,
      reward: intervalOf(reward),
      verdict: intervalOf(verdict),
      gap: intervalOf(reward.map((share, k) => share - verdict[k])),
    },
    curve: meanCurve(results, benchTasks[task].gameable === true ? endPace : pace),
  };
}

/** Per seed the mean over tasks, then mean and margin over the seeds. */
function acrossTasks(runs: readonly Finished[], name: string): Interval | null {
  if (runs.length === 0) return null;
  return intervalOf(
    runs[0].results.map((_, seed) => average(runs.map(({ results }) => numberOf(results[seed], name)))),
  );
}

/** Geometric mean over tasks, per seed; the margin is the one of the logarithm, at the mean. */
function geometric(tasks: readonly TaskSummary[]): Interval | null {
  if (tasks.length === 0) return null;
  const seeds = tasks[0].episodes.perSeed;
  const logs = seeds.map((_, seed) => average(tasks.map(({ episodes }) => Math.log(episodes.perSeed[seed]))));
  const { mean, margin } = intervalOf(logs);
  return { mean: Math.exp(mean), margin: Math.exp(mean) * margin };
}

function summarizeEntry(runs: readonly Finished[], scale: BenchScale, all: number): EntrySummary {
  const { label, method, params } = runs[0].entry;
  const known = methods.has(method) ? findMethod(method) : null;
  const tasks = runs.map((run) => summarizeTask(run, scale));
  const plain = runs.filter(({ task }) => benchTasks[task].gameable !== true);
  const plainTasks = tasks.filter(({ task }) => benchTasks[task].gameable !== true);
  const gameable = tasks.find(({ task }) => benchTasks[task].gameable === true);
  const largest = amounts[scale].batches[amounts[scale].batches.length - 1].size;
  const over = (name: string) => acrossTasks(plain, name);
  const [bias, skew, stretch] = ["bias2 of 1", "skew2 of 1", "scale of 1"].map(over);
  const judged = bias === null || skew === null || stretch === null ? null : { bias, skew, scale: stretch };
  return {
    label,
    method,
    params,
    title: known?.title ?? "yardstick",
    granularity: known?.facts.granularity ?? "turn",
    sources: [...new Set(runs.flatMap(({ sources }) => sources))],
    overall: {
      pearson: over("pearson"),
      own: over("own"),
      sign: over("sign"),
      top: over("top"),
      luck: over("luck"),
      cosine: over(`cosine of ${largest}`),
      noise: over("noise of 1"),
      nanoseconds: over("nanoseconds"),
      extra: over("extra"),
    },
    episodes: geometric(plainTasks),
    reached: {
      runs: plainTasks.reduce((sum, { episodes }) => sum + episodes.reached, 0),
      of: plainTasks.reduce((sum, { episodes }) => sum + episodes.perSeed.length, 0),
    },
    partial: runs.length < all ? runs.length : null,
    skew: Math.sqrt(Math.min(1, Math.max(0, skew?.mean ?? 0))),
    bias: judged === null ? null : verdictOf(judged, runs[0].results.length),
    gap: gameable?.end.gap ?? null,
    tasks,
  };
}

function about(id: string): BenchSummary["tasks"][number] {
  const { task, model, startValue, optimalValue } = settingOf(benchTasks[id]);
  const gameable = task.gameable === true;
  return { id, about: task.about, states: model.states, start: startValue, optimum: optimalValue, gameable };
}

/** The whole benchmark in one object: rows in the order of the episodes that they need, those of all tasks first. */
export function summarize(
  finished: readonly Finished[],
  leftOut: readonly LeftOut[],
  setting: { scale: BenchScale; seeds: readonly number[]; tasks: readonly string[] },
): BenchSummary {
  const { scale, seeds, tasks } = setting;
  const byLabel = new Map<string, Finished[]>();
  for (const run of finished) byLabel.set(run.entry.label, [...(byLabel.get(run.entry.label) ?? []), run]);
  const entries = [...byLabel.values()].map((runs) => summarizeEntry(runs, scale, tasks.length));
  const isPartial = ({ partial }: EntrySummary) => (partial === null ? 0 : 1);
  entries.sort(
    (a, b) =>
      isPartial(a) - isPartial(b) || (a.episodes?.mean ?? 0) - (b.episodes?.mean ?? 0) || (a.label < b.label ? -1 : 1),
  );
  return {
    version: benchVersion,
    scale,
    seeds,
    groupSize,
    mostEpisodes: mostEpisodes(scale),
    episodesPerUpdate: amounts[scale].groupsPerUpdate * groupSize,
    tasks: tasks.map(about),
    entries,
    leftOut,
  };
}
