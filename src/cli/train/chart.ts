import type { Curve } from "../../lab/training/summary.ts";
import { magnitude } from "../render/numbers.ts";
import type { Style } from "../render/style.ts";
import { pad, textWidth, truncate } from "../render/text.ts";

/** A curve with its name. */
export interface NamedCurve {
  name: string;
  curve: Pick<Curve, "x" | "y">;
}

export interface ChartOptions {
  title: string;
  /** Columns of the whole chart, its axis included. */
  width: number;
  /** Lines of the chart alone. */
  height: number;
  style: Style;
  /** Ends of the horizontal axis. */
  x: readonly [number, number];
  /** Ends of the vertical axis. */
  y: readonly [number, number];
  /** A line across, as the best that can be had. */
  mark?: number;
}

/** Signs of the curves: they stay apart without colour. */
const signs = ["●", "▲", "■", "◆", "○", "△", "□", "◇"];

/** How the k-th curve is painted. */
function inkOf(k: number, style: Style): (text: string) => string {
  const inks = [
    (text: string) => style.credit(1, text),
    (text: string) => style.credit(-1, text),
    style.accent,
    style.bold,
    style.dim,
  ];
  return inks[k % inks.length];
}

const clamp = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));

/** Values at each of some columns: straight between the points, undefined before the first and behind the last one. */
function resampled({ x, y }: Pick<Curve, "x" | "y">, columns: number, [from, to]: readonly [number, number]) {
  const out: (number | undefined)[] = new Array(columns).fill(undefined);
  if (x.length === 0) return out;
  let k = 0;
  for (let c = 0; c < columns; c++) {
    const at = from + ((to - from) * c) / Math.max(1, columns - 1);
    while (k + 1 < x.length && x[k + 1] < at) k++;
    if (at < x[0] - 1e-9) continue;
    const next = Math.min(k + 1, x.length - 1);
    if (at > x[next] + 1e-9) {
      if (x.length === 1 || at - x[next] > (to - from) / Math.max(1, columns - 1)) continue;
      out[c] = y[next];
    } else {
      const share = x[next] === x[k] ? 0 : (at - x[k]) / (x[next] - x[k]);
      out[c] = y[k] + clamp(share, 0, 1) * (y[next] - y[k]);
    }
  }
  return out;
}

/**
 * Curves as signs on a grid, one sign per column, with the ends of both axes and a legend. Where curves meet, the sign of
 * the later one is seen.
 */
export function chartLines(curves: readonly NamedCurve[], options: ChartOptions): string[] {
  const { width, height, style, x, y, mark } = options;
  const labels = [magnitude(y[1]), magnitude(y[0])];
  const margin = Math.max(...labels.map(textWidth)) + 2;
  const columns = Math.max(10, width - margin - 2);
  const row = (value: number) => Math.round(clamp((y[1] - value) / (y[1] - y[0] || 1), 0, 1) * (height - 1));
  const cells = Array.from({ length: height }, () => new Array<string>(columns).fill(" "));
  if (mark !== undefined) cells[row(mark)].fill(style.dim("·"));
  curves.forEach(({ curve }, k) => {
    const sign = inkOf(k, style)(signs[k % signs.length]);
    resampled(curve, columns, x).forEach((value, c) => {
      if (value !== undefined) cells[row(value)][c] = sign;
    });
  });
  const axis = (k: number) => pad(k === 0 ? labels[0] : k === height - 1 ? labels[1] : "", margin - 1, "right");
  const ends = x.map((end) => String(Math.round(end)));
  const between = " ".repeat(Math.max(1, columns - textWidth(ends[0]) - textWidth(ends[1])));
  return [
    ` ${style.bold(truncate(options.title, width - 2))}`,
    ...cells.map((line, k) => `${style.dim(`${axis(k)} │`)}${line.join("").replace(/ +$/, "")}`),
    style.dim(`${" ".repeat(margin)}└${"─".repeat(columns)}`),
    style.dim(`${" ".repeat(margin + 1)}${ends[0]}${between}${ends[1]}`),
    ...legend(curves, { margin, width, style }),
  ];
}

function legend(
  curves: readonly NamedCurve[],
  { margin, width, style }: { margin: number; width: number; style: Style },
): string[] {
  const lines: string[] = [];
  let used = width;
  curves.forEach(({ name, curve }, k) => {
    const last = curve.y.at(-1);
    const text = `${name}${last === undefined ? "" : ` ${magnitude(last)}`}`;
    const length = textWidth(text) + 5;
    const set = `${inkOf(k, style)(signs[k % signs.length])} ${text}`;
    if (used + length > width) {
      lines.push(`${" ".repeat(margin + 1)}${set}`);
      used = margin + length;
    } else {
      lines[lines.length - 1] += `   ${set}`;
      used += length;
    }
  });
  return lines;
}
