import type { Level } from "./levels.ts";

/** Arrays that hold numbers of a column. Floats keep the width they came in. */
export type NumericArray = Float64Array | Float32Array | Int32Array | Uint8Array;
export type FloatArray = Float64Array | Float32Array;

interface Presence {
  readonly level: Level;
  /**
   * Per rollout: 1 where the rollout has the column, 0 where it lacks it (its rows are then filled with zeros or null).
   * `null` when every rollout has it.
   */
  readonly present: Uint8Array | null;
}

/** Numbers, one per row; `valid` is 0 where the value is null (the number stored there is 0), `null` when none is. */
export interface NumericColumn extends Presence {
  readonly kind: "number";
  readonly values: NumericArray;
  readonly valid: Uint8Array | null;
}

export interface StringColumn extends Presence {
  readonly kind: "string";
  readonly values: readonly (string | null)[];
}

/** Any JSON per row: tool calls, lists, columns that mix numbers and strings. */
export interface JsonColumn extends Presence {
  readonly kind: "json";
  readonly values: readonly unknown[];
}

export type Column = NumericColumn | StringColumn | JsonColumn;

/** What a method hands to `Batch.with`: values for each row of the level, with a validity list where null is meant. */
export type ColumnValues =
  | NumericArray
  | readonly (string | null)[]
  | { values: NumericArray; valid: Uint8Array | null }
  | { json: readonly unknown[] }
  | { later: () => NumericArray };

/**
 * A numeric column whose values are worked out when they are first read: a broadcast (one number per rollout spread over
 * its tokens) then costs nothing until somebody wants it row by row. `make` must give finite numbers.
 */
export class LaterColumn implements NumericColumn {
  readonly kind = "number";
  readonly valid = null;
  readonly level: Level;
  readonly present: Uint8Array | null;
  readonly #make: () => NumericArray;
  #values: NumericArray | null = null;

  constructor(level: Level, present: Uint8Array | null, make: () => NumericArray) {
    this.level = level;
    this.present = present;
    this.#make = make;
  }

  get values(): NumericArray {
    this.#values ??= this.#make();
    return this.#values;
  }
}

const finiteArrays = new WeakSet<NumericArray>();

/** Index of the first value that is NaN or infinite, or -1; an array is looked through once in its life. */
export function firstNonFinite(values: NumericArray): number {
  if (values instanceof Int32Array || values instanceof Uint8Array || finiteArrays.has(values)) return -1;
  const row = values instanceof Float32Array ? scan32(values) : scan64(values);
  if (row < 0) finiteArrays.add(values);
  return row;
}

/** Tells that an array is known to be finite, where a method has shown it on the way. */
export function markFinite(values: NumericArray): void {
  finiteArrays.add(values);
}

// A sum is finite only if every value is; four lanes hide the latency of the addition. Huge float64 values may overflow
// the sum without being infinite themselves: then each one is looked at. One copy per width: each stays specialised.
function scan64(values: Float64Array): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const n = values.length & ~3;
  for (let i = 0; i < n; i += 4) {
    a += values[i];
    b += values[i + 1];
    c += values[i + 2];
    d += values[i + 3];
  }
  for (let i = n; i < values.length; i++) a += values[i];
  return Number.isFinite(a + b + (c + d)) ? -1 : values.findIndex((x) => !Number.isFinite(x));
}

function scan32(values: Float32Array): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const n = values.length & ~3;
  for (let i = 0; i < n; i += 4) {
    a += values[i];
    b += values[i + 1];
    c += values[i + 2];
    d += values[i + 3];
  }
  for (let i = n; i < values.length; i++) a += values[i];
  return Number.isFinite(a + b + (c + d)) ? -1 : values.findIndex((x) => !Number.isFinite(x));
}

/** Number of the rollout that holds row `row`, by binary search in the offsets of its level. */
export function rolloutOfRow(offsets: Int32Array, row: number): number {
  let low = 0;
  let high = offsets.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (offsets[middle] <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}
