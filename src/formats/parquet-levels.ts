import { BadParquet } from "./parquet-thrift-read.ts";

/** Bits of a number from 0 to `highest`. */
export function widthFor(highest: number): number {
  return 32 - Math.clz32(highest);
}

interface Varint {
  value: number;
  next: number;
}

function varint(bytes: Uint8Array, at: number, end: number): Varint {
  let value = 0;
  for (let k = at, scale = 1; k < end && k < at + 5; k++, scale *= 128) {
    value += (bytes[k] & 127) * scale;
    if (bytes[k] < 128) return { value, next: k + 1 };
  }
  throw new BadParquet("a run has no length");
}

/** Numbers of a fixed width packed bit by bit. */
function unpack(
  bytes: Uint8Array,
  at: number,
  width: number,
  out: Uint8Array | Int32Array,
  from: number,
  to: number,
): void {
  const mask = (1 << width) - 1;
  if (width === 1) {
    for (let k = from; k < to; k++) out[k] = (bytes[at + ((k - from) >> 3)] >> ((k - from) & 7)) & 1;
    return;
  }
  let place = at;
  let bit = 0;
  for (let k = from; k < to; k++) {
    const word = bytes[place] | (bytes[place + 1] << 8) | (bytes[place + 2] << 16) | (bytes[place + 3] << 24);
    out[k] = (word >>> bit) & mask;
    bit += width;
    place += bit >> 3;
    bit &= 7;
  }
}

/**
 * Decodes numbers in Parquet's mix of runs and packed groups.
 * @param out takes as many numbers as it is long.
 * @throws BadParquet when the bytes end before that.
 */
export function decodeRuns(
  bytes: Uint8Array,
  from: number,
  end: number,
  width: number,
  out: Uint8Array | Int32Array,
): void {
  // Wider numbers would not fit in the 32 bits that are looked at; no page has that many values to choose from.
  if (width > 24) throw new BadParquet(`numbers of ${width} bits`);
  const valueBytes = (width + 7) >> 3;
  let at = from;
  for (let filled = 0; filled < out.length; ) {
    const { value: head, next } = varint(bytes, at, end);
    at = next;
    if (head % 2 === 1) {
      const groups = (head - 1) / 2;
      const to = Math.min(filled + groups * 8, out.length);
      if (groups === 0 || Math.ceil(((to - filled) * width) / 8) > end - at) throw new BadParquet("a run is cut short");
      unpack(bytes, at, width, out, filled, to);
      at += groups * width;
      filled = to;
      continue;
    }
    if (head === 0 || valueBytes > end - at) throw new BadParquet("a run is cut short");
    let value = 0;
    for (let k = 0; k < valueBytes; k++) value |= bytes[at++] << (8 * k);
    const to = Math.min(filled + head / 2, out.length);
    out.fill(value, filled, to);
    filled = to;
  }
}

/**
 * Levels of a page, one per entry.
 * @returns null when all of them are the highest, which is seen without decoding where they are one run.
 */
export function decodeLevels(
  bytes: Uint8Array,
  from: number,
  end: number,
  highest: number,
  entries: number,
): Uint8Array | null {
  if (highest === 0) return null;
  if (entries > 0) {
    const { value: head, next } = varint(bytes, from, end);
    if (head % 2 === 0 && head / 2 >= entries && next < end && bytes[next] === highest) return null;
  }
  const levels = new Uint8Array(entries);
  decodeRuns(bytes, from, end, widthFor(highest), levels);
  for (let k = 0; k < entries; k++) if (levels[k] > highest) throw new BadParquet("a level is out of range");
  return levels;
}

/**
 * Where rows begin: the places of the zeros among repetition levels of 0 and 1. Runs of ones are passed over, not written
 * out.
 * @throws BadParquet when the bytes end before all entries are seen.
 */
export function rowStarts(bytes: Uint8Array, from: number, end: number, entries: number): Int32Array {
  const starts: number[] = [];
  let at = from;
  for (let seen = 0; seen < entries; ) {
    const { value: head, next } = varint(bytes, at, end);
    at = next;
    if (head % 2 === 0) {
      if (head === 0 || at >= end || bytes[at] > 1) throw new BadParquet("a run is cut short");
      const to = Math.min(seen + head / 2, entries);
      if (bytes[at++] === 0) for (let k = seen; k < to; k++) starts.push(k);
      seen = to;
      continue;
    }
    const groups = (head - 1) / 2;
    const to = Math.min(seen + groups * 8, entries);
    if (groups === 0 || Math.ceil((to - seen) / 8) > end - at) throw new BadParquet("a run is cut short");
    for (let k = seen; k < to; k += 8) {
      const byte = bytes[at + ((k - seen) >> 3)];
      if (byte === 255) continue;
      for (let bit = 0; bit < 8 && k + bit < to; bit++) if (((byte >> bit) & 1) === 0) starts.push(k + bit);
    }
    at += groups;
    seen = to;
  }
  return Int32Array.from(starts);
}
