import { stripVTControlCharacters } from "node:util";

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

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
function graphemeWidth(grapheme: string): number {
  if (zero.test(grapheme)) return 0;
  return wide.test(grapheme) || grapheme.includes("\ufe0f") ? 2 : 1;
}

/** Columns that plain text takes up on a terminal (text without escape codes). */
export function textWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

/** The longest beginning of a text that fits into a width. */
function beginning(text: string, width: number): string {
  if (ascii.test(text)) return text.slice(0, width);
  let used = 0;
  let end = 0;
  for (const { segment, index } of graphemes.segment(text)) {
    used += graphemeWidth(segment);
    if (used > width) break;
    end = index + segment.length;
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

function wrapLine(line: string, width: number): string[] {
  const out: string[] = [];
  let current = "";
  for (const word of line.split(/(?<=\s)(?=\S)/u)) {
    if (textWidth(current) + textWidth(word.trimEnd()) <= width) {
      current += word;
      continue;
    }
    if (current.trim() !== "") out.push(current.trimEnd());
    current = word;
    while (textWidth(current.trimEnd()) > width) {
      const part = beginning(current, width) || [...current][0];
      out.push(part);
      current = current.slice(part.length);
    }
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
