import type { Entry } from "../../lab/benchmark/entries.ts";
import type { Fitness } from "../../lab/benchmark/fitness.ts";
import type { BenchScale, Job, JobResult } from "../../lab/benchmark/job.ts";
import { type BenchSummary, type Finished, type LeftOut, summarize } from "../../lab/benchmark/summary.ts";
import { type Cache, keyOf } from "./cache.ts";
import type { Order } from "./worker.ts";
import { workThrough } from "./workers.ts";

export interface BenchRun {
  entries: readonly Entry[];
  tasks: readonly string[];
  seeds: readonly number[];
  scale: BenchScale;
  threads: number;
  cache: Cache;
  signal: AbortSignal;
  /** Told how far the work is: what is done of what there is to do, in the present part of it. */
  onProgress(part: string, done: number, of: number): void;
}

export interface BenchOutcome {
  summary: BenchSummary;
  /** Jobs that were measured in this run, and those that were known. */
  measured: number;
  known: number;
}

interface Pair {
  entry: Entry;
  task: string;
  fitness: Fitness;
}

async function fitnesses({ entries, tasks, threads, signal, onProgress }: BenchRun): Promise<Pair[]> {
  const pairs = entries.flatMap((entry) => tasks.map((task) => ({ entry, task })));
  const orders = pairs.map(({ entry, task }): Order => ({ kind: "fitness", entry, task }));
  const found: Pair[] = new Array(pairs.length);
  let done = 0;
  await workThrough(orders, threads, signal, (answer, index) => {
    const fitness: Fitness = "failed" in answer ? { runs: false, reason: answer.failed } : (answer as Fitness);
    found[index] = { ...pairs[index], fitness };
    onProgress("finding out what runs", ++done, pairs.length);
  });
  return found;
}

interface Refusal {
  label: string;
  task: string;
  reason: string;
}

/** Reasons for what does not run, one line per method and reason. */
function leftOutOf(refusals: readonly Refusal[], tasks: readonly string[]): LeftOut[] {
  const lines = new Map<string, { label: string; reason: string; tasks: string[] }>();
  for (const { label, task, reason } of refusals) {
    const key = JSON.stringify([label, reason]);
    const line = lines.get(key) ?? { label, reason, tasks: [] };
    if (!line.tasks.includes(task)) line.tasks.push(task);
    lines.set(key, line);
  }
  return [...lines.values()].map((line) => (line.tasks.length === tasks.length ? { ...line, tasks: [] } : line));
}

/** Numbers of curves as they are kept: four digits behind the point. */
const rounded = ({ measures, curves }: JobResult): JobResult => ({
  measures,
  curves: Object.fromEntries(
    Object.entries(curves).map(([rate, curve]) => [rate, curve.map((value) => Math.round(value * 1e4) / 1e4)]),
  ),
});

/** Runs what is not known yet and sums everything up. Results are kept as they come. */
export async function runBench(run: BenchRun): Promise<BenchOutcome> {
  const { tasks, seeds, scale, cache } = run;
  const pairs = await fitnesses(run);
  const planned = pairs.flatMap(({ task, fitness }) => {
    if (!fitness.runs) return [];
    const { entry, columns, fingerprint } = fitness;
    return seeds.map((seed) => {
      const job: Job = { entry, columns, task, seed, scale };
      return { job, fitness, key: keyOf(job, fingerprint) };
    });
  });
  const open = planned.filter(({ job, key }) => cache.get(job.entry.method, key) === undefined);
  const orders = open.map(({ job }): Order => ({ kind: "job", job }));
  const refusals = pairs.flatMap(({ entry: { label }, task, fitness }): Refusal[] =>
    fitness.runs ? [] : [{ label, task, reason: fitness.reason }],
  );
  let done = 0;
  await workThrough(orders, run.threads, run.signal, (answer, index) => {
    const { job, key } = open[index];
    if ("failed" in answer) refusals.push({ label: job.entry.label, task: job.task, reason: answer.failed });
    else cache.put(job.entry.method, key, rounded(answer as JobResult));
    run.onProgress(`${job.entry.label} on ${job.task}`, ++done, open.length);
  });
  const finished = new Map<string, Finished>();
  for (const { job, fitness, key } of planned) {
    const { entry, task } = job;
    if (refusals.some((one) => one.label === entry.label && one.task === task)) continue;
    const result = cache.get(entry.method, key) as JobResult;
    const id = JSON.stringify([entry.label, task]);
    const before = finished.get(id)?.results ?? [];
    finished.set(id, { entry, task, sources: fitness.sources, credit: fitness.credit, results: [...before, result] });
  }
  const summary = summarize([...finished.values()], leftOutOf(refusals, tasks), { scale, seeds, tasks });
  return { summary, measured: open.length, known: planned.length - open.length };
}
