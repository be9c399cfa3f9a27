function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

/** The names closest to a mistyped one, best first. */
export function closest(name: string, names: Iterable<string>, most = 3): string[] {
  const near = [...names].map((known) => ({
    known,
    d: known.includes(name) && name.length > 2 ? 0.5 : distance(name, known),
  }));
  return near
    .filter(({ known, d }) => d <= Math.max(2, Math.floor(known.length / 3)))
    .sort((a, b) => a.d - b.d)
    .slice(0, most)
    .map(({ known }) => known);
}
