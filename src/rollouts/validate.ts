import type { Batch } from "./batch.ts";
import { type Column, firstNonFinite, type NumericArray, rolloutOfRow } from "./column.ts";
import { describe, InputError } from "./errors.ts";
import { checkCell, checkEnds, checkPointers, isReward, numericPaths, rewardForm, storageOf } from "./schema.ts";

/** Faults by number of the rollout; the first of each. */
type Faults = Map<number, InputError>;

function note(faults: Faults, rollout: number, check: () => void): void {
  if (faults.has(rollout)) return;
  try {
    check();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    faults.set(rollout, error);
  }
}

function cellOf(column: Column, row: number): unknown {
  if (column.kind !== "number") return column.values[row];
  return column.valid !== null && column.valid[row] === 0 ? null : column.values[row];
}

const noWords = new Uint32Array(0);

/** Whether all bytes are 0 or 1; where there are many, four are looked at in one go. */
function onlyBits(bytes: Uint8Array): boolean {
  const many = bytes.length >= 8;
  const head = many ? (4 - (bytes.byteOffset & 3)) & 3 : bytes.length;
  const words = many ? new Uint32Array(bytes.buffer, bytes.byteOffset + head, (bytes.length - head) >> 2) : noWords;
  let seen = 0;
  for (let k = 0; k < head; k++) seen |= bytes[k];
  for (let k = 0; k < words.length; k++) seen |= words[k];
  for (let k = head + 4 * words.length; k < bytes.length; k++) seen |= bytes[k];
  return (seen & 0xfefefefe) === 0;
}

/** First row whose value is no 0 or 1, or -1. */
function firstNoBit(values: NumericArray): number {
  if (values instanceof Uint8Array && onlyBits(values)) return -1;
  for (let row = 0; row < values.length; row++) if (values[row] !== 0 && values[row] !== 1) return row;
  return -1;
}

/** First row whose value is no whole number of 32 bits, or -1. */
function firstNoInt(values: NumericArray): number {
  if (values instanceof Int32Array || values instanceof Uint8Array) return -1;
  for (let row = 0; row < values.length; row++) if (values[row] !== (values[row] | 0)) return row;
  return -1;
}

/** First row of a column that may be wrong, or -1: rows of rollouts without the column count too. */
function firstSuspect(path: string, column: Column): number {
  if (path === "messages" || path === "meta") return 0;
  const storage = storageOf(path);
  if (column.kind !== "number") {
    return storage !== "float" || numericPaths.has(path) || path.startsWith("rewards.") ? 0 : -1;
  }
  if (storage === "float") return firstNonFinite(column.values);
  const missing = column.valid === null ? -1 : column.valid.indexOf(0);
  const unfit = storage === "bit" ? firstNoBit(column.values) : firstNoInt(column.values);
  return missing < 0 || unfit < 0 ? Math.max(missing, unfit) : Math.min(missing, unfit);
}

function checkOne(id: string, path: string, cell: unknown, row: number): void {
  const at = { rollout: id, column: path, got: describe(cell) };
  if (path === "messages" && !Array.isArray(cell)) throw new InputError("wrong value", { ...at, expected: "a list" });
  if (path === "meta" && (cell === null || typeof cell !== "object" || Array.isArray(cell))) {
    throw new InputError("wrong value", { ...at, expected: "an object" });
  }
  if (path.startsWith("rewards.") && !isReward(cell)) {
    throw new InputError("wrong value", { ...at, expected: rewardForm });
  }
  checkCell(id, path, cell, row);
}

function checkColumn(batch: Batch, path: string, column: Column, faults: Faults): void {
  const suspect = firstSuspect(path, column);
  if (suspect < 0 || suspect >= batch.count(column.level)) return;
  const offsets = batch.offsets(column.level);
  for (let i = rolloutOfRow(offsets, suspect); i < batch.size; i++) {
    if (column.present !== null && column.present[i] === 0) continue;
    note(faults, i, () => {
      for (let row = offsets[i]; row < offsets[i + 1]; row++) {
        checkOne(batch.ids[i], path, cellOf(column, row), column.level === "rollout" ? -1 : row - offsets[i]);
      }
    });
  }
}

/** Rows of one rollout of a column of whole numbers; undefined where it lacks the column. */
function numbersIn(batch: Batch, path: string, i: number): ArrayLike<number> | undefined {
  const column = batch.find(path);
  if (column === undefined || column.kind !== "number" || !batch.hasIn(path, i)) return undefined;
  const offsets = batch.offsets(column.level);
  return column.values.subarray(offsets[i], offsets[i + 1]);
}

function checkEndsOf(batch: Batch, faults: Faults): void {
  const tokens = batch.rows("token");
  for (const path of ["turns.end", "steps.end"]) {
    if (!batch.has(path)) continue;
    for (let i = 0; i < batch.size; i++) {
      const ends = numbersIn(batch, path, i);
      if (ends === undefined) continue;
      const counted = tokens.present === null || tokens.present[i] === 1;
      const count = counted ? tokens.offsets[i + 1] - tokens.offsets[i] : null;
      note(faults, i, () => checkEnds(batch.ids[i], path, ends, count));
    }
  }
}

function checkPointersOf(batch: Batch, faults: Faults): void {
  if (!["turns.parent", "edges.src", "edges.dst"].some((path) => batch.has(path))) return;
  const turns = batch.offsets("turn");
  for (let i = 0; i < batch.size; i++) {
    const edges = { src: numbersIn(batch, "edges.src", i), dst: numbersIn(batch, "edges.dst", i) };
    const parent = numbersIn(batch, "turns.parent", i);
    note(faults, i, () => checkPointers(batch.ids[i], turns[i + 1] - turns[i], parent, edges));
  }
}

function checkIds(batch: Batch, faults: Faults): void {
  const seen = new Set<string>();
  batch.ids.forEach((id, i) => {
    if (typeof id !== "string" || id === "") {
      const at = { expected: "a non-empty string under id", got: describe(id) };
      faults.set(i, new InputError("rollout without an id", at));
    } else if (seen.has(id)) {
      faults.set(
        i,
        new InputError("this id was already used", {
          rollout: id,
          hint: "ids must be unique in all files of one input",
        }),
      );
    } else seen.add(id);
  });
}

/**
 * Holds a batch that was built from columns to the rules of the wire format, as `BatchBuilder` holds objects to them: ids,
 * finite numbers, whole numbers, masks, ends, pointers, messages and meta. Arrays are scanned as wholes; cells are looked
 * at one by one only where something is wrong.
 * @returns the first fault of each rollout that does not conform, by number of the rollout.
 */
export function batchFaults(batch: Batch): Map<number, InputError> {
  const faults: Faults = new Map();
  checkIds(batch, faults);
  for (const [path, column] of batch.parts.columns) checkColumn(batch, path, column, faults);
  checkEndsOf(batch, faults);
  checkPointersOf(batch, faults);
  return faults;
}
