import type { Style } from "./style.ts";
import { pad, textWidth, truncate, wrap } from "./text.ts";

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
  /** Breaks long text into lines instead of cutting it. */
  wraps?: boolean;
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

/** An aligned table: dim titles (unless all are empty), then a line or, where a column wraps, several per row. */
export function tableLines(
  columns: readonly TableColumn[],
  rows: readonly (readonly (Cell | string)[])[],
  { style, width, indent = 1 }: { style: Style; width: number; indent?: number },
): string[] {
  const cells = rows.map((row) => row.map(cellOf));
  const widths = columnWidths(columns, cells, width - indent);
  const line = (row: readonly Cell[]) => {
    const parts = row.map(({ text, set }, k) => {
      const filled = pad(text, widths[k], columns[k].align);
      return set === undefined ? filled : set(k === row.length - 1 ? filled.trimEnd() : filled);
    });
    return (" ".repeat(indent) + parts.join(" ".repeat(gap))).trimEnd();
  };
  const rowLines = (row: readonly Cell[]) => {
    const broken = row.map(({ text }, k) =>
      columns[k].wraps === true ? wrap(text, widths[k]) : [truncate(text, widths[k])],
    );
    const height = Math.max(...broken.map((lines) => lines.length));
    return Array.from({ length: height }, (_, at) =>
      line(row.map(({ set }, k) => ({ text: broken[k][at] ?? "", set }))),
    );
  };
  const titled = columns.some(({ title }) => title !== "");
  return [
    ...(titled ? [line(columns.map(({ title }) => ({ text: title, set: style.dim })))] : []),
    ...cells.flatMap(rowLines),
  ];
}
