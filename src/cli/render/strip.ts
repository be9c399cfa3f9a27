import { heatGlyph } from "./bars.ts";
import type { Style } from "./style.ts";
import { pad, safeText, textWidth } from "./text.ts";

/**
 * A token with its share of the scale, -1 to 1; `null` for tokens that the policy did not write or that have no
 * number.
 */
export interface HeatToken {
  text: string;
  amount: number | null;
}

/** Text of a token on one line: line ends become ↵. */
function visible(text: string): string {
  return safeText(text).replace(/\n/g, "↵");
}

function signedGlyph(amount: number | null): string {
  if (amount === null) return "";
  return amount === 0 ? heatGlyph(0) : `${amount < 0 ? "−" : "+"}${heatGlyph(amount)}`;
}

/** Breaks cells into rows that fit into a width. */
function rowsOf<T extends { width: number }>(cells: readonly T[], width: number, gap: number): T[][] {
  const rows: T[][] = [];
  let used = Number.POSITIVE_INFINITY;
  for (const cell of cells) {
    if (used + gap + cell.width > width) {
      rows.push([]);
      used = -gap;
    }
    rows[rows.length - 1].push(cell);
    used += gap + cell.width;
  }
  return rows;
}

function colored(tokens: readonly HeatToken[], width: number, style: Style): string[] {
  const cells = tokens.map(({ text, amount }) => ({ text: visible(text), amount, width: textWidth(visible(text)) }));
  return rowsOf(cells, width, 0).map((row) =>
    row.map(({ text, amount }) => (amount === null ? style.dim(text) : style.heat(amount, text))).join(""),
  );
}

/** Two lines per row: the tokens, and under each a sign and a block as high as its credit is large. */
function uncolored(tokens: readonly HeatToken[], width: number): string[] {
  const cells = tokens.map(({ text, amount }) => {
    const shown = visible(text).trim();
    const glyph = signedGlyph(amount);
    return { shown, glyph, width: Math.max(textWidth(shown), glyph.length) };
  });
  return rowsOf(cells, width, 1).flatMap((row) => [
    row
      .map((cell) => pad(cell.shown, cell.width))
      .join(" ")
      .trimEnd(),
    row
      .map((cell) => pad(cell.glyph, cell.width))
      .join(" ")
      .trimEnd(),
  ]);
}

/** Tokens with their credit as heat: as colour behind the text, or as blocks under it. */
export function heatStrip(tokens: readonly HeatToken[], width: number, style: Style): string[] {
  return style.depth === 0 ? uncolored(tokens, width) : colored(tokens, width, style);
}
