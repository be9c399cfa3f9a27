import type { Finding, Summary } from "./experiment.ts";

/** What of a measure is held against a bound: its value in every seed, or its mean or median over the seeds. */
export type Over = "every seed" | "mean" | "median";

interface BoundOptions {
  over?: Over;
  kind?: Finding["kind"];
  digits?: number;
}

/** Middle of some numbers; the mean of the two in the middle when there is an even count. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Finding that a measure is at least a bound. */
export function atLeast(summary: Summary, measure: string, bound: number, options: BoundOptions = {}): Finding {
  return bounded(summary, measure, bound, 1, options);
}

/** Finding that a measure is at most a bound. */
export function atMost(summary: Summary, measure: string, bound: number, options: BoundOptions = {}): Finding {
  return bounded(summary, measure, bound, -1, options);
}

/** Two measures side by side: `"31.2 ± 2.1 against 57.0 ± 3.4"`. */
export function against(summary: Summary, measure: string, other: string, digits = 2): string {
  return `${summary.text(measure, digits)} against ${summary.text(other, digits)}`;
}

function bounded(summary: Summary, measure: string, bound: number, sign: 1 | -1, options: BoundOptions): Finding {
  const { over = "every seed", kind = "claim", digits = 3 } = options;
  const values = summary.values(measure);
  const worst = sign === 1 ? Math.min(...values) : Math.max(...values);
  const judged = over === "every seed" ? worst : over === "mean" ? summary.mean(measure) : median(values);
  const tiny = bound > 0 && bound < 1e-6;
  const show = (x: number) => (tiny && x !== 0 ? x.toExponential(1) : x.toFixed(tiny ? 0 : digits));
  const extra = over === "median" ? `median ${show(judged)}` : `${sign === 1 ? "lowest" : "highest"} ${show(worst)}`;
  return {
    expected: `${measure}: ${sign === 1 ? "at least" : "at most"} ${bound} (${over})`,
    measured: tiny ? extra : `${summary.text(measure, digits)}, ${extra}`,
    holds: sign * (judged - bound) >= 0,
    kind,
  };
}
