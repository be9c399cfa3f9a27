import type { Style } from "./style.ts";
import { pad, textWidth, truncate } from "./text.ts";

/** Text of a cell, and how it is set once it has its width. */
export interface Cell {
  text: string;
  set?: (text: string) => string;
}

export interface TableColumn {
  title: string;
  align?: "left" | "right";
  /** Gives up width first when the table is too wide; the number is the least it keeps. */
  shrinkTo?: number;
}

const gap = 2;

const cellOf = (cell: Cell | string): Cell => (typeof cell === "string" ? { text: cell } : cell);

/** Widths of the columns; the widest of those that may shrink gives up a column at a time until the table fits. */
function columnWidths(columns: readonly TableColumn[], rows: readonly (readonly Cell[])[], room: number): number[] {
  const widths = columns.map((column, k) =>
    Math.max(textWidth(column.title), ...rows.map((row) => textWidth(row[k].text))),
  );
  const total = () => widths.reduce((sum, w) => sum + w, 0) + gap * (widths.length - 1);
  while (total() > room) {
    let widest = -1;
    columns.forEach(({ shrinkTo }, k) => {
      if (shrinkTo !== undefined && widths[k] > shrinkTo && (widest < 0 || widths[k] > widths[widest])) widest = k;
    });
    if (widest < 0) break;
    widths[widest]--;
  }
  return widths;
}

/** An aligned table: dim titles, then one line per row. */
export function tableLines(
  columns: readonly TableColumn[],
  rows: readonly (readonly (Cell | string)[])[],
  { style, width, indent = 1 }: { style: Style; width: number; indent?: number },
): string[] {
  const cells = rows.map((row) => row.map(cellOf));
  const widths = columnWidths(columns, cells, width - indent);
  const line = (row: readonly Cell[]) => {
    const parts = row.map(({ text, set }, k) => {
      const filled = pad(truncate(text, widths[k]), widths[k], columns[k].align);
      const shown = k === row.length - 1 ? filled.trimEnd() : filled;
      return set === undefined ? shown : set(shown);
    });
    return (" ".repeat(indent) + parts.join(" ".repeat(gap))).trimEnd();
  };
  return [line(columns.map(({ title }) => ({ text: title, set: style.dim }))), ...cells.map(line)];
}
