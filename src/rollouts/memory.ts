import type { FloatArray } from "./column.ts";

/**
 * Memory for results that is used again and again: a training loop that credits a batch per update hands the same
 * `ResultMemory` to every `assign`, and after the first updates no new memory is taken from the system.
 * `reuse()` starts over: columns that were written into it before must not be read any more.
 */
export class ResultMemory {
  readonly #slabs: ArrayBuffer[] = [];
  #slab = 0;
  #used = 0;

  /** An array of `length` floats with whatever was there before. */
  floats(length: number, single: boolean): FloatArray {
    const bytes = length * (single ? 4 : 8);
    const start = this.#room(bytes);
    const slab = this.#slabs[this.#slab];
    this.#used = start + ((bytes + 7) & ~7);
    return single ? new Float32Array(slab, start, length) : new Float64Array(slab, start, length);
  }

  /** Makes all memory free for the next results. */
  reuse(): void {
    this.#slab = 0;
    this.#used = 0;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#slabs.reduce((sum, slab) => sum + slab.byteLength, 0);
  }

  #room(bytes: number): number {
    for (; this.#slab < this.#slabs.length; this.#slab++) {
      if (this.#used + bytes <= this.#slabs[this.#slab].byteLength) return this.#used;
      this.#used = 0;
    }
    this.#slabs.push(new ArrayBuffer(Math.max(bytes + 8, 1 << 22)));
    this.#used = 0;
    return 0;
  }
}
