import { Batch, type LevelRows } from "./batch.ts";
import type { Column, NumericArray } from "./column.ts";
import { type JaggedLevel, jaggedLevels, type Level } from "./levels.ts";

function allOnes(marks: Uint8Array): boolean {
  return !marks.includes(0);
}

function gather<T extends NumericArray>(values: T, offsets: Int32Array, rollouts: ArrayLike<number>, rows: number): T {
  const out = new (values.constructor as new (length: number) => T)(rows);
  let at = 0;
  for (let k = 0; k < rollouts.length; k++) {
    const from = offsets[rollouts[k]];
    const to = offsets[rollouts[k] + 1];
    out.set(values.subarray(from, to), at);
    at += to - from;
  }
  return out;
}

function gatherCells<T>(values: readonly T[], offsets: Int32Array, rollouts: ArrayLike<number>): T[] {
  const out: T[] = [];
  for (let k = 0; k < rollouts.length; k++) {
    for (let row = offsets[rollouts[k]]; row < offsets[rollouts[k] + 1]; row++) out.push(values[row]);
  }
  return out;
}

/** The rollouts with the given numbers, in that order, as a batch of their own. Columns are copied. */
export function selectRollouts(batch: Batch, rollouts: ArrayLike<number>): Batch {
  const levels: Partial<Record<JaggedLevel, LevelRows>> = {};
  const pickMarks = (marks: Uint8Array | null) => {
    if (marks === null) return null;
    const picked = Uint8Array.from({ length: rollouts.length }, (_, k) => marks[rollouts[k]]);
    return allOnes(picked) ? null : picked;
  };
  for (const level of jaggedLevels) {
    if (!batch.hasLevel(level, "any")) continue;
    const { offsets, present } = batch.rows(level);
    const next = new Int32Array(rollouts.length + 1);
    for (let k = 0; k < rollouts.length; k++) next[k + 1] = next[k] + offsets[rollouts[k] + 1] - offsets[rollouts[k]];
    levels[level] = { offsets: next, present: pickMarks(present) };
  }
  const rowsOf = (level: Level) =>
    level === "rollout" ? rollouts.length : (levels[level]?.offsets[rollouts.length] ?? 0);
  const columns = new Map<string, Column>();
  for (const path of batch.paths) {
    const column = batch.column(path);
    const offsets = batch.offsets(column.level);
    const present = pickMarks(column.present);
    if (present !== null && !present.includes(1)) continue;
    if (column.kind === "number") {
      const rows = rowsOf(column.level);
      const valid = column.valid === null ? null : gather(column.valid, offsets, rollouts, rows);
      const values = gather(column.values, offsets, rollouts, rows);
      columns.set(path, { ...column, values, valid: valid === null || allOnes(valid) ? null : valid, present });
    } else {
      columns.set(path, {
        ...column,
        values: gatherCells<never>(column.values as never[], offsets, rollouts),
        present,
      });
    }
  }
  return new Batch({
    ids: Array.from(rollouts, (i) => batch.ids[i]),
    groupNames: Array.from(rollouts, (i) => batch.groupNames[i]),
    levels,
    columns,
  });
}

function join(arrays: NumericArray[]): NumericArray {
  const rows = arrays.reduce((sum, a) => sum + a.length, 0);
  const first = arrays[0];
  const same = arrays.every((a) => a.constructor === first.constructor);
  const Kind = (same ? first.constructor : Float64Array) as new (length: number) => NumericArray;
  const out = new Kind(rows);
  let at = 0;
  for (const a of arrays) {
    out.set(a, at);
    at += a.length;
  }
  return out;
}

function joinColumns(path: string, level: Level, batches: readonly Batch[]): Column {
  const parts = batches.map((batch) => batch.find(path));
  const present = new Uint8Array(batches.reduce((sum, batch) => sum + batch.size, 0));
  let at = 0;
  batches.forEach((batch, k) => {
    const part = parts[k];
    if (part?.present === null) present.fill(1, at, at + batch.size);
    else if (part !== undefined) present.set(part.present as Uint8Array, at);
    at += batch.size;
  });
  const marks = allOnes(present) ? null : present;
  if (parts.every((part) => part === undefined || part.kind === "number")) {
    const first = parts.find((part) => part !== undefined) as Column & { kind: "number" };
    const Kind = first.values.constructor as new (length: number) => NumericArray;
    const values = join(
      parts.map((part, k) => (part?.kind === "number" ? part.values : new Kind(batches[k].count(level)))),
    );
    if (parts.every((part) => part?.kind !== "number" || part.valid === null))
      return { kind: "number", level, values, valid: null, present: marks };
    const valid = join(
      parts.map(
        (part, k) => (part?.kind === "number" ? part.valid : null) ?? new Uint8Array(batches[k].count(level)).fill(1),
      ),
    ) as Uint8Array;
    return { kind: "number", level, values, valid, present: marks };
  }
  const cells = batches.flatMap((batch, k) =>
    parts[k] === undefined ? new Array(batch.count(level)).fill(null) : batch.cells(path).map((cell) => cell ?? null),
  );
  const text = parts.every((part) => part === undefined || part.kind === "string");
  if (text) return { kind: "string", level, values: cells as (string | null)[], present: marks };
  return { kind: "json", level, values: cells, present: marks };
}

/** Batches one after another as one; a column that one of them lacks is absent in its rollouts. */
export function concatBatches(batches: readonly Batch[]): Batch {
  if (batches.length === 1) return batches[0];
  const levels: Partial<Record<JaggedLevel, LevelRows>> = {};
  const size = batches.reduce((sum, batch) => sum + batch.size, 0);
  for (const level of jaggedLevels) {
    if (!batches.some((batch) => batch.size > 0 && batch.hasLevel(level, "any"))) continue;
    const offsets = new Int32Array(size + 1);
    const present = new Uint8Array(size);
    let at = 0;
    for (const batch of batches) {
      const rows = batch.rows(level);
      for (let i = 0; i < batch.size; i++, at++) {
        offsets[at + 1] = offsets[at] + rows.offsets[i + 1] - rows.offsets[i];
        present[at] = rows.present === null ? 1 : rows.present[i];
      }
    }
    levels[level] = { offsets, present: allOnes(present) ? null : present };
  }
  const paths = new Map<string, Level>();
  for (const batch of batches) for (const path of batch.paths) paths.set(path, batch.column(path).level);
  const columns = new Map<string, Column>();
  for (const [path, level] of paths) columns.set(path, joinColumns(path, level, batches));
  return new Batch({
    ids: batches.flatMap((batch) => batch.ids),
    groupNames: batches.flatMap((batch) => batch.groupNames),
    levels,
    columns,
  });
}
