/** Words of a text: runs of letters, digits and underscores of any script, in order. */
export function words(text: string): string[] {
  return text.match(/[\p{L}\p{N}_]+/gu) ?? [];
}

/** Length of a text in code points (not in UTF-16 units). */
export function codePointLength(text: string): number {
  let length = 0;
  for (let k = 0; k < text.length; k++) {
    length++;
    // A low surrogate after a high one belongs to the same code point.
    if ((text.charCodeAt(k) & 0xfc00) === 0xd800 && (text.charCodeAt(k + 1) & 0xfc00) === 0xdc00) k++;
  }
  return length;
}

/** Code points of a text, lone surrogates as they are. */
export function codePoints(text: string): Int32Array {
  const points = new Int32Array(codePointLength(text));
  for (let at = 0, k = 0; at < points.length; at++) {
    const point = text.codePointAt(k) as number;
    points[at] = point;
    k += point > 0xffff ? 2 : 1;
  }
  return points;
}

/** Numbers 0, 1, … by first appearance of each key. */
function numbered(length: number, keyOf: (k: number) => string | number): Int32Array {
  const known = new Map<string | number, number>();
  const out = new Int32Array(length);
  for (let k = 0; k < length; k++) {
    const key = keyOf(k);
    let number = known.get(key);
    if (number === undefined) {
      number = known.size;
      known.set(key, number);
    }
    out[k] = number;
  }
  return out;
}

/**
 * Share of n-grams that repeat an earlier one: 1 − distinct / all; 0 when there are fewer than two n-grams.
 * @param items words or token ids, in order.
 * @param n length of an n-gram, at least 1.
 */
export function repeatedNgramRatio(items: ArrayLike<string | number>, n: number): number {
  const total = items.length - n + 1;
  if (total < 2) return 0;
  const single = numbered(items.length, (k) => items[k]);
  // An n-gram is named by the pair (its first n − 1 items, its last item), so that it never has to be written out.
  let grams = single;
  for (let width = 1; width < n; width++) {
    const shorter = grams;
    grams = numbered(items.length - width, (k) => shorter[k] * items.length + single[k + width]);
  }
  const distinct = grams.reduce((most, name) => Math.max(most, name), -1) + 1;
  return 1 - distinct / total;
}

/** Where each code point stands in a text, in increasing order. */
function positionsOf(points: Int32Array): Map<number, number[]> {
  const positions = new Map<number, number[]>();
  for (let j = 0; j < points.length; j++) {
    const list = positions.get(points[j]);
    if (list === undefined) positions.set(points[j], [j]);
    else list.push(j);
  }
  return positions;
}

/**
 * Code points matched by the Ratcliff-Obershelp recursion: the longest common block of a and b (earliest in a, then
 * earliest in b), and the same again to its left and to its right. Frequent characters count like all others.
 * @param least stops early, with a number below it, once it is clear that fewer will match.
 */
function matchedCodePoints(a: Int32Array, b: Int32Array, least = 0): number {
  const positions = positionsOf(b);
  const nowhere: readonly number[] = [];
  // row[j + 1]: length of the common block that ends at a[i] and b[j]; `above` is the row of a[i − 1].
  let above = new Int32Array(b.length + 1);
  let row = new Int32Array(b.length + 1);
  const open: number[] = [0, a.length, 0, b.length];
  let matched = 0;
  // What has matched and what the open parts could still add at most.
  let attainable = Math.min(a.length, b.length);
  while (open.length > 0 && attainable >= least) {
    const [aFrom, aTo, bFrom, bTo] = open.splice(-4);
    let size = 0;
    let aEnd = 0;
    let bEnd = 0;
    let filled = nowhere;
    for (let i = aFrom; i < aTo; i++) {
      const columns = positions.get(a[i]) ?? nowhere;
      for (const j of columns) {
        if (j < bFrom) continue;
        if (j >= bTo) break;
        const length = above[j] + 1;
        row[j + 1] = length;
        if (length <= size) continue;
        size = length;
        aEnd = i + 1;
        bEnd = j + 1;
      }
      for (const j of filled) above[j + 1] = 0;
      filled = columns;
      [above, row] = [row, above];
    }
    for (const j of filled) above[j + 1] = 0;
    attainable -= Math.min(aTo - aFrom, bTo - bFrom);
    if (size === 0) continue;
    const left = Math.min(aEnd - size - aFrom, bEnd - size - bFrom);
    const right = Math.min(aTo - aEnd, bTo - bEnd);
    matched += size;
    attainable += size + left + right;
    if (left > 0) open.push(aFrom, aEnd - size, bFrom, bEnd - size);
    if (right > 0) open.push(aEnd, aTo, bEnd, bTo);
  }
  return matched;
}

/**
 * Ratcliff-Obershelp similarity of two texts in code points: 2M / (|a| + |b|), M = matched code points; two empty texts
 * give 1. Not symmetric: of equally long blocks the one that comes first in `a` is taken.
 * Time O(|a| · |b|) per level of the recursion, memory O(|b|).
 */
export function textSimilarity(a: string, b: string): number {
  if (a === b) return 1;
  const left = codePoints(a);
  const right = codePoints(b);
  return (2 * matchedCodePoints(left, right)) / (left.length + right.length);
}

/** Upper bound of the matched code points of two texts: how many they share whatever the order. */
function sharedCodePoints(a: Int32Array, b: Int32Array): number {
  const left = new Map<number, number>();
  for (const point of a) left.set(point, (left.get(point) ?? 0) + 1);
  let shared = 0;
  for (const point of b) {
    const count = left.get(point) ?? 0;
    if (count === 0) continue;
    left.set(point, count - 1);
    shared++;
  }
  return shared;
}

/** Whether `textSimilarity(a, b) >= threshold`; settles most unlike pairs by lengths and letters alone. */
export function isSimilarText(a: string, b: string, threshold: number): boolean {
  if (a === b) return true;
  const left = codePoints(a);
  const right = codePoints(b);
  const total = left.length + right.length;
  const reaches = (matched: number) => (2 * matched) / total >= threshold;
  if (!reaches(Math.min(left.length, right.length)) || !reaches(sharedCodePoints(left, right))) return false;
  // One below the bound, as the product may be rounded up; the last word is the ratio itself.
  return reaches(matchedCodePoints(left, right, Math.ceil((threshold * total) / 2) - 1));
}

/**
 * Text between an opening mark and the next closing one, the last such passage of a text (read from the left, passages do
 * not overlap); null when there is none. Linear in the length of the text.
 */
export function lastBetween(text: string, open: string, close: string): string | null {
  let found: string | null = null;
  for (let from = text.indexOf(open); from >= 0; ) {
    const start = from + open.length;
    const end = text.indexOf(close, start);
    if (end < 0) break;
    found = text.slice(start, end);
    from = text.indexOf(open, end + close.length);
  }
  return found;
}
