import type { Batch } from "./batch.ts";
import type { Column } from "./column.ts";
import { jaggedKeys } from "./levels.ts";
import type { RolloutObject } from "./schema.ts";

function cellsOf(column: Column, from: number, to: number): unknown[] {
  const cells: unknown[] = new Array(to - from);
  if (column.kind !== "number") {
    for (let row = from; row < to; row++) cells[row - from] = column.values[row];
    return cells;
  }
  const { values, valid } = column;
  for (let row = from; row < to; row++) cells[row - from] = valid !== null && valid[row] === 0 ? null : values[row];
  return cells;
}

/** Sets a property that is always the object's own, whatever its name, as JSON.parse does. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== "__proto__") object[key] = value;
  else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

/** Rollout i of a batch in JSON form: the inverse of `batchFromObjects`. Columns that the rollout lacks stay absent. */
export function rolloutObject(batch: Batch, i: number): RolloutObject {
  const rollout: RolloutObject = { id: batch.ids[i] };
  const group = batch.groupNames[i];
  /** The object under a key; one that came with the batch is copied before anything is put into it. */
  const made = new Set<string>();
  const inside = (key: string): Record<string, unknown> => {
    if (!made.has(key)) rollout[key] = { ...(rollout[key] as object | null | undefined) };
    made.add(key);
    return rollout[key] as Record<string, unknown>;
  };
  if (group !== null) rollout.group = group;
  for (const path of batch.paths) {
    if (!batch.hasIn(path, i)) continue;
    const column = batch.column(path);
    const dot = path.indexOf(".");
    const key = dot < 0 ? path : path.slice(0, dot);
    const name = path.slice(dot + 1);
    if (column.level === "rollout") {
      const [cell] = cellsOf(column, i, i + 1);
      setOwn(key === "rollout" || dot < 0 ? rollout : inside(key), name, cell);
    } else {
      const offsets = batch.offsets(column.level);
      setOwn(inside(key), name, cellsOf(column, offsets[i], offsets[i + 1]));
    }
  }
  for (const [key, level] of Object.entries(jaggedKeys)) {
    const { present } = batch.rows(level);
    if (rollout[key] === undefined && (present === null || present[i] === 1)) rollout[key] = {};
  }
  return rollout;
}

/** All rollouts of a batch in JSON form, one after another. */
export function* rolloutObjects(batch: Batch): Generator<RolloutObject> {
  for (let i = 0; i < batch.size; i++) yield rolloutObject(batch, i);
}
