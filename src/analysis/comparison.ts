import { type AssignOptions, assign } from "../methods/assign.ts";
import type { Method } from "../methods/method.ts";
import { missingReads } from "../methods/reads.ts";
import { type Batch, InputError } from "../rollouts/index.ts";
import { type Agreement, agreement } from "./agreement.ts";
import { type Disagreement, rankDisagreements } from "./disagreement.ts";
import { needed } from "./feed.ts";
import type { CreditLevel } from "./levels.ts";
import { type Aligned, align, commonLevel, type Series, seriesOfColumn, seriesOfMethod } from "./series.ts";

/** A method to compare, its parameters filled in or left to their defaults. */
export interface ComparedMethod {
  method: Method;
  params: Readonly<Record<string, unknown>>;
}

/** A method that could not be run on the rollouts, and why. */
export interface SkippedMethod {
  id: string;
  /** Columns that are missing; empty when something else is wrong. */
  missing: readonly string[];
  reason: string;
}

export interface Comparison {
  /** Recorded columns first, then methods, each in the order given. */
  series: readonly Series[];
  skipped: readonly SkippedMethod[];
  aligned: Aligned;
  agreement: Agreement;
  /** Rollouts by how hard the series disagree on a sign, hardest first. */
  disagreements: readonly Disagreement[];
}

export interface ComparisonOptions extends AssignOptions {
  /** Recorded columns to compare too. */
  columns?: readonly string[];
  /** Level of comparison (default: the finest that all give). */
  level?: CreditLevel;
}

/** What `Batch` says of a column that is not there. */
const columnMissing = "column is missing";

/** The credit of one method on a batch, or why there is none. */
export function creditOf(batch: Batch, { method, params }: ComparedMethod, options: AssignOptions) {
  const skip = (reason: string, missing: readonly string[] = []): { skipped: SkippedMethod } => ({
    skipped: { id: method.id, missing, reason },
  });
  if (method.assign === undefined) return skip("has functions but no credit rule");
  try {
    const series = seriesOfMethod(batch, assign(batch, method, params, options), method.id, method.writes);
    return series === null ? skip(`writes ${method.writes.join(", ")}: nothing to compare`) : { series };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const missing = missingReads(batch, method);
    if (missing.length === 0 && error.problem === columnMissing && error.at.column !== undefined) {
      missing.push(error.at.column);
    }
    return missing.length > 0 ? skip(`needs ${needed(missing)}`, missing) : skip(error.message);
  }
}

/**
 * Runs methods on the same rollouts and compares their credit with each other and with recorded columns. A method that
 * cannot run is skipped and the rest goes on.
 * @throws InputError when a recorded column is not there or holds no numbers, or when nothing is left to compare.
 */
export function compareMethods(
  batch: Batch,
  methods: readonly ComparedMethod[],
  options: ComparisonOptions = {},
): Comparison {
  const { columns = [], level, ...assigning } = options;
  const recorded = columns.map((path) => {
    batch.column(path);
    const series = seriesOfColumn(batch, path);
    if (series !== null) return series;
    throw new InputError("not a column of credit", {
      column: path,
      expected: "numbers per token, step, turn or rollout",
    });
  });
  const results = methods.map((method) => creditOf(batch, method, assigning));
  const skipped = results.flatMap((result) => ("skipped" in result ? [result.skipped] : []));
  const series = [...recorded, ...results.flatMap((result) => ("series" in result ? [result.series] : []))];
  if (series.length === 0) {
    const [first] = skipped;
    throw new InputError("none of the methods can run on these rollouts", {
      method: first?.id,
      hint: first?.reason,
    });
  }
  const aligned = align(batch, series, level ?? commonLevel(series));
  return {
    series,
    skipped,
    aligned,
    agreement: agreement(aligned.values),
    disagreements: rankDisagreements(batch, series, aligned.level),
  };
}
