import type { Comparison } from "../../analysis/comparison.ts";
import { comparisonSummary } from "../../analysis/comparison-summary.ts";
import { creditTitles } from "../../analysis/credit-columns.ts";
import type { Disagreement } from "../../analysis/disagreement.ts";
import { type CreditLevel, creditLevels } from "../../analysis/levels.ts";
import { isSpread, type Series } from "../../analysis/series.ts";
import { type TranscriptRow, transcriptOf } from "../../analysis/transcript.ts";
import { type Batch, levelKey } from "../../rollouts/index.ts";
import { formatCount, plural } from "../options.ts";
import { matricesLines } from "./matrix.ts";
import { percent, short, signed } from "./numbers.ts";
import { type Cell, tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, safeText, truncate, wrap } from "./text.ts";
import { type CreditColumn, callText, fittingColumns, legend, transcriptLines } from "./transcript.ts";

const rowNames: Readonly<Record<CreditLevel, string>> = {
  token: "policy token",
  step: "step",
  turn: "turn",
  rollout: "rollout",
};

const namesOf = (series: readonly Series[]) => creditTitles(series.map(({ name }) => name));

function ownLevels(series: Series): string {
  return creditLevels
    .filter((level) => series.levels[level] !== undefined)
    .map((level) => (level === "rollout" ? "rollouts" : levelKey(level)))
    .join(", ");
}

/** What is compared: one row per series, and one sentence per method that could not run. */
function seriesLines(comparison: Comparison, { width, style }: Terminal): string[] {
  const { series, skipped, aligned, agreement } = comparison;
  const names = namesOf(series);
  const rows = series.map((one, k): (Cell | string)[] => {
    const note = isSpread(one, aligned.level) ? `spread over ${levelKey(aligned.level)}` : "";
    return [
      { text: names[k], set: style.accent },
      aligned.paths[k] ?? "–",
      ownLevels(one),
      percent(agreement.nonZero[k]),
      { text: note, set: style.dim },
    ];
  });
  const columns = [
    { title: "credit of", shrinkTo: 8 },
    { title: "column", shrinkTo: 14 },
    { title: "given to", shrinkTo: 8 },
    { title: "not 0", align: "right" as const },
    { title: "" },
  ];
  const lines = tableLines(columns, rows, { width, style });
  for (const { id, reason } of skipped) {
    const told = wrap(`${id} left out: ${safeText(reason)}`, width - 3);
    lines.push(...told.map((line, k) => style.dim(k === 0 ? ` ${line}` : `   ${line}`)));
  }
  return lines;
}

/** What was said in a row, in a few words. */
function snippet(batch: Batch, { rollout, level, row }: Disagreement): Pick<TranscriptRow, "text" | "observation"> {
  if (level === "token") {
    const first = batch.offsets("token")[rollout];
    const last = batch.offsets("token")[rollout + 1];
    const texts = batch.hasIn("tokens.text", rollout) ? batch.column("tokens.text").values : null;
    const from = Math.max(first, first + row - 6);
    const to = Math.min(last, first + row + 7);
    const words = Array.from({ length: to - from }, (_, k) => {
      const word = texts === null ? ` ${batch.find("tokens.id")?.values[from + k] ?? "▪"}` : String(texts[from + k]);
      return from + k === first + row ? `⟦${word}⟧` : word;
    });
    return { text: oneLine(words.join("")), observation: null };
  }
  const transcript = transcriptOf(batch, rollout, level === "rollout" ? undefined : level);
  const at = level === "rollout" ? transcript.rows[transcript.rows.length - 1] : transcript.rows[row];
  if (at === undefined) return { text: null, observation: null };
  const said = [at.text ?? "", ...at.calls.filter((call) => !at.text?.includes(`${call.name}(`)).map(callText)].join(
    " ",
  );
  return { text: oneLine(said) || at.state, observation: at.observation === null ? null : oneLine(at.observation) };
}

function placeOf(batch: Batch, { rollout, level, row }: Disagreement): string {
  const parts = [safeText(batch.ids[rollout])];
  if (level !== "rollout") {
    const offsets = batch.offsets(level);
    parts.push(`${level} ${row + 1} of ${offsets[rollout + 1] - offsets[rollout]}`);
  }
  const reward = batch.find("rollout.reward")?.values[rollout];
  const scored = batch.validity("rollout.reward")?.[rollout] !== 0;
  if (typeof reward === "number" && scored) parts.push(`reward ${short(reward, 2)}`);
  return parts.join(" · ");
}

/** Praise and blame in words, for when there are too many columns for bars. */
function inWords(series: readonly Series[], values: readonly number[]): string {
  const names = namesOf(series);
  const side = (sign: number) =>
    series
      .map((_, k) => ({ name: names[k], value: values[k] }))
      .filter(({ value }) => Math.sign(value) === sign)
      .map(({ name, value }) => `${name} ${signed(value)}`)
      .join(", ");
  return `${side(1)}\n${side(-1)}`;
}

function disagreementLines(batch: Batch, comparison: Comparison, top: number, terminal: Terminal): string[] {
  const { style, width } = terminal;
  const { series, disagreements } = comparison;
  const shown = disagreements.slice(0, top);
  const bars = series.length <= fittingColumns(width);
  const names = namesOf(series);
  const columns: CreditColumn[] = series.map((_, k) => ({
    title: names[k],
    at: ({ row }) => shown[row].values[k],
    scale: Math.max(...shown.map(({ values }) => Math.abs(values[k]))),
  }));
  const rows = shown.map((found, row): TranscriptRow => {
    const { text, observation } = snippet(batch, found);
    const short = truncate(text ?? "", 150);
    return {
      row,
      agent: placeOf(batch, found),
      text: bars ? short : `${short}\n${inWords(series, found.values)}`,
      observation: observation === null ? null : truncate(observation, 100),
      calls: [],
      state: null,
      after: null,
      tokens: null,
    };
  });
  const more = disagreements.length - shown.length;
  const title = `Where they disagree in sign: ${plural(disagreements.length, "rollout")}, the hardest first`;
  const lines = [` ${style.bold(title)}`, ""];
  const transcript = { id: "", group: null, reward: null, unit: "turn" as const, before: [], rows };
  lines.push(
    ...transcriptLines(transcript, { style, width, full: false, columns: bars ? columns : [], labelled: true }),
  );
  if (more > 0) lines.push("", style.dim(` … ${formatCount(more)} more (--top)`));
  if (bars) lines.push("", ...legend("a full bar is the largest of its column here", terminal));
  return lines;
}

/** The comparison as text: what is compared, how much it agrees, where it does not. */
export function comparisonLines(batch: Batch, comparison: Comparison, top: number, terminal: Terminal): string[] {
  const { style, width } = terminal;
  const { series, aligned, agreement, disagreements } = comparison;
  const names = namesOf(series);
  const whole = aligned.level === "rollout" ? "" : ` of ${plural(batch.size, "rollout")}`;
  const rows = plural(aligned.rows.length, rowNames[aligned.level]) + whole;
  const left = aligned.leftOut === 0 ? "" : `; ${formatCount(aligned.leftOut)} without a number left out`;
  const lines = [` ${style.bold("Credit compared")} on ${rows}${left}`, "", ...seriesLines(comparison, terminal)];
  if (series.length < 2) return lines;
  const matrices = [
    { title: "rank correlation (Spearman)", values: agreement.spearman, kind: "correlation" as const },
    { title: "same sign", values: agreement.sameSign, kind: "share" as const },
    { title: "correlation (Pearson)", values: agreement.pearson, kind: "correlation" as const },
  ];
  lines.push("", ...matricesLines(matrices, names, terminal), "");
  const note = "same sign: of the rows where at least one of the two is not 0, the share where both have the same sign";
  lines.push(...wrap(note, width - 1).map((line) => style.dim(` ${line}`)));
  if (disagreements.length === 0) lines.push("", " No rollout is praised by one and blamed by another.");
  else if (top > 0) lines.push("", ...disagreementLines(batch, comparison, top, terminal));
  return lines;
}

/** The comparison as one JSON object, with what was said at each disagreement. */
export function comparisonJson(batch: Batch, comparison: Comparison, top: number) {
  const summary = comparisonSummary(batch, comparison, top);
  const disagreements = summary.disagreements.map((one, k) => ({
    ...one,
    ...snippet(batch, comparison.disagreements[k]),
  }));
  return { ...summary, disagreements };
}
