import { stripVTControlCharacters } from "node:util";

// A character with its marks, modifiers and joined parts, or a flag. Intl.Segmenter takes quadratic time on long text.
const grapheme = /\p{RI}{2}|\P{M}(?:\p{M}|\p{EMod}|\u200d\P{M})*|\p{M}+/gu;
const graphemesOf = (text: string) => text.match(grapheme) ?? [];

// Control characters other than line ends, and the marks that change the direction of text.
const unsafe = /(?!\n)[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Text that is safe to print: what a rollout says must not steer the terminal. Escape sequences and control characters
 * are taken out, tabs become spaces; line ends stay.
 */
export function safeText(text: string): string {
  const lines = stripVTControlCharacters(text).replace(/\r\n?/g, "\n").replace(/\t/g, "  ");
  return lines.replace(unsafe, "");
}

/** Blocks of the scripts whose characters take up two columns, and emoji. */
const wideBlocks = [
  "\\u1100-\\u115f\\u2e80-\\u303e\\u3041-\\u33ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\ua000-\\ua4cf\\ua960-\\ua97f",
  "\\uac00-\\ud7a3\\uf900-\\ufaff\\ufe30-\\ufe6f\\uff00-\\uff60\\uffe0-\\uffe6",
  "\\u{1f000}-\\u{1faff}\\u{20000}-\\u{3fffd}\\p{Emoji_Presentation}",
];
const wide = new RegExp(`^[${wideBlocks.join("")}]`, "u");
const zero = /^[\p{Mn}\p{Me}\p{Cf}]/u;
const ascii = /^[ -~]*$/;

/** Columns that one grapheme takes up. */
function graphemeWidth(text: string): number {
  if (zero.test(text)) return 0;
  return wide.test(text) || text.includes("\ufe0f") ? 2 : 1;
}

/** Columns that plain text takes up on a terminal (text without escape codes). */
export function textWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const one of graphemesOf(text)) width += graphemeWidth(one);
  return width;
}

/** The longest beginning of a text that fits into a width. */
function beginning(text: string, width: number): string {
  if (ascii.test(text)) return text.slice(0, width);
  let used = 0;
  let end = 0;
  for (const one of graphemesOf(text)) {
    used += graphemeWidth(one);
    if (used > width) break;
    end += one.length;
  }
  return text.slice(0, end);
}

/** Text cut to a width, with an ellipsis where something is missing. */
export function truncate(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  return width < 1 ? "" : `${beginning(text, width - 1).trimEnd()}…`;
}

/** Text filled up with spaces to a width; longer text stays as it is. */
export function pad(text: string, width: number, align: "left" | "right" | "center" = "left"): string {
  const missing = Math.max(0, width - textWidth(text));
  if (align === "right") return " ".repeat(missing) + text;
  if (align === "left") return text + " ".repeat(missing);
  const before = missing >> 1;
  return " ".repeat(before) + text + " ".repeat(missing - before);
}

/** Pieces of a word, each as wide as will fit, in one pass over the word. */
function pieces(word: string, width: number): string[] {
  if (ascii.test(word)) {
    return Array.from({ length: Math.ceil(word.length / width) }, (_, k) => word.slice(k * width, (k + 1) * width));
  }
  const out: string[] = [""];
  let used = 0;
  for (const one of graphemesOf(word)) {
    const columns = graphemeWidth(one);
    if (used > 0 && used + columns > width) {
      out.push("");
      used = 0;
    }
    out[out.length - 1] += one;
    used += columns;
  }
  return out;
}

function wrapLine(line: string, width: number): string[] {
  const out: string[] = [];
  let current = "";
  for (const word of line.split(/(?<=\s)(?=\S)/u)) {
    if (textWidth(current) + textWidth(word.trimEnd()) <= width) {
      current += word;
      continue;
    }
    if (current.trim() !== "") out.push(current.trimEnd());
    const whole = textWidth(word.trimEnd()) <= width;
    const parts = whole ? [word] : pieces(word, width);
    out.push(...parts.slice(0, -1));
    current = parts[parts.length - 1];
  }
  out.push(current.trimEnd());
  return out;
}

/** Lines of a text, broken between words where they are longer than `width` (words longer than that are broken too). */
export function wrap(text: string, width: number): string[] {
  return text.split("\n").flatMap((line) => wrapLine(line, Math.max(1, width)));
}

/** Text on one line: every run of white space is one space. */
export function oneLine(text: string): string {
  return text.replace(/\s+/gu, " ").trim();
}
