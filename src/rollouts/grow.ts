/** A list of float64 that grows by doubling; bytes can be added in bulk without an object per value. */
export class GrowingFloats {
  values: Float64Array;
  length = 0;

  constructor(capacity = 1024) {
    this.values = new Float64Array(capacity);
  }

  /** Makes room for `more` values and returns the array to write them to, from index `length`. */
  reserve(more: number): Float64Array {
    const needed = this.length + more;
    if (needed > this.values.length) {
      const next = new Float64Array(Math.max(needed, this.values.length * 2));
      next.set(this.values.subarray(0, this.length));
      this.values = next;
    }
    return this.values;
  }

  /** Adds `count` times the same value. */
  fill(value: number, count: number): void {
    this.reserve(count).fill(value, this.length, this.length + count);
    this.length += count;
  }
}

/** Bytes that grow by doubling; used for validity and presence. */
export class GrowingBytes {
  values: Uint8Array;
  length = 0;

  constructor(capacity = 1024) {
    this.values = new Uint8Array(capacity);
  }

  fill(value: number, count: number): void {
    const needed = this.length + count;
    if (needed > this.values.length) {
      const next = new Uint8Array(Math.max(needed, this.values.length * 2));
      next.set(this.values.subarray(0, this.length));
      this.values = next;
    }
    this.values.fill(value, this.length, needed);
    this.length = needed;
  }
}
