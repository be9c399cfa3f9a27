import type { NumericArray } from "./column.ts";

/**
 * The numbers of one list of a rollout without an object per value: what a reader hands to `BatchBuilder.add` in the
 * place of a plain list. `valid` is 0 where the value is null (the number there is then 0), `null` when none is.
 */
export class NumberCells {
  readonly values: NumericArray;
  readonly valid: Uint8Array | null;

  constructor(values: NumericArray, valid: Uint8Array | null = null) {
    this.values = values;
    this.valid = valid;
  }

  get length(): number {
    return this.values.length;
  }
}

/** About how many bytes a cell takes in memory: an estimate, for bounds. */
export function cellBytes(cell: unknown): number {
  if (typeof cell === "string") return 16 + cell.length;
  if (cell === null || typeof cell !== "object") return 8;
  const pending: object[] = [cell];
  let bytes = 0;
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    bytes += 32;
    for (const value of Array.isArray(next) ? next : Object.values(next)) {
      if (typeof value === "string") bytes += 24 + value.length;
      else if (value !== null && typeof value === "object") pending.push(value);
      else bytes += 16;
    }
  }
  return bytes;
}
