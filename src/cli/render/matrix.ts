import type { PairTable } from "../../analysis/agreement.ts";
import type { Style } from "./style.ts";
import type { Terminal } from "./terminal.ts";
import { pad, textWidth, truncate } from "./text.ts";

/** A table of numbers for every pair of names. */
export interface Matrix {
  title: string;
  values: PairTable;
  /** Numbers from -1 to 1 with a sign (correlations), or shares. */
  kind: "correlation" | "share";
}

const label = { least: 4, most: 16 };
const cell = { least: 5, most: 9 };
const between = 4;

function number(value: number | null, kind: Matrix["kind"]): string {
  if (value === null) return "–";
  if (kind === "share") return `${Math.round(value * 100)}%`;
  return value.toFixed(2).replace("-", "−");
}

interface Sizes {
  label: number;
  cell: number;
}

/** Lines of one matrix for the columns [from, to), all equally wide. */
function matrixLines(
  matrix: Matrix,
  names: readonly string[],
  [from, to]: readonly [number, number],
  sizes: Sizes,
  style: Style,
): { lines: string[]; width: number } {
  const shown = names.slice(from, to);
  const numbers = sizes.label + shown.length * (sizes.cell + 1);
  const width = Math.max(numbers, textWidth(matrix.title));
  const rest = " ".repeat(width - numbers);
  const head = shown.map((name) => ` ${pad(truncate(name, sizes.cell), sizes.cell, "right")}`).join("");
  const rows = names.map((name, a) => {
    const cells = shown.map((_, k) => {
      const value = matrix.values[a][from + k];
      const text = pad(a === from + k ? "·" : number(value, matrix.kind), sizes.cell, "right");
      if (a === from + k || value === null) return ` ${style.dim(text)}`;
      const amount = matrix.kind === "share" ? 2 * value - 1 : value;
      return ` ${style.heat(0.75 * amount, text)}`;
    });
    return pad(truncate(name, sizes.label), sizes.label) + cells.join("") + rest;
  });
  const titles = [style.bold(pad(matrix.title, width)), `${" ".repeat(sizes.label)}${style.dim(head)}${rest}`];
  return { lines: [...titles, ...rows], width };
}

/** Matrices of the same names, side by side where they fit, broken into blocks of columns where one is too wide. */
export function matricesLines(
  matrices: readonly Matrix[],
  names: readonly string[],
  { width, style }: Terminal,
): string[] {
  const longest = Math.max(...names.map(textWidth));
  const sizes = {
    label: Math.min(label.most, Math.max(label.least, longest)),
    cell: Math.min(cell.most, Math.max(cell.least, longest)),
  };
  const room = width - 1 - sizes.label;
  if (names.length * (sizes.cell + 1) > room) {
    sizes.cell = Math.max(cell.least, Math.floor(room / names.length) - 1);
  }
  const perBlock = Math.max(1, Math.min(names.length, Math.floor(room / (sizes.cell + 1))));
  const blocks = matrices.flatMap((matrix) =>
    Array.from({ length: Math.ceil(names.length / perBlock) }, (_, k) =>
      matrixLines(matrix, names, [k * perBlock, Math.min(names.length, (k + 1) * perBlock)], sizes, style),
    ),
  );
  const lines: string[] = [];
  for (let next = 0; next < blocks.length; ) {
    const row = [blocks[next++]];
    let used = 1 + row[0].width;
    while (next < blocks.length && used + between + blocks[next].width <= width) {
      used += between + blocks[next].width;
      row.push(blocks[next++]);
    }
    if (lines.length > 0) lines.push("");
    row[0].lines.forEach((_, k) => {
      lines.push(` ${row.map((block) => block.lines[k]).join(" ".repeat(between))}`.trimEnd());
    });
  }
  return lines;
}
