import { type PlotOptions, plot } from "@observablehq/plot";

/** What a plot needs of a document: the page's own in a browser, one of linkedom's in Node. */
export interface PlotDocument {
  createElementNS(namespace: string, name: string): unknown;
}

/** An axis: its label with the unit (`"update"`, `"success"`), or that with more to say. */
export type Axis = string | { label: string; log?: boolean; domain?: readonly [number, number] };

/** What every plot says about itself. */
export interface Sheet {
  title: string;
  /** One line under the title: setting, seeds, what the band is. */
  note?: string;
  /** What is to be seen, for those who cannot; the values in short where it is left out. */
  description?: string;
}

export const plotWidth = 640;

/** Series take these in turn: blue and orange as credit has them in the terminal, then others that stay apart. */
const inks = {
  light: ["#1061b8", "#be5808", "#0b7a55", "#a1348c", "#5d6470", "#8a6d00", "#b3263a", "#2b8a9e"],
  dark: ["#68abf0", "#f09646", "#4ec99b", "#e58fd3", "#aab2bd", "#dcc04a", "#f47f8d", "#62c8dc"],
};
const dashes = ["none", "7 3", "2 3", "9 3 2 3", "4 2"];

export const inkOf = (series: number) => `var(--ink-${series % inks.light.length})`;

/** A second sign besides the colour, so that lines stay apart without it. */
export const dashOf = (series: number) => dashes[series % dashes.length];

const variables = (scheme: "light" | "dark", rest: string) =>
  `${rest};${inks[scheme].map((ink, k) => `--ink-${k}:${ink}`).join(";")}`;

const light = "--paper:#fff;--text:#1b1f26;--faint:#5c6370;--grid:#e4e7ec";
const dark = "--paper:#14171c;--text:#e8ebf0;--faint:#a0a7b3;--grid:#2d333d";
const styles = [
  `.apportion-plot{${variables("light", light)}}`,
  `@media (prefers-color-scheme:dark){.apportion-plot{${variables("dark", dark)}}}`,
  ".apportion-plot{max-width:100%;height:auto;font-family:system-ui,sans-serif;font-variant-numeric:tabular-nums}",
].join("");

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text as it stands in XML. Characters that XML does not have are left out. */
export function xmlText(text: string): string {
  const plain = [...text].filter((c) => c >= " " || c === "\n" || c === "\t").join("");
  return plain.replace(/[&<>"]/g, (c) => escapes[c]);
}

/** Of the wider faces that stand behind system-ui; the narrower ones leave some room. */
const widthOfCharacter = 0.56;

/** About how many pixels text takes up in a sans-serif face. */
export function pixelsOf(text: string, size = 12): number {
  return Math.ceil(text.length * size * widthOfCharacter);
}

/** Text cut to about this many pixels. */
export function fitted(text: string, pixels: number, size = 12): string {
  const most = Math.floor(pixels / (size * widthOfCharacter));
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1)).trimEnd()}…`;
}

const minus = "−";

/** A number as a label: three digits that count, a true minus sign. */
export function label(value: number): string {
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 5e-4 || size >= 1e6)
      ? size.toExponential(1).replace("e+", "e").replace(".0e", "e").replace("e-", `e${minus}`)
      : String(Number(size.toPrecision(size >= 100 ? Math.ceil(Math.log10(size + 1)) : 3)));
  return value < 0 && text !== "0" ? minus + text : text;
}

export const labelOf = (axis: Axis) => (typeof axis === "string" ? axis : axis.label);
/** Ticks and grid lines of a plot: about six, their numbers written as those of the values. */
export const tickOptions = { ticks: 6, tickFormat: (value: number) => label(value) } as const;

export const isLog = (axis: Axis) => typeof axis !== "string" && axis.log === true;

/** Ends of an axis: as asked for, else around the values, with room to spare; a flat line lies in the middle. */
export function domainOf(axis: Axis, values: readonly number[]): [number, number] {
  if (typeof axis !== "string" && axis.domain !== undefined) return [axis.domain[0], axis.domain[1]];
  const log = isLog(axis);
  const known = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  if (known.length === 0) return log ? [0.1, 1] : [0, 1];
  const least = known.reduce((a, b) => Math.min(a, b));
  const greatest = known.reduce((a, b) => Math.max(a, b));
  if (log) return least < greatest ? [least, greatest] : [least / 2, greatest * 2];
  const spread = greatest - least || Math.abs(greatest) || 1;
  // Shares and rewards keep 0 and 1 as their ends when they reach nearly that far.
  const from = least >= 0 && least < 0.5 * spread ? 0 : least - 0.05 * spread;
  const to = greatest <= 1 && greatest > 0.9 && least >= 0 ? 1 : greatest + 0.05 * spread;
  return [from, to];
}

const headSize = 15;

/** A finished picture: title and note on top, the plot under them, the colours of both schemes with it. */
export function sheet(document: PlotDocument, head: Sheet, alternative: string, options: PlotOptions): string {
  const top = head.note === undefined ? 34 : 52;
  const height = options.height ?? 300;
  const drawn = plot({
    ...options,
    document: document as unknown as PlotOptions["document"],
    width: plotWidth,
    height,
  }) as unknown as { innerHTML: string };
  const inner = drawn.innerHTML.replace(/<style>[\s\S]*?<\/style>/, "").replaceAll("&nbsp;", "&#160;");
  const note =
    head.note === undefined
      ? ""
      : `<text x="16" y="44" font-size="12" fill="var(--faint)">${xmlText(fitted(head.note, plotWidth - 32))}</text>`;
  const size = `width="${plotWidth}" height="${top + height}" viewBox="0 0 ${plotWidth} ${top + height}"`;
  const title = xmlText(fitted(head.title, plotWidth - 32, headSize));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="apportion-plot" role="img" ${size}>`,
    `<title>${xmlText(head.title)}</title><desc>${xmlText(head.description ?? alternative)}</desc>`,
    `<style>${styles}</style>`,
    `<rect width="100%" height="100%" rx="6" fill="var(--paper)"/>`,
    `<text x="16" y="25" font-size="${headSize}" font-weight="600" fill="var(--text)">${title}</text>`,
    note,
    `<g transform="translate(0,${top})" fill="var(--text)" font-size="12" text-anchor="middle">${inner}</g>`,
    "</svg>\n",
  ].join("\n");
}
