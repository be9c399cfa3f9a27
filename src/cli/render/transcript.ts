import type { Said, ShownCall, Transcript, TranscriptRow } from "../../analysis/transcript.ts";
import { divergingBar } from "./bars.ts";
import { signed } from "./numbers.ts";
import { type HeatToken, heatStrip } from "./strip.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, pad, safeText, textWidth, truncate, wrap } from "./text.ts";

/** A column of credit beside the transcript: a number per row, `null` where there is none. */
export interface CreditColumn {
  title: string;
  at(row: TranscriptRow): number | null;
  /** The credit that fills half a bar. */
  scale: number;
}

export interface TranscriptView extends Terminal {
  columns: readonly CreditColumn[];
  /** Tokens of a row, where they are to be shown as a strip. */
  strip?: (row: TranscriptRow) => readonly HeatToken[] | null;
  /** Everything that was said, not only its beginning. */
  full: boolean;
  /** Columns that text gets at least, so that several transcripts line up. */
  leastText?: number;
  /** Show who acts on every row, also where it is always the same. */
  labelled?: boolean;
}

/** How many lines of each kind are shown before the rest is left out. */
interface Limits {
  text: number;
  calls: number;
  observation: number;
  strip: number;
}

const mostSaid = 3;

/** Short rollouts are shown at more length than long ones. */
function limitsOf(rows: number): Limits {
  if (rows <= 12) return { text: 6, calls: 4, observation: 3, strip: 6 };
  return rows <= 40 ? { text: 3, calls: 2, observation: 2, strip: 3 } : { text: 2, calls: 1, observation: 1, strip: 2 };
}

const numberWidth = 7;
const columnGap = 2;
/** What text should have beside several bars, and what it needs at least. */
const usualTextWidth = 38;
const leastTextWidth = 30;

/** A line of text and how it is set. */
interface Line {
  text: string;
  set: (text: string) => string;
}

/** Lines of one text; of a long one the beginning, and a note on what is left out. */
function shortened(lines: readonly string[], limit: number, full: boolean): { told: string[]; note: string | null } {
  if (full) return { told: [...lines], note: null };
  const told = lines.filter((line) => line !== "");
  if (told.length <= limit) return { told, note: null };
  if (limit === 1) return { told: [`${told[0]} …`], note: null };
  return { told: told.slice(0, limit - 1), note: `… ${told.length - limit + 1} more lines (--full)` };
}

function argument(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : (JSON.stringify(value) ?? "");
}

/** A tool call on one line: `search(query: "…", limit: 5)`. */
export function callText({ name, arguments: given }: ShownCall): string {
  if (given === null || given === undefined) return `${name}()`;
  if (typeof given !== "object" || Array.isArray(given)) return `${name}(${argument(given)})`;
  const parts = Object.entries(given).map(([key, value]) => `${key}: ${argument(value)}`);
  return `${name}(${parts.join(", ")})`;
}

const branchText = (after: number) => (after < 0 ? "another start" : `branches off after turn ${after + 1}`);

function body(row: TranscriptRow, width: number, most: Limits, { style, full }: TranscriptView): Line[] {
  const lines: Line[] = [];
  const add = (text: string, limit: number, set: Line["set"], lead = "") => {
    const wrapped = wrap(safeText(text).trim(), width - textWidth(lead));
    const blank = " ".repeat(textWidth(lead));
    const { told, note } = shortened(wrapped, limit, full);
    told.forEach((line, k) => {
      lines.push({ text: (k === 0 ? lead : blank) + line, set });
    });
    if (note !== null) lines.push({ text: blank + note, set: style.dim });
  };
  const plain = (text: string) => text;
  if (row.agent !== null) lines.push({ text: truncate(safeText(row.agent), width), set: style.accent });
  if (row.after !== null) lines.push({ text: branchText(row.after), set: style.dim });
  const head = lines.length;
  const said = row.text?.trim() ?? "";
  if (said !== "") add(said, most.text, plain);
  for (const call of row.calls) {
    // Some files hold the call in the text too.
    if (!said.includes(`${call.name}(`)) add(oneLine(callText(call)), most.calls, plain, "▸ ");
  }
  if (row.observation !== null && row.observation.trim() !== "") {
    add(row.observation, most.observation, style.dim, "→ ");
  }
  if (lines.length === head && row.state !== null) add(`in ${row.state}`, 1, style.dim);
  return lines;
}

/** What stands beside a row: bar and number on one line, or with several columns the bars above their numbers. */
function side(row: TranscriptRow, half: number, { columns, style }: TranscriptView): string[] {
  const cells = columns.map((column) => {
    const value = column.at(row);
    if (value === null) return { bar: " ".repeat(2 * half + 1), text: "", value: 0 };
    return {
      bar: divergingBar(column.scale === 0 ? 0 : value / column.scale, half, style),
      text: signed(value, column.scale),
      value,
    };
  });
  const set = (value: number, text: string) => (value === 0 ? style.dim(text) : style.credit(value, text));
  if (cells.length === 0) return [];
  if (cells.length === 1) {
    const [{ bar, text, value }] = cells;
    return [`${set(value, pad(text, numberWidth, "right"))}  ${bar}`.trimEnd()];
  }
  return [
    cells.map(({ bar }) => bar).join("  "),
    cells.map(({ text, value }) => set(value, pad(text, 2 * half + 1, "center"))).join("  "),
  ];
}

/** How many columns of credit leave enough room for text. */
export function fittingColumns(width: number): number {
  return Math.max(2, Math.floor((width - leastTextWidth) / 9));
}

interface Layout {
  gutter: number;
  half: number;
  /** Width of what was said. */
  text: number;
  most: Limits;
}

/** Columns on either side of the axis of a bar, by the room that text leaves. */
function halfBar(columns: number, room: number, width: number): number {
  if (columns === 1) return width >= 100 ? 10 : 6;
  const cell = Math.floor(room / Math.max(1, columns)) - columnGap;
  return Math.min(width >= 90 ? 5 : 3, Math.max(3, Math.floor((cell - 1) / 2)));
}

function layoutOf(rows: number, { columns, width }: TranscriptView): Layout {
  const gutter = Math.max(2, String(rows).length) + 2;
  const half = halfBar(columns.length, width - gutter - usualTextWidth, width);
  const cell = columns.length === 1 ? 2 * half + 1 + numberWidth + columnGap : 2 * half + 1;
  const side = columns.length * (cell + columnGap);
  return { gutter, half, most: limitsOf(rows), text: Math.max(16, width - gutter - side) };
}

/** The same layout with the bars as close to the text as the widest line allows. */
function tightened(layout: Layout, bodies: readonly (readonly Line[])[], least: number): Layout {
  const widest = Math.max(least, ...bodies.flat().map(({ text }) => textWidth(text)));
  return { ...layout, text: Math.min(layout.text, widest) };
}

function saidLines(before: readonly Said[], gutter: number, { style, width, full }: TranscriptView): string[] {
  const widest = Math.min(12, Math.max(0, ...before.map(({ role }) => textWidth(safeText(role)))));
  const blank = " ".repeat(gutter);
  return before.flatMap(({ role, text, calls }) => {
    const label = pad(truncate(safeText(role), widest), widest);
    const told = [text.trim(), ...calls.map(callText)].filter((part) => part !== "").join("\n");
    const short = shortened(wrap(safeText(told), width - gutter - widest - 2), mostSaid, full);
    return [...short.told, ...(short.note === null ? [] : [short.note])].map((line, k) => {
      const lead = k === 0 ? style.accent(label) : " ".repeat(widest);
      return `${blank}${lead}  ${style.dim(line)}`.trimEnd();
    });
  });
}

function rowLines(row: TranscriptRow, said: readonly Line[], layout: Layout, numbered: boolean, view: TranscriptView) {
  const { style } = view;
  const strip = view.strip?.(row) ?? null;
  const beside = side(row, layout.half, view);
  const out: string[] = [];
  for (let k = 0; k < Math.max(said.length, beside.length); k++) {
    const lead =
      k === 0 && numbered ? `${pad(String(row.row + 1), layout.gutter - 2, "right")}  ` : " ".repeat(layout.gutter);
    const line = said[k] ?? { text: "", set: (text: string) => text };
    const bars = beside[k] === undefined ? "" : `  ${beside[k]}`;
    const text = bars === "" ? line.text : pad(line.text, layout.text);
    out.push(`${style.dim(lead)}${line.set(text)}${bars}`.trimEnd());
  }
  if (strip !== null && strip.length > 0) {
    const indent = " ".repeat(layout.gutter);
    const lines = heatStrip(strip, view.width - layout.gutter, style);
    const limit = style.depth === 0 ? 2 * layout.most.strip : layout.most.strip;
    const shown = view.full || lines.length <= limit ? lines : lines.slice(0, limit);
    out.push(...shown.map((line) => indent + line));
    if (shown.length < lines.length)
      out.push(indent + style.dim(`… ${lines.length - shown.length} more lines (--full)`));
  }
  return out;
}

/** Titles above the columns, when there is more than one; each may reach into the gaps beside its column. */
function titles(layout: Layout, { columns, style }: TranscriptView): string[] {
  if (columns.length < 2) return [];
  const room = 2 * layout.half + 3;
  const names = columns.map(({ title }) => pad(truncate(title, room - 1), room, "center")).join("");
  return [" ".repeat(layout.gutter + layout.text + 1) + style.bold(names.trimEnd())];
}

/** A rollout as a readable transcript, its credit beside every row. */
export function transcriptLines({ before, rows, unit }: Transcript, view: TranscriptView): string[] {
  const widest = layoutOf(rows.length, view);
  const agents = new Set(rows.map(({ agent }) => agent));
  const named =
    agents.size > 1 || unit === "message" || view.labelled === true
      ? rows
      : rows.map((row) => ({ ...row, agent: null }));
  const bodies = named.map((row) => body(row, widest.text, widest.most, view));
  const layout = tightened(widest, bodies, view.leastText ?? 24);
  const numbered = unit === "turn" || unit === "step";
  const prompt = saidLines(before, layout.gutter, view);
  const blocks = rows.map((row, k) => rowLines(row, bodies[k], layout, numbered, view));
  const loose = blocks.some((lines) => lines.length > 1);
  const spaced = blocks.flatMap((lines, k) => (k > 0 && loose ? ["", ...lines] : lines));
  return [...prompt, ...(prompt.length > 0 ? [""] : []), ...titles(layout, view), ...spaced];
}

/** How to read the bars, in as many lines as it needs. */
export function legend(rest: string, { style, width }: Terminal): string[] {
  const below = style.credit(-1, "▐██");
  const above = style.credit(1, "██▌");
  return wrap(rest, width - 10).map((line, k) =>
    k === 0 ? ` ${below}${style.dim("│")}${above}  ${style.dim(line)}` : `${" ".repeat(10)}${style.dim(line)}`,
  );
}
