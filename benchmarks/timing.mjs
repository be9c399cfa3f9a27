/**
 * Seconds of one call of `work`, minimum and median: at least `repeat` calls over at least `budget` seconds, after warming
 * up for as long again (compilers on both sides need some calls to settle).
 */
export function measure(work, { repeat = 15, budget = 0.4 } = {}) {
  const rounds = (least) => {
    const seconds = [];
    const begin = performance.now();
    while (seconds.length < least || performance.now() - begin < 1000 * budget) {
      const start = performance.now();
      work();
      seconds.push((performance.now() - start) / 1000);
    }
    return seconds;
  };
  rounds(2);
  const seconds = rounds(repeat).sort((a, b) => a - b);
  return { min: seconds[0], median: seconds[seconds.length >> 1] };
}

/** Bytes per second of a plain copy of arrays of this many bytes (read and written bytes counted). */
export function copyRate(bytes) {
  const from = new Float32Array(Math.max(bytes >> 2, 1024));
  const to = new Float32Array(from.length);
  const { median } = measure(() => to.set(from));
  return (2 * from.byteLength) / median;
}

/** 1234567 → "1.2 M". */
export function human(x) {
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ]) {
    if (x >= size) return `${(x / size).toFixed(x >= 100 * size ? 0 : 1)} ${unit}`;
  }
  return x.toFixed(1);
}

/** Prints rows as an aligned table; the first column to the left, the others to the right. */
export function table(head, rows) {
  const cells = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, c) => Math.max(...cells.map((row) => row[c].length)));
  for (const row of cells) {
    console.log(`  ${row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join("  ")}`);
  }
}
