import { z } from "zod";
import { type Batch, InputError } from "../../rollouts/index.ts";

export type Row = Record<string, unknown>;

/** Why rollouts were left out of an export: how many, and the ids of the first few. */
export interface LeftOut {
  reason: string;
  count: number;
  ids: string[];
}

/** What an export wrote, and what it could not use. */
export interface ExportReport {
  file: string;
  /** Rollouts read. */
  rollouts: number;
  /** Rollouts of which something was written. */
  exported: number;
  /** Rows written: rollouts, or pairs of them. */
  rows: number;
  leftOut: LeftOut[];
}

/** Notes the rollouts that cannot be used. */
export class Tally {
  readonly #reasons = new Map<string, LeftOut>();
  rollouts = 0;
  exported = 0;

  leaveOut(id: string, reason: string): void {
    const known = this.#reasons.get(reason) ?? { reason, count: 0, ids: [] };
    known.count++;
    if (known.ids.length < 5) known.ids.push(id);
    this.#reasons.set(reason, known);
  }

  get leftOut(): LeftOut[] {
    return [...this.#reasons.values()].sort((a, b) => b.count - a.count);
  }
}

/** Makes rows of one batch after another; what it cannot use goes to the tally. */
export type RowMaker = (batch: Batch, tally: Tally) => Iterable<Row>;

export interface ExporterDefinition<P extends z.ZodObject = z.ZodObject> {
  id: string;
  title: string;
  /** What a row is and how it is made. */
  describe: string;
  /** What the rows are for. */
  trainer: string;
  format: "jsonl" | "parquet";
  /** Columns read: `?` = optional, `A | B` = at least one. */
  reads: readonly string[];
  /** Parameters: a default, a range and a sentence each. */
  params: P;
  /** Types of the columns of a Parquet file; those marked optional appear when a row has them. */
  columns?: Readonly<Record<string, { type: string; optional?: true }>>;
  start(params: z.output<P>): RowMaker;
}

/** An exporter as the registry keeps it, with its parameters erased to plain objects. */
export interface Exporter extends Omit<ExporterDefinition, "start"> {
  start(params: Record<string, unknown>): RowMaker;
}

export function defineExporter<P extends z.ZodObject>(definition: ExporterDefinition<P>): Exporter {
  return definition as unknown as Exporter;
}

/**
 * Parameters of an exporter with defaults filled in.
 * @throws InputError for an unknown parameter or a value out of range; names what is allowed.
 */
export function exporterParams(
  exporter: Pick<Exporter, "id" | "params">,
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const known = Object.keys(exporter.params.shape);
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new InputError(`exporter ${exporter.id} has no parameter ${unknown}`, {
      expected: `one of ${known.join(", ")}`,
    });
  }
  const parsed = z.safeParse(exporter.params, given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InputError(`exporter ${exporter.id}: parameter ${issue.path.join(".")} is not valid`, {
    expected: issue.message,
    got: JSON.stringify(given[String(issue.path[0])]),
  });
}
