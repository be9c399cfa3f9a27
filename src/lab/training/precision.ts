import type { Batch, ColumnValues } from "../../rollouts/index.ts";

/** The batch with its float columns in single precision, or as it is: methods then work in that width. */
export function inPrecision(batch: Batch, width: "float32" | "float64"): Batch {
  if (width === "float64") return batch;
  const narrow: Record<string, ColumnValues> = {};
  for (const path of batch.paths) {
    const column = batch.column(path);
    if (column.kind !== "number" || !(column.values instanceof Float64Array)) continue;
    narrow[path] = { values: Float32Array.from(column.values), valid: column.valid };
  }
  return batch.with(narrow);
}
