import { type Experiment, type ExperimentPlot, Summary, type Trial } from "../../lab/experiments/experiment.ts";
import { plural } from "../options.ts";
import { type Evidence, heldOf } from "../reproduce/evidence.ts";
import { divergingBar, sparkline } from "./bars.ts";
import { magnitude } from "./numbers.ts";
import { type Cell, tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { pad, textWidth, truncate, wrap } from "./text.ts";

const widestName = 36;

/** Curves as sparklines on one scale, with the last mean of each. */
function curveLines({ curves }: { curves: readonly string[] }, trials: readonly Trial[], width: number): string[] {
  const means = curves.map((name) => new Summary(trials).curve(name).filter(Number.isFinite));
  const all = means.flat();
  const scale = [Math.min(...all), Math.max(...all)] as const;
  const names = Math.min(widestName, Math.max(...curves.map(textWidth)));
  return curves.map((name, k) => {
    const spark = sparkline(means[k], scale, Math.min(48, width - names - 14));
    return `   ${pad(truncate(name, names), names)}  ${spark} ${magnitude(means[k].at(-1) ?? 0)}`;
  });
}

/** Means of measures as bars on one scale; with an axis in the middle where some are below zero. */
function measureLines(
  { measures }: { measures: readonly string[] },
  trials: readonly Trial[],
  { width, style }: Terminal,
): string[] {
  const summary = new Summary(trials);
  const values = measures.map((name) => summary.mean(name));
  const largest = Math.max(...values.map(Math.abs), Number.MIN_VALUE);
  const names = Math.min(widestName, Math.max(...measures.map(textWidth)));
  const room = Math.max(8, Math.min(40, width - names - 14));
  return measures.map((name, k) => {
    const share = values[k] / largest;
    const bar = values.some((value) => value < 0)
      ? divergingBar(share, room >> 1, style)
      : style.credit(1, "█".repeat(Math.round(share * room)));
    return `   ${pad(truncate(name, names), names)}  ${bar} ${magnitude(values[k])}`;
  });
}

function chartLines(plot: ExperimentPlot, trials: readonly Trial[], terminal: Terminal): string[] {
  const title = plot.kind === "lines" ? `${plot.title}: ${plot.y} over ${plot.x}` : `${plot.title} (${plot.y})`;
  const head = `   ${terminal.style.dim(title)}`;
  return [
    head,
    ...(plot.kind === "lines" ? curveLines(plot, trials, terminal.width) : measureLines(plot, trials, terminal)),
  ];
}

/** What one experiment has shown. */
export function claimLines(
  experiment: Experiment,
  evidence: Evidence,
  trials: readonly Trial[],
  terminal: Terminal,
): string[] {
  const { style, width } = terminal;
  const about = (name: string, text: string) =>
    wrap(text, width - 15).map((line, k) => ` ${style.dim(pad(k === 0 ? name : "", 12))} ${line}`);
  const fewer = evidence.seeds < evidence.wantedSeeds ? ` of ${evidence.wantedSeeds}` : "";
  const verdict = style.credit(
    evidence.verdict === "shown" ? 1 : evidence.verdict === "mixed" ? 0 : -1,
    evidence.verdict,
  );
  const rows = evidence.findings.map(({ holds, kind, expected, measured }): (Cell | string)[] => [
    { text: holds ? "✓" : "✗", set: (text) => style.credit(holds ? 1 : -1, text) },
    kind === "limit" ? `limit: ${expected}` : expected,
    measured,
  ]);
  const columns = [
    { title: "" },
    { title: "expected", wraps: true, shrinkTo: 24 },
    { title: "measured", wraps: true, shrinkTo: 24 },
  ];
  return [
    ` ${style.bold(style.accent(evidence.id))} ${evidence.title}`,
    ...about("claim", evidence.claim),
    ...about("environment", evidence.environment),
    ...about("against", evidence.baseline),
    ...about("run", `${evidence.seeds}${fewer} seeds, ${evidence.seconds} s on one core`),
    "",
    ...tableLines(columns, rows, { style, width }),
    "",
    ` ${style.bold(verdict)} ${style.dim(`${heldOf(evidence)} claimed relations`)}`,
    ...(evidence.notes === null ? [] : wrap(evidence.notes, width - 1).map((line) => ` ${line}`)),
    ...experiment.plots.flatMap((plot) => ["", ...chartLines(plot, trials, terminal)]),
  ];
}

/** A card of the list: its experiment, or why it has none. */
export interface ListedCard {
  id: string;
  seeds: number | null;
  text: string;
}

/** All cards: those with an experiment and what it is about, then the others and why they have none. */
export function cardLines(cards: readonly ListedCard[], { style, width }: Terminal): string[] {
  const list = (some: readonly ListedCard[]) =>
    tableLines(
      [{ title: "" }, { title: "", align: "right" }, { title: "", wraps: true, shrinkTo: 24 }],
      some.map(({ id, seeds, text }) => [
        { text: id, set: style.accent },
        seeds === null ? "" : { text: `${seeds} seeds`, set: style.dim },
        text,
      ]),
      { style, width },
    );
  const tried = cards.filter(({ seeds }) => seeds !== null);
  const left = cards.filter(({ seeds }) => seeds === null);
  return [
    ` ${style.bold(`${plural(tried.length, "card")} with an experiment`)}`,
    ...list(tried),
    ...(left.length === 0 ? [] : ["", ` ${style.bold(`${plural(left.length, "card")} without`)}`, ...list(left)]),
  ];
}
