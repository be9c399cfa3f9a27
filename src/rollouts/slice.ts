import { Batch, type LevelRows } from "./batch.ts";
import { cellBytes } from "./cells.ts";
import { type Column, LaterColumn } from "./column.ts";
import { type JaggedLevel, jaggedLevels } from "./levels.ts";

function sliceMarks(marks: Uint8Array | null, from: number, to: number): Uint8Array | null {
  const part = marks?.subarray(from, to);
  return part === undefined || !part.includes(0) ? null : part;
}

/** Rollouts [from, to) as a batch of their own. Numbers are views on those of the batch, not copies. */
export function sliceRollouts(batch: Batch, from: number, to: number): Batch {
  if (from === 0 && to === batch.size) return batch;
  const levels: Partial<Record<JaggedLevel, LevelRows>> = {};
  for (const level of jaggedLevels) {
    const { offsets, present } = batch.rows(level);
    const marks = sliceMarks(present, from, to);
    if (marks !== null && !marks.includes(1)) continue;
    const start = offsets[from];
    levels[level] = { offsets: offsets.subarray(from, to + 1).map((row) => row - start), present: marks };
  }
  const columns = new Map<string, Column>();
  for (const path of batch.paths) {
    const column = batch.column(path);
    const { level } = column;
    const present = sliceMarks(column.present, from, to);
    if (present !== null && !present.includes(1)) continue;
    const offsets = level === "rollout" ? null : batch.offsets(level);
    const start = offsets === null ? from : offsets[from];
    const end = offsets === null ? to : offsets[to];
    if (column instanceof LaterColumn) {
      columns.set(path, new LaterColumn(level, present, () => column.values.subarray(start, end)));
    } else if (column.kind === "number") {
      const valid = sliceMarks(column.valid, start, end);
      columns.set(path, { kind: "number", level, values: column.values.subarray(start, end), valid, present });
    } else if (column.kind === "string") {
      columns.set(path, { kind: "string", level, values: column.values.slice(start, end), present });
    } else columns.set(path, { kind: "json", level, values: column.values.slice(start, end), present });
  }
  return new Batch({
    ids: batch.ids.slice(from, to),
    groupNames: batch.groupNames.slice(from, to),
    levels,
    columns,
  });
}

/** About how many bytes the columns of a batch hold; worked out once. */
export function batchBytes(batch: Batch): number {
  return batch.memo("bytes", () => {
    let bytes = 64 * batch.size;
    for (const rows of Object.values(batch.parts.levels)) bytes += rows.offsets.byteLength;
    for (const column of batch.parts.columns.values()) {
      if (column instanceof LaterColumn) bytes += 8 * batch.count(column.level);
      else if (column.kind === "number") bytes += column.values.byteLength + (column.valid?.byteLength ?? 0);
      else for (const cell of column.values) bytes += 8 + cellBytes(cell);
    }
    return bytes;
  });
}
