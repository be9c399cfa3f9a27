/** What one seed of an experiment gave. */
export interface Trial {
  /** Named numbers, one per arm and quantity: `"tempo updates"`. All of them finite. */
  measures: Readonly<Record<string, number>>;
  /** Named series, the same points in every seed: `"tempo"` over updates. */
  curves?: Readonly<Record<string, readonly number[]>>;
}

/** How much of an experiment to run: `full` is what the claim is judged by, `slice` a few seconds' worth for the tests. */
export type Scale = "full" | "slice";

/** One expected relation, and whether it was found. */
export interface Finding {
  /** What is expected, in words with its bound: `"TEMPO needs at most 0.65 times the updates of GRPO"`. */
  expected: string;
  /** What was measured, in the same units: `"31.2 ± 2.1 against 57.0 ± 3.4 updates, ratio 0.55"`. */
  measured: string;
  holds: boolean;
  /**
   * `claim`: part of what the card claims; `limit`: an honest limit that the card asks to show as well. Only claims decide
   * the verdict.
   */
  kind: "claim" | "limit";
}

/** A plot of an experiment: curves over a common axis, or one bar per measure. */
export type ExperimentPlot =
  | {
      kind: "lines";
      title: string;
      x: string;
      y: string /** Names of curves. */;
      curves: readonly string[];
      every?: number;
    }
  | { kind: "bars"; title: string; y: string /** Names of measures. */; measures: readonly string[] };

/**
 * The claim of a card, in miniature. A trial is a pure function of its seed, so that trials run in any order, in threads,
 * and are kept by (id, version, scale, seed). `version` rises with every change that can change a number.
 */
export interface Experiment {
  /** Id of the card. */
  id: string;
  version: number;
  /** What is claimed, in one or two sentences. */
  claim: string;
  /** Where it is tested, in one or two sentences: states, actions, reward, policy, optimiser. */
  environment: string;
  /** What it is compared with. */
  baseline: string;
  /** Seeds of the full run, at least 3. */
  seeds: number;
  trial(seed: number, scale: Scale): Trial | Promise<Trial>;
  /** The expected relations, worked out from all trials. */
  findings(summary: Summary): Finding[];
  plots: readonly ExperimentPlot[];
  /** Where the experiment departs from the card, and why; a fault that was looked for; nothing when there is nothing to say. */
  notes?: string;
}

export type Verdict = "shown" | "mixed" | "not shown";

/** `shown` when every finding of kind claim holds, `not shown` when none does, else `mixed`. */
export function verdictOf(findings: readonly Finding[]): Verdict {
  const claims = findings.filter(({ kind }) => kind === "claim");
  const held = claims.filter(({ holds }) => holds).length;
  if (held === claims.length && held > 0) return "shown";
  return held === 0 ? "not shown" : "mixed";
}

/** Trials of one experiment, read by the names of their measures and curves. */
export class Summary {
  readonly trials: readonly Trial[];

  constructor(trials: readonly Trial[]) {
    this.trials = trials;
  }

  /** A measure, a number per seed. @throws Error when a trial lacks it or it is not finite. */
  values(name: string): number[] {
    return this.trials.map(({ measures }) => {
      const value = measures[name];
      if (!Number.isFinite(value)) throw new Error(`measure ${name} is ${value}`);
      return value;
    });
  }

  mean(name: string): number {
    const values = this.values(name);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  }

  min(name: string): number {
    return Math.min(...this.values(name));
  }

  max(name: string): number {
    return Math.max(...this.values(name));
  }

  /** Half the width of the 95 % confidence interval of the mean over seeds (Student's t); 0 for a single seed. */
  margin(name: string): number {
    const values = this.values(name);
    const mean = this.mean(name);
    const n = values.length;
    if (n < 2) return 0;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
    return studentQuantile(n - 1) * Math.sqrt(variance / n);
  }

  /** Share of seeds in which a condition on the measures holds. */
  share(holds: (measures: Readonly<Record<string, number>>) => boolean): number {
    return this.trials.filter(({ measures }) => holds(measures)).length / this.trials.length;
  }

  /** `"31.2 ± 2.1"`: mean and margin. */
  text(name: string, digits = 2): string {
    return `${this.mean(name).toFixed(digits)} ± ${this.margin(name).toFixed(digits)}`;
  }

  /** Mean of a curve over the seeds, point by point. */
  curve(name: string): number[] {
    const curves = this.trials.map(({ curves = {} }) => curves[name]);
    return curves[0].map((_, t) => curves.reduce((sum, curve) => sum + curve[t], 0) / curves.length);
  }
}

/** 97.5 % quantile of Student's t with n degrees of freedom: exact for 1 and 2, a series in 1/n beyond (error below 1 %). */
function studentQuantile(n: number): number {
  if (n === 1) return 12.706;
  if (n === 2) return 4.303;
  const z = 1.959964;
  const g1 = (z ** 3 + z) / 4;
  const g2 = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const g3 = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + g1 / n + g2 / n ** 2 + g3 / n ** 3;
}
