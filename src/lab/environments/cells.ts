/** Name of a cell of a board: row by letter, column by number, `a1` at the top left. */
export function cellName(at: number, columns: number): string {
  return `${String.fromCharCode(97 + Math.floor(at / columns))}${1 + (at % columns)}`;
}

/** Cells with what stands in them, as `a1 3, b2 4`, those that say nothing left out; each name stands beside its mark. */
export function cellList(marks: readonly (string | number | null)[], columns: number): string {
  const named = marks.flatMap((mark, at) => (mark === null ? [] : [`${cellName(at, columns)} ${mark}`]));
  return named.length === 0 ? "empty" : named.join(", ");
}

/** Names of all cells of a board with so many cells. */
export const cellNames = (count: number, columns: number) =>
  Array.from({ length: count }, (_, at) => cellName(at, columns));
