import { parseHTML } from "linkedom";
import type { BenchSummary, EntrySummary, Interval } from "../../lab/benchmark/summary.ts";
import { barPlot, dotPlot, linePlot, type PlotDocument, type Row } from "../../lab/plots/index.ts";

/** A plot as a file: its name without ending, what it shows, and the picture. */
export interface Picture {
  name: string;
  about: string;
  svg: string;
}

/** Three decimals: what is less is noise. */
const rounded = (value: number) => Math.round(value * 1000) / 1000;

const rowsOf = (entries: readonly EntrySummary[], value: (entry: EntrySummary) => Interval | null, series = 0): Row[] =>
  entries.flatMap((entry) => {
    const found = value(entry);
    return found === null ? [] : [{ name: entry.label, value: rounded(found.mean), margin: found.margin, series }];
  });

/** Methods whose learning is drawn, as far as they were run: one of each kind. */
const drawn = ["true advantage", "grpo", "gae", "tempo", "gigpo", "igpo", "vineppo"];

function taskOf(entry: EntrySummary, task: string) {
  return entry.tasks.find((one) => one.task === task);
}

function learning(document: PlotDocument, summary: BenchSummary, task: string): Picture[] {
  const known = summary.entries.filter(
    ({ label, tasks }) => drawn.includes(label) && tasks.some((t) => t.task === task),
  );
  const goal = summary.tasks.find(({ id }) => id === task);
  if (known.length < 2 || goal === undefined) return [];
  const perUpdate = summary.episodesPerUpdate;
  const series = known.map((entry) => {
    const curve = taskOf(entry, task)?.curve ?? [];
    return { name: entry.label, x: curve.map((_, update) => update * perUpdate), y: curve };
  });
  const spec = {
    title: `Learning on ${task}`,
    note: `exact expected reward, mean of ${summary.seeds.length} seeds, each method at its best pace`,
    series,
    x: "episodes",
    y: { label: "expected reward", domain: [0, 1] as const },
    marks: [{ value: 0.9 * goal.optimum, name: "90 % of the optimum" }],
  };
  const about = `Exact expected reward while training on ${task}.`;
  return [{ name: `learning-${task}`, about, svg: linePlot(document, spec) }];
}

/** How far gradients lean when all episodes are equally long, and when the policy decides when to stop. */
function stopping(document: PlotDocument, entries: readonly EntrySummary[]): Picture[] {
  const [even, own] = ["search-fixed", "search-stop"];
  const both = entries.filter((entry) => taskOf(entry, even) !== undefined && taskOf(entry, own) !== undefined);
  if (both.length === 0) return [];
  const skew = (entry: EntrySummary, task: string) => {
    const { "skew2 of 1": measured } = taskOf(entry, task)?.measures ?? {};
    return rounded(Math.sqrt(Math.min(1, Math.max(0, measured?.mean ?? 0))));
  };
  const rows = both
    .toSorted((a, b) => skew(b, own) - skew(a, own))
    .flatMap((entry) => [
      { name: entry.label, value: skew(entry, even), series: 0 },
      { name: entry.label, value: skew(entry, own), series: 1 },
    ]);
  const svg = dotPlot(document, {
    title: "How far the mean gradient leans",
    note: "part of the expected gradient that is not along the exact one",
    rows,
    series: ["all episodes equally long", "the policy decides when to stop"],
    x: { label: "‖part that points elsewhere‖ / ‖mean gradient‖", domain: [0, 1] },
  });
  return [{ name: "stopping", about: "Bias of the gradient's direction on the pair of search tasks.", svg }];
}

/** The pictures of a report; those that there is nothing to show for are left out. */
export function pictures(summary: BenchSummary): Picture[] {
  const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as { document: PlotDocument };
  const { entries, seeds } = summary;
  const note = `mean and 95 % interval over ${seeds.length} seeds`;
  const plain = entries.filter(({ episodes, partial }) => episodes !== null && partial === null);
  const gaps = entries.filter(({ gap }) => gap !== null);
  const end = (which: "reward" | "verdict") => (entry: EntrySummary) =>
    entry.tasks.find(({ task }) => summary.tasks.find(({ id }) => id === task)?.gameable === true)?.end[which] ?? null;
  const made: Picture[] = [];
  if (plain.length > 0) {
    made.push({
      name: "episodes",
      about: "Episodes until 90 % of the optimum, geometric mean over the tasks.",
      svg: dotPlot(document, {
        title: "Episodes to 90 % of the optimum",
        note: `geometric mean over tasks, ${note}`,
        // An interval that reaches down to zero has no place on a logarithmic axis.
        rows: rowsOf(plain, ({ episodes }) => episodes).map((row) => ({
          ...row,
          margin: Math.min(row.margin ?? 0, 0.9 * row.value),
        })),
        x: { label: "episodes", log: true },
      }),
    });
    const bySkill = plain.toSorted((a, b) => (b.overall.pearson?.mean ?? 0) - (a.overall.pearson?.mean ?? 0));
    made.push({
      name: "skill-and-luck",
      about: "Correlation of credit with the true advantage of a turn, and with its luck.",
      svg: dotPlot(document, {
        title: "Skill and luck",
        note: `correlation of a turn's credit, mean over tasks, ${note}`,
        rows: bySkill.flatMap((entry) => [
          ...rowsOf([entry], ({ overall }) => overall.pearson, 0),
          ...rowsOf([entry], ({ overall }) => overall.luck, 1),
        ]),
        series: ["with the true advantage", "with luck"],
        x: "correlation",
      }),
    });
  }
  made.push(...stopping(document, entries));
  for (const { id, gameable } of summary.tasks) {
    if (!gameable) made.push(...learning(document, summary, id));
  }
  if (gaps.length > 0) {
    made.push({
      name: "gap",
      about: "Reward and what is wanted, at the end of training with a gameable reward.",
      svg: dotPlot(document, {
        title: "A reward that can be gamed",
        note: `after ${summary.mostEpisodes} episodes, as shares of the best that can be had`,
        rows: gaps
          .toSorted((a, b) => (a.gap?.mean ?? 0) - (b.gap?.mean ?? 0))
          .flatMap((entry) => [...rowsOf([entry], end("reward"), 0), ...rowsOf([entry], end("verdict"), 1)])
          .map(({ margin, ...row }) => row),
        series: ["reward that training sees", "what is wanted"],
        x: { label: "share of the best", domain: [0, 1] },
      }),
    });
  }
  if (plain.length > 0) {
    made.push({
      name: "cost",
      about: "Time of crediting per token.",
      svg: barPlot(document, {
        title: "Time of crediting",
        note: "on one core, small batches; columns that the method reads not counted",
        rows: rowsOf(
          plain
            .filter(({ overall }) => (overall.nanoseconds?.mean ?? 0) > 0)
            .toSorted((a, b) => (a.overall.nanoseconds?.mean ?? 0) - (b.overall.nanoseconds?.mean ?? 0)),
          ({ overall }) => overall.nanoseconds,
        ),
        x: "nanoseconds per token",
      }),
    });
  }
  return made;
}
