import { summarise } from "../../lab/training/summary.ts";
import { tableLines } from "../render/table.ts";
import type { Terminal } from "../render/terminal.ts";
import type { RunConfig } from "./config.ts";
import type { Outcome } from "./listen.ts";
import { rewardChart } from "./live.ts";
import { resultColumns } from "./table.ts";

/** The chart and the table of a run that has ended. */
export function resultLines(outcome: Outcome, config: RunConfig, { width, style }: Terminal): string[] {
  const arms = summarise(outcome.rows, outcome.best);
  const columns = resultColumns(arms);
  const table = tableLines(
    columns.map(({ title }, k) => ({ title, align: k === 0 ? "left" : "right" })),
    arms.map((arm) =>
      columns.map(({ cell }, k) => (k === 0 ? { text: cell(arm), set: style.accent } : { text: cell(arm) })),
    ),
    { style, width },
  );
  const view = { rows: outcome.rows, updates: config.settings.updates, best: outcome.best };
  const seeds = config.seeds.length;
  const note = seeds === 1 ? "one seed" : `mean over ${seeds} seeds, ± half of the 95 % confidence interval`;
  return ["", ...rewardChart(view, { width, style }), "", ...table, ` ${style.dim(note)}`, ""];
}
