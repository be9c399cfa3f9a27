/**
 * Exclusive ends of the segments of `n` rows cut into at most `most` parts of equal length ⌈n / most⌉, the last one being
 * what is left; no rows give no segments.
 */
export function equalEnds(n: number, most: number): number[] {
  const size = Math.ceil(n / most);
  const ends: number[] = [];
  for (let end = size; end < n; end += size) ends.push(end);
  if (n > 0) ends.push(n);
  return ends;
}
