import type { Style } from "./style.ts";

const clamp = (amount: number) => Math.max(-1, Math.min(1, amount));

/**
 * A bar from the middle: to the right in blue above zero, to the left in orange below. `half` columns on either side of
 * the axis, each column worth two steps.
 * @param amount credit as a share of the scale, -1 to 1.
 */
export function divergingBar(amount: number, half: number, style: Style): string {
  const share = clamp(amount);
  const steps = share === 0 ? 0 : Math.max(1, Math.round(Math.abs(share) * half * 2));
  const full = "█".repeat(steps >> 1);
  const odd = steps % 2 === 1;
  const empty = " ".repeat(half - (steps >> 1) - (odd ? 1 : 0));
  const axis = style.dim("│");
  if (share >= 0) return `${" ".repeat(half)}${axis}${style.credit(share, full + (odd ? "▌" : ""))}${empty}`;
  return `${empty}${style.credit(share, (odd ? "▐" : "") + full)}${axis}${" ".repeat(half)}`;
}

const levels = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/** Blocks of a sparkline stay below full height, so that lines under each other do not run together. */
const sparks = levels.slice(0, 6);

/**
 * One block per value, its height between the least and the greatest of the scale; at most `most` blocks (means of
 * runs).
 */
export function sparkline(
  values: readonly number[],
  [least, greatest]: readonly [number, number],
  most: number,
): string {
  const count = Math.min(most, values.length);
  let out = "";
  for (let k = 0; k < count; k++) {
    const run = values.slice(Math.floor((k * values.length) / count), Math.floor(((k + 1) * values.length) / count));
    const mean = run.reduce((sum, x) => sum + x, 0) / run.length;
    const share = greatest > least ? (mean - least) / (greatest - least) : 0;
    out += sparks[Math.round(Math.max(0, Math.min(1, share)) * (sparks.length - 1))];
  }
  return out;
}

/** A block as high as a credit is large, a dot for none. */
export function heatGlyph(amount: number): string {
  const share = Math.abs(clamp(amount));
  return share === 0 ? "·" : levels[Math.min(levels.length - 1, Math.floor(share * levels.length))];
}
