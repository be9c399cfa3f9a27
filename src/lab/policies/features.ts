import { splitWords } from "../environments/vocabulary.ts";

/** Numbers that an MLP policy sees in place of a view. */
export interface Features {
  readonly size: number;
  /** The numbers of a view, `size` of them. */
  of(view: string): ArrayLike<number>;
}

/** 32 bits of a text that are the same on every machine (FNV-1a over its UTF-16 units). */
function hash(text: string): number {
  let bits = 0x811c9dc5;
  for (let k = 0; k < text.length; k++) bits = Math.imul(bits ^ text.charCodeAt(k), 0x01000193);
  bits = Math.imul(bits ^ (bits >>> 15), 0x2c1b3c6d);
  return (bits ^ (bits >>> 13)) >>> 0;
}

/**
 * Words of a view and pairs of neighbouring words, hashed: each adds 1 or −1 to one of `size` places (Weinberger and
 * others, arXiv 0902.2206), and the row is scaled to length 1. The last place is 1 for every view. What was worked out
 * is kept.
 */
export function wordFeatures(size = 64): Features {
  const known = new Map<string, Float32Array>();
  const places = size - 1;
  const add = (row: Float32Array, text: string) => {
    const bits = hash(text);
    row[(bits >>> 1) % places] += bits & 1 ? 1 : -1;
  };
  const made = (view: string): Float32Array => {
    const row = new Float32Array(size);
    const words = splitWords(view).map((word) => word.trim());
    words.forEach((word, k) => {
      add(row, word);
      if (k > 0) add(row, `${words[k - 1]} ${word}`);
    });
    const length = Math.hypot(...row);
    if (length > 0) for (let k = 0; k < places; k++) row[k] /= length;
    row[places] = 1;
    return row;
  };
  return {
    size,
    of(view) {
      let row = known.get(view);
      if (row === undefined) {
        row = made(view);
        known.set(view, row);
      }
      return row;
    },
  };
}
