/** Definitions with plain lists, to hold methods to. */

export const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
export const mean = (list: readonly number[]) => sum(list) / list.length;
export const sigma = (x: number) => 1 / (1 + Math.exp(-x));

/** Sample standard deviation. */
export function spread(list: readonly number[], ddof = 1): number {
  const m = mean(list);
  return Math.sqrt(sum(list.map((x) => (x - m) ** 2)) / (list.length - ddof));
}

/** (x − mean) / (std + eps) inside groups, without the std when eps is null; `alone` says what a group of one gives. */
export function groupNormalised(
  values: readonly number[],
  groups: readonly unknown[],
  eps: number | null,
  alone: (x: number) => number,
): number[] {
  return values.map((x, i) => {
    const pool = values.filter((_, j) => groups[j] === groups[i]);
    if (pool.length === 1) return alone(x);
    if (pool.every((y) => y === pool[0])) return 0;
    return (x - mean(pool)) / (eps === null ? 1 : spread(pool) + eps);
  });
}

/** Slope of f in each argument, by central differences. */
export function slopes(f: (at: readonly number[]) => number, at: readonly number[], step = 1e-5): number[] {
  return at.map((_, k) => {
    const moved = (by: number) => f(at.map((x, j) => (j === k ? x + by : x)));
    return (moved(step) - moved(-step)) / (2 * step);
  });
}
