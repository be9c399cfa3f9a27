import type { Batch } from "./batch.ts";
import type { Lines } from "./branches.ts";
import type { Column, ColumnValues, NumericArray, NumericColumn } from "./column.ts";

/**
 * Brings what was added to the lines of a batch back to the batch with its trees. A row that several paths share gets the
 * mean over the paths that carry it, so that credit of a shared prefix is counted once; rollout-level results become the
 * mean over the paths of the rollout. Nulls stay out of the mean; a row that is null on every path is null. Text and JSON
 * come from the first path. Rows on no path get 0 (numbers) or null.
 * @param credited the batch of lines with further or replaced columns.
 */
export function foldLines(batch: Batch, lines: Lines, credited: Batch): Batch {
  const added: Record<string, ColumnValues> = {};
  for (const path of credited.paths) {
    const column = credited.column(path);
    if (lines.batch.find(path) === column) continue;
    const source = lines.source[column.level];
    const rows = batch.count(column.level);
    added[path] = column.kind === "number" ? meanOverPaths(column, source, rows) : ofFirstPath(column, source, rows);
  }
  return batch.with(added);
}

function meanOverPaths({ values, valid }: NumericColumn, source: Int32Array, rows: number): ColumnValues {
  const mean = new Float64Array(rows);
  const counted = new Int32Array(rows);
  const carried = new Uint8Array(rows);
  for (let k = 0; k < source.length; k++) {
    const row = source[k];
    carried[row] = 1;
    if (valid !== null && valid[k] === 0) continue;
    counted[row]++;
    // A running mean: equal values keep their value to the last digit.
    mean[row] += (values[k] - mean[row]) / counted[row];
  }
  const known = valid === null ? null : carried.map((on, row) => (on === 0 || counted[row] > 0 ? 1 : 0));
  return { values: asWideAs(values, mean), valid: known };
}

/** Means in the storage of the values they were taken of; whole numbers only as long as the means are whole. */
function asWideAs(values: NumericArray, mean: Float64Array): NumericArray {
  if (values instanceof Float64Array) return mean;
  if (values instanceof Float32Array) return Float32Array.from(mean);
  return mean.every(Number.isInteger) ? Int32Array.from(mean) : mean;
}

function ofFirstPath(column: Exclude<Column, NumericColumn>, source: Int32Array, rows: number): ColumnValues {
  const cells: unknown[] = new Array(rows).fill(null);
  for (let k = source.length - 1; k >= 0; k--) cells[source[k]] = column.values[k];
  return column.kind === "string" ? (cells as (string | null)[]) : { json: cells };
}
