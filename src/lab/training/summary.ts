import { Summary } from "../experiments/experiment.ts";
import { type Metrics, mean } from "./metrics.ts";

/** What is known of one arm and seed after one update (0 = before the first); a row of the table of metrics. */
export interface MetricsRow extends Partial<Metrics> {
  method: string;
  seed: number;
  update: number;
  /** Expected true reward of the policy after this update, where it was worked out or measured. */
  expected_reward: number | null;
}

/** A mean over seeds. */
export interface Measured {
  mean: number;
  /** Half the width of its 95 % confidence interval; null for a single seed. */
  margin: number | null;
}

/** One arm of a run, over its seeds. */
export interface ArmSummary {
  method: string;
  seeds: number;
  /** Updates done by every seed. */
  updates: number;
  /** Expected true reward at the end. */
  final: Measured | null;
  /** Mean true reward of all rollouts of the training. */
  during: Measured | null;
  /** Updates until the expected true reward first reached 90 % of the best; the whole run where it did not. */
  reaching: Measured | null;
  /** Seeds that reached it. */
  reached: number;
  /** What training saw less what was true, over the last tenth. */
  proxyGap: Measured | null;
  entropy: Measured | null;
  kl: Measured | null;
  length: Measured | null;
  correlation: Measured | null;
  sign: Measured | null;
  /** Part of the time of an update that credit took. */
  creditShare: number;
  /** Seconds of one update. */
  seconds: number;
}

function measured(values: readonly (number | null)[]): Measured | null {
  const known = values.filter((value): value is number => value !== null && Number.isFinite(value));
  if (known.length === 0) return null;
  const summary = new Summary(known.map((value) => ({ measures: { value } })));
  return { mean: summary.mean("value"), margin: known.length < 2 ? null : summary.margin("value") };
}

const numbers = (rows: readonly MetricsRow[], name: keyof Metrics | "expected_reward") =>
  rows.map((row) => row[name]).filter((value): value is number => typeof value === "number");

const meanOf = (values: readonly number[]) => (values.length === 0 ? null : mean(values));

/** The last tenth of the updates, at least one. */
const lastPart = (rows: readonly MetricsRow[]) => rows.slice(Math.min(rows.length - 1, Math.floor(rows.length * 0.9)));

/** Rows by arm, then by seed, each in the order of updates. */
export function byArm(rows: readonly MetricsRow[]): Map<string, MetricsRow[][]> {
  const arms = new Map<string, Map<number, MetricsRow[]>>();
  for (const row of rows) {
    const seeds = arms.get(row.method) ?? new Map<number, MetricsRow[]>();
    arms.set(row.method, seeds);
    const of = seeds.get(row.seed) ?? [];
    seeds.set(row.seed, of);
    of.push(row);
  }
  return new Map(
    [...arms].map(([arm, seeds]) => [arm, [...seeds.values()].map((of) => of.sort((a, b) => a.update - b.update))]),
  );
}

/**
 * What a run shows, arm by arm.
 * @param best expected true reward of the best policy; null = unknown, then the best that any arm came to stands for it.
 */
export function summarise(rows: readonly MetricsRow[], best: number | null): ArmSummary[] {
  const arms = byArm(rows);
  const top = best ?? Math.max(0, ...numbers(rows, "expected_reward"));
  return [...arms].map(([method, seeds]) => {
    const trained = seeds.map((of) => of.filter(({ update }) => update > 0));
    const per = (value: (of: readonly MetricsRow[], k: number) => number | null) => measured(trained.map(value));
    const last = (name: keyof Metrics) => per((of) => meanOf(numbers(lastPart(of), name)));
    const first = seeds.map((of) => of.find(({ expected_reward: x }) => x !== null && x >= 0.9 * top)?.update ?? null);
    const timed = trained.flat();
    return {
      method,
      seeds: seeds.length,
      updates: Math.min(...seeds.map((of) => of.at(-1)?.update ?? 0)),
      final: measured(seeds.map((of) => of.findLast(({ expected_reward: x }) => x !== null)?.expected_reward ?? null)),
      during: per((of) => meanOf(numbers(of, "true_reward"))),
      reaching: measured(first.map((update, k) => update ?? seeds[k].at(-1)?.update ?? null)),
      reached: first.filter((update) => update !== null).length,
      proxyGap: per((of) => meanOf(lastPart(of).map(({ reward = 0, true_reward = 0 }) => reward - true_reward))),
      entropy: last("entropy"),
      kl: last("kl"),
      length: last("length"),
      correlation: per((of) => meanOf(numbers(of, "credit_correlation"))),
      sign: per((of) => meanOf(numbers(of, "credit_sign"))),
      ...timesOf(timed),
    };
  });
}

function timesOf(rows: readonly MetricsRow[]): { creditShare: number; seconds: number } {
  const total = (name: keyof Metrics) => numbers(rows, name).reduce((sum, x) => sum + x, 0);
  const credit = total("credit_s");
  const all = total("sample_s") + credit + total("learn_s");
  return { creditShare: all === 0 ? 0 : credit / all, seconds: rows.length === 0 ? 0 : all / rows.length };
}

/** A curve over updates: the mean over seeds, with the ends of its 95 % confidence interval. */
export interface Curve {
  x: number[];
  y: number[];
  low: number[];
  high: number[];
}

/**
 * Curve of a metric of one arm. Updates are put together so that there are at most `most` points; points that no seed knows
 * are left out.
 */
export function curveOf(
  seeds: readonly (readonly MetricsRow[])[],
  name: keyof Metrics | "expected_reward",
  most: number,
): Curve {
  const points = new Map<number, number[][]>();
  const last = Math.max(0, ...seeds.map((of) => of.at(-1)?.update ?? 0));
  const width = Math.max(1, Math.ceil(last / most));
  seeds.forEach((of, k) => {
    for (const row of of) {
      const value = row[name];
      if (typeof value !== "number") continue;
      const x = Math.ceil(row.update / width) * width;
      const bySeed = points.get(x) ?? seeds.map(() => []);
      points.set(x, bySeed);
      bySeed[k].push(value);
    }
  });
  const curve: Curve = { x: [], y: [], low: [], high: [] };
  for (const [x, bySeed] of [...points].sort(([a], [b]) => a - b)) {
    const found = measured(bySeed.map(meanOf));
    if (found === null) continue;
    curve.x.push(Math.min(x, last));
    curve.y.push(found.mean);
    curve.low.push(found.mean - (found.margin ?? 0));
    curve.high.push(found.mean + (found.margin ?? 0));
  }
  return curve;
}
