import { creditTitles } from "../../analysis/credit-columns.ts";
import type { CreditLevel } from "../../analysis/levels.ts";
import { type Credit, creditAt, creditAtLevel, type Series } from "../../analysis/series.ts";
import { largestCredit } from "../../analysis/spread.ts";
import { type Transcript, type TranscriptRow, transcriptOf } from "../../analysis/transcript.ts";
import { policyMask } from "../../operators/mask.ts";
import type { Batch } from "../../rollouts/index.ts";
import { plural } from "../options.ts";
import { magnitude, short, signed } from "./numbers.ts";
import type { HeatToken } from "./strip.ts";
import type { Terminal } from "./terminal.ts";
import { safeText, truncate, wrap } from "./text.ts";
import { type CreditColumn, legend, transcriptLines } from "./transcript.ts";

/** A column to show, as it stands in the file. */
export interface ShownColumn {
  path: string;
  level: CreditLevel;
  credit: Credit;
}

/** Looks columns up; those that hold no numbers at a level of credit are left out. */
export function shownColumns(batch: Batch, paths: readonly string[]): ShownColumn[] {
  return paths.flatMap((path) => {
    const found = creditAt(batch, path);
    return found === null ? [] : [{ path, ...found }];
  });
}

/** The rows by which a rollout is read: those of the first column, where they have text of their own. */
export function unitOf(batch: Batch, columns: readonly ShownColumn[]): "turn" | "step" | undefined {
  const levels = columns.map(({ level }) => level);
  if (levels[0] === "turn" || levels[0] === "step") return levels[0];
  return levels[0] === "token" && !batch.hasLevel("turn", "any") && batch.has("steps.text") ? "step" : undefined;
}

/** Credit of a transcript's rows: as it stands there, spread from above, or the mean over the row's own tokens. */
function besideRows(
  batch: Batch,
  rollout: number,
  transcript: Transcript,
  shown: ShownColumn,
  title: string,
): CreditColumn | null {
  const series: Series = { name: shown.path, levels: { [shown.level]: shown.credit } };
  const level = transcript.unit === "message" || transcript.unit === "token" ? "rollout" : transcript.unit;
  const credit = creditAtLevel(batch, series, level);
  if (credit === null) return null;
  const first = batch.offsets(level)[rollout];
  const at = ({ row }: TranscriptRow) => {
    const index = level === "rollout" ? rollout : first + row;
    return credit.valid?.[index] === 0 ? null : credit.values[index];
  };
  const numbers = transcript.rows.map((row) => at(row) ?? 0);
  return { title, at, scale: largestCredit(numbers) };
}

function tokenTexts(batch: Batch, rollout: number): (row: number) => string {
  for (const path of ["tokens.text", "tokens.id"]) {
    if (!batch.hasIn(path, rollout)) continue;
    const column = batch.column(path);
    if (path === "tokens.text") return (row) => String(column.values[row] ?? "");
    return (row) => `${column.values[row]} `;
  }
  return () => "▪ ";
}

/** Tokens of a rollout as heat: of the rows in which their credit differs, or of all. */
interface Strip {
  at(row: TranscriptRow): HeatToken[] | null;
  /** The credit that is coloured most strongly. */
  scale: number;
}

function stripOf(batch: Batch, rollout: number, shown: ShownColumn, always: boolean): Strip {
  const { values, valid } = shown.credit;
  const mask = policyMask(batch);
  const offsets = batch.offsets("token");
  const scale = largestCredit(values, offsets[rollout], offsets[rollout + 1]);
  const text = tokenTexts(batch, rollout);
  const counts = (row: number) => mask?.[row] !== 0 && valid?.[row] !== 0;
  const at = ({ tokens }: TranscriptRow) => {
    if (tokens === null) return null;
    const rows = Array.from({ length: tokens[1] - tokens[0] }, (_, k) => tokens[0] + k);
    const own = rows.filter(counts);
    if (!always && own.every((row) => values[row] === values[own[0]])) return null;
    return rows.map((row) => ({ text: text(row), amount: counts(row) ? values[row] / (scale || 1) : null }));
  };
  return { at, scale };
}

function heading(batch: Batch, rollout: number, transcript: Transcript, { style }: Terminal): string {
  const parts = [style.bold(safeText(transcript.id))];
  if (transcript.group !== null) parts.push(`group ${truncate(safeText(transcript.group), 32)}`);
  parts.push(transcript.reward === null ? "unscored" : `reward ${short(transcript.reward, 2)}`);
  for (const [level, noun] of [
    ["turn", "turn"],
    ["step", "step"],
    ["token", "token"],
  ] as const) {
    const offsets = batch.offsets(level);
    const count = offsets[rollout + 1] - offsets[rollout];
    if (count > 0) parts.push(plural(count, noun));
  }
  return ` ${parts.join(" · ")}`;
}

const below = "credit below and above zero";

function legendText(columns: readonly CreditColumn[], strip: Strip | undefined, means: boolean): string {
  const kind = means ? " (means over the tokens of a row)" : "";
  if (columns.length > 1) return `${below}${kind}; a full bar is the largest of its column here`;
  if (columns.length === 1) return `${below}${kind}; a full bar is ±${magnitude(columns[0].scale)}, the largest here`;
  return `${below}; the strongest here is ±${magnitude(strip?.scale ?? 0)}`;
}

export interface RolloutView extends Terminal {
  paths: readonly string[];
  full: boolean;
  /** Show tokens even where their credit is the same (a token column was asked for). */
  tokens: boolean;
}

/** Names of the columns; where no bars show their numbers, the number of the whole rollout too. */
function columnLines(shown: readonly ShownColumn[], whole: readonly (number | null)[] | null, view: RolloutView) {
  const { style, width } = view;
  if (shown.length === 0) return [];
  if (whole === null) {
    return wrap(shown.map(({ path }) => path).join(", "), width - 1).map((line) => style.dim(` ${line}`));
  }
  return shown.flatMap(({ path, level }, k) => {
    const value = whole[k];
    const mean = level === "rollout" ? "" : " on average";
    return value === null ? [] : [` ${style.dim(path)} ${style.credit(value, signed(value))}${mean}`];
  });
}

/** One rollout with its credit: heading, transcript, legend. */
export function rolloutLines(batch: Batch, rollout: number, view: RolloutView): string[] {
  const { style, width, full, tokens } = view;
  const shown = shownColumns(batch, view.paths).filter(({ path }) => batch.hasIn(path, rollout));
  const transcript = transcriptOf(batch, rollout, unitOf(batch, shown));
  const titles = creditTitles(shown.map(({ path }) => path));
  const beside = shown.map((column, k) => besideRows(batch, rollout, transcript, column, titles[k]));
  const barred = transcript.unit === "turn" || transcript.unit === "step";
  const columns = barred ? beside.filter((column) => column !== null) : [];
  const finest = shown.find(({ level }) => level === "token");
  const strip =
    finest === undefined || (shown.length > 1 && !tokens)
      ? undefined
      : stripOf(batch, rollout, finest, tokens || transcript.unit === "token");
  const whole = barred ? null : beside.map((column) => column?.at(transcript.rows[0]) ?? null);
  const lines = [
    heading(batch, rollout, transcript, view),
    ...columnLines(shown, whole, view),
    "",
    ...transcriptLines(transcript, { style, width, full, columns, strip: strip?.at }),
  ];
  if (columns.length === 0 && strip === undefined) return lines;
  const means = columns.length > 0 && shown.some(({ level }) => level === "token");
  return [...lines, "", ...legend(legendText(columns, strip, means), view)];
}
