import { type Batch, InputError } from "../../rollouts/index.ts";
import { compressedOutput } from "../compression.ts";
import { kindOfName } from "../inputs.ts";
import { fileOutput, streamOutput } from "../output.ts";
import { type Exporter, type ExportReport, exporterParams, Tally } from "./exporter.ts";
import { findExporter } from "./registry.ts";
import { type RowSink, RowText } from "./rows.ts";

export interface ExportOptions {
  /** Parameters of the exporter. */
  params?: Readonly<Record<string, unknown>>;
  /** Called after each batch with the number of rollouts read. */
  onProgress?: (rollouts: number) => void;
  signal?: AbortSignal;
}

async function jsonlRows(file: string): Promise<RowSink> {
  const { compression } = kindOfName(file);
  const plain = file === "-" ? streamOutput(process.stdout, "standard output") : await fileOutput(file);
  const output = compression === "none" ? plain : await compressedOutput(plain, compression);
  const text = new RowText();
  return {
    async write(row) {
      const piece = text.add(row);
      if (piece !== null) await output.write(piece);
    },
    async close() {
      await output.write(text.rest());
      await output.close();
    },
    abort: () => output.abort(),
  };
}

async function sinkFor(exporter: Exporter, file: string): Promise<RowSink> {
  if (exporter.format === "jsonl") return jsonlRows(file);
  if (file === "-") {
    throw new InputError("Parquet cannot be written to standard output", { hint: "name a file that ends in .parquet" });
  }
  const { parquetRows } = await import("./parquet-rows.ts");
  return parquetRows(file, exporter.columns ?? {});
}

function nothingWritten(exporter: Exporter, report: ExportReport): InputError {
  const reasons = report.leftOut.map(({ reason, count }) => `${count} x ${reason}`).join("; ");
  return new InputError(`${exporter.id}: there is nothing to export`, {
    got: reasons === "" ? `${report.rollouts} rollouts` : `${report.rollouts} rollouts, left out: ${reasons}`,
  });
}

/**
 * Writes credited rollouts in the form that a trainer reads.
 * @param exporter id of an exporter.
 * @param file name of the output (`-` for standard output, where the format is text; `.gz` and `.zst` pack it).
 * @returns what was written, and how many rollouts were left out for which reason.
 * @throws InputError for unknown exporters and parameters, for a credit column that no rollout has, and when there is
 * nothing to write; the output then does not appear.
 */
export async function exportBatches(
  batches: AsyncIterable<Batch> | Iterable<Batch>,
  exporter: string,
  file: string,
  options: ExportOptions = {},
): Promise<ExportReport> {
  const chosen = findExporter(exporter);
  const makeRows = chosen.start(exporterParams(chosen, options.params ?? {}));
  const tally = new Tally();
  const sink = await sinkFor(chosen, file);
  let rows = 0;
  try {
    for await (const batch of batches) {
      options.signal?.throwIfAborted();
      for (const row of makeRows(batch, tally)) {
        await sink.write(row);
        rows++;
      }
      tally.rollouts += batch.size;
      options.onProgress?.(tally.rollouts);
    }
    const report = { file, rollouts: tally.rollouts, exported: tally.exported, rows, leftOut: tally.leftOut };
    if (rows === 0) throw nothingWritten(chosen, report);
    await sink.close();
    return report;
  } catch (error) {
    await sink.abort();
    throw error;
  }
}
