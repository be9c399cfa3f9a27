import type { NumericArray } from "./column.ts";
import type { Storage } from "./schema.ts";

const firstBlock = 256;
const largestBlock = 2 ** 17;
/** Up to here a loop is faster than setting up a copy. */
const fewValues = 32;

function allocate(storage: Storage, length: number): NumericArray {
  if (storage === "int") return new Int32Array(length);
  return storage === "bit" ? new Uint8Array(length) : new Float64Array(length);
}

/**
 * A list of numbers that grows in blocks, as wide as its column is stored. Growing never copies what is there, so that
 * the peak is the numbers themselves plus one block, and one column more while `joined` runs.
 */
export class NumberBlocks {
  length = 0;
  readonly #storage: Storage;
  #full: NumericArray[] = [];
  #last: NumericArray;
  #used = 0;

  constructor(storage: Storage) {
    this.#storage = storage;
    this.#last = allocate(storage, firstBlock);
  }

  /** Bytes of the numbers so far. */
  get bytes(): number {
    return this.length * this.#last.BYTES_PER_ELEMENT;
  }

  /** Adds the first `count` of some numbers. */
  append(values: NumericArray | readonly number[], count = values.length): void {
    this.length += count;
    for (let from = 0; from < count; ) {
      const room = this.#room(count - from);
      if (ArrayBuffer.isView(values) && room > fewValues) {
        this.#last.set(room === values.length ? values : values.subarray(from, from + room), this.#used);
      } else {
        for (let k = 0; k < room; k++) this.#last[this.#used + k] = values[from + k];
      }
      this.#used += room;
      from += room;
    }
  }

  /** Adds `count` times the same value. */
  fill(value: number, count: number): void {
    this.length += count;
    for (let left = count; left > 0; ) {
      const room = this.#room(left);
      this.#last.fill(value, this.#used, this.#used + room);
      this.#used += room;
      left -= room;
    }
  }

  /** How many of `wanted` values fit in the last block, after a full one was replaced. */
  #room(wanted: number): number {
    if (this.#used === this.#last.length) {
      this.#full.push(this.#last);
      this.#last = allocate(this.#storage, Math.min(largestBlock, this.length));
      this.#used = 0;
    }
    return Math.min(wanted, this.#last.length - this.#used);
  }

  /** Visits the numbers block by block. */
  *blocks(): Generator<NumericArray> {
    yield* this.#full;
    yield this.#last.subarray(0, this.#used);
  }

  /** All numbers in one array. The blocks are given back one by one: the list is empty afterwards. */
  joined(): NumericArray {
    const all = allocate(this.#storage, this.length);
    let at = 0;
    this.#full.reverse();
    for (let block = this.#full.pop(); block !== undefined; block = this.#full.pop()) {
      all.set(block, at);
      at += block.length;
    }
    all.set(this.#last.subarray(0, this.#used), at);
    this.#last = allocate(this.#storage, 0);
    this.#used = 0;
    this.length = 0;
    return all;
  }
}

/** Bytes that grow by doubling; used for validity and presence. */
export class GrowingBytes {
  values: Uint8Array;
  length = 0;

  constructor(capacity = 64) {
    this.values = new Uint8Array(capacity);
  }

  fill(value: number, count: number): void {
    const needed = this.#reserve(count);
    this.values.fill(value, this.length, needed);
    this.length = needed;
  }

  append(bytes: Uint8Array): void {
    const needed = this.#reserve(bytes.length);
    this.values.set(bytes, this.length);
    this.length = needed;
  }

  #reserve(more: number): number {
    const needed = this.length + more;
    if (needed > this.values.length) {
      const next = new Uint8Array(Math.max(needed, this.values.length * 2));
      next.set(this.values.subarray(0, this.length));
      this.values = next;
    }
    return needed;
  }
}
