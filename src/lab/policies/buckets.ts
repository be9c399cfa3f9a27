/**
 * The size to which `count` rows are padded: a power of two from `least` to `most`, so that few shapes are ever
 * compiled. More rows than `most` go in several calls.
 */
export function bucket(count: number, least: number, most: number): number {
  let size = least;
  while (size < count && size < most) size *= 2;
  return Math.min(size, most);
}

/** Length to which sequences are padded: 8, 12, 16, 24, 32, 48, 64, …: less than a third of it is padding. */
export function lengthBucket(length: number): number {
  let size = 8;
  while (size < length) size = size % 3 === 0 ? (size / 3) * 4 : (size / 2) * 3;
  return size;
}

/** The next multiple of four: rows of any other length are multiplied number by number instead of four at a time. */
export const inFours = (count: number) => 4 * Math.ceil(count / 4);
