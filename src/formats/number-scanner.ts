import { NumberCells } from "../rollouts/index.ts";
import { exactPowers, longDecimal } from "./decimal.ts";

const minus = 45;
const point = 46;
const comma = 44;
const closing = 93;
const upperE = 69;
const lowerE = 101;

/** Spaces within a line. A line feed is the end of it. */
function isSpace(byte: number): boolean {
  return byte === 32 || byte === 9 || byte === 13;
}

/** Whether `null` starts here. */
function isNull(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 110 && bytes[at + 1] === 117 && bytes[at + 2] === 108 && bytes[at + 3] === 108;
}

/**
 * Reads JSON lists of numbers and nulls from bytes into one array that all lists of a line share. It knows nothing of
 * faults: what is not such a list is left to the general reader, which then says what is wrong.
 */
export class NumberScanner {
  #values = new Float64Array(4096);
  #valid = new Uint8Array(4096);
  #length = 0;
  #cells: NumberCells | null = null;

  /** Forgets the lists read so far; their room is used again. */
  reset(): void {
    this.#length = 0;
  }

  /** The list that was read last. Good until the next `reset`. */
  get cells(): NumberCells {
    return this.#cells as NumberCells;
  }

  /**
   * Reads a list. The bytes must hold a line feed at or after the end of the line.
   * @param start position behind the opening bracket.
   * @returns the position behind the closing bracket, or -1 when this is not a list of numbers and nulls.
   */
  list(bytes: Buffer, start: number): number {
    let values = this.#values;
    const first = this.#length;
    let length = first;
    let nulls = false;
    let at = start;
    let byte = bytes[at];
    while (isSpace(byte)) byte = bytes[++at];
    if (byte === closing) return this.#done(first, first, false, at + 1);
    for (;;) {
      if (length === values.length) {
        this.#grow();
        values = this.#values;
      }
      const negative = byte === minus;
      if (negative) byte = bytes[++at];
      const digits = at;
      const lead = byte - 48;
      if (lead >>> 0 <= 9) {
        let value = lead;
        byte = bytes[++at];
        let digit = byte - 48;
        if (lead > 0) {
          while (digit >>> 0 <= 9) {
            value = value * 10 + digit;
            byte = bytes[++at];
            digit = byte - 48;
          }
        } else if (digit >>> 0 <= 9) return -1;
        let power = 0;
        if (byte === point) {
          const fraction = ++at;
          byte = bytes[at];
          digit = byte - 48;
          while (digit >>> 0 <= 9) {
            value = value * 10 + digit;
            byte = bytes[++at];
            digit = byte - 48;
          }
          power = fraction - at;
          if (power === 0) return -1;
        }
        const digitsEnd = at;
        let exponent = 0;
        if (byte === lowerE || byte === upperE) {
          byte = bytes[++at];
          const shrinks = byte === minus;
          if (shrinks || byte === 43) byte = bytes[++at];
          const from = at;
          digit = byte - 48;
          while (digit >>> 0 <= 9) {
            if (exponent < 100000) exponent = exponent * 10 + digit;
            byte = bytes[++at];
            digit = byte - 48;
          }
          if (at === from) return -1;
          if (shrinks) exponent = -exponent;
          power += exponent;
        }
        // Below 2^53 no step above was rounded, so that one multiplication or division gives the nearest double.
        if (value < 9007199254740992 && power <= 0 && power >= -22) {
          if (power < 0) value /= exactPowers[-power];
        } else if (value < 9007199254740992 && power > 0 && power <= 22) value *= exactPowers[power];
        else {
          value = longDecimal(bytes, digits, digitsEnd, exponent);
          if (Number.isNaN(value)) value = Number(bytes.toString("latin1", digits, at));
        }
        values[length] = negative ? -value : value;
        if (nulls) this.#valid[length] = 1;
      } else if (!negative && isNull(bytes, at)) {
        at += 4;
        byte = bytes[at];
        if (!nulls) this.#valid.fill(1, first, length);
        nulls = true;
        values[length] = 0;
        this.#valid[length] = 0;
      } else return -1;
      length++;
      while (isSpace(byte)) byte = bytes[++at];
      if (byte === closing) return this.#done(first, length, nulls, at + 1);
      if (byte !== comma) return -1;
      byte = bytes[++at];
      while (isSpace(byte)) byte = bytes[++at];
    }
  }

  #done(first: number, length: number, nulls: boolean, end: number): number {
    const valid = nulls ? this.#valid.subarray(first, length) : null;
    this.#cells = new NumberCells(this.#values.subarray(first, length), valid);
    this.#length = length;
    return end;
  }

  // Lists read before keep the array that they were read into.
  #grow(): void {
    const values = new Float64Array(this.#values.length * 2);
    values.set(this.#values);
    this.#values = values;
    const valid = new Uint8Array(values.length);
    valid.set(this.#valid);
    this.#valid = valid;
  }
}
