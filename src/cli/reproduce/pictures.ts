import { type Experiment, type ExperimentPlot, Summary, type Trial } from "../../lab/experiments/experiment.ts";
import { barPlot, type LineSeries, linePlot, type PlotDocument } from "../../lab/plots/index.ts";

/** Names in an order that gives the card's own method the first colour and what it is compared with the next ones. */
function ownFirst(names: readonly string[], id: string): string[] {
  const own = (name: string) => name === id || name.startsWith(`${id} `) || name.startsWith(`${id},`);
  return [...names.filter(own), ...names.filter((name) => !own(name))];
}

/** Mean of some values and its 95 % interval, which does not leave 0 to 1 when none of the values does. */
function meanWithInterval(values: readonly number[]): { mean: number; low: number; high: number } {
  const summary = new Summary(values.map((value) => ({ measures: { value } })));
  const [mean, margin] = [summary.mean("value"), summary.margin("value")];
  const isShare = values.every((value) => value >= 0 && value <= 1);
  if (!isShare) return { mean, low: mean - margin, high: mean + margin };
  return { mean, low: Math.max(0, mean - margin), high: Math.min(1, mean + margin) };
}

/** Mean and 95 % interval of a curve over the seeds, point by point; a gap where a seed has none. */
function seriesOf(name: string, trials: readonly Trial[], every: number): LineSeries {
  const curves = trials.map(({ curves = {} }) => curves[name]);
  if (curves.some((curve) => curve === undefined)) throw new Error(`no curve ${JSON.stringify(name)}`);
  const points = curves[0].map((_, t) => {
    const values = curves.map((curve) => curve[t]);
    if (!values.every(Number.isFinite)) return { mean: Number.NaN, low: Number.NaN, high: Number.NaN };
    return meanWithInterval(values);
  });
  return {
    name,
    x: points.map((_, t) => t * every),
    y: points.map(({ mean }) => mean),
    ...(trials.length > 1 && {
      band: [points.map(({ low }) => low), points.map(({ high }) => high)],
    }),
  };
}

/** Number of the colour of each bar: by its first word where two or three words share the bars, else one for all. */
function colours(names: readonly string[], id: string): number[] {
  const first = names.map((name) => name.split(/[\s,:]/)[0]);
  const words = ownFirst([...new Set(first)], id);
  const told = words.length < names.length ? words.length <= 3 : words.length === 2;
  return first.map((word) => (told ? words.indexOf(word) : 0));
}

const mostCharacters = 42;

/** Names without the words that all of them begin or end with, where they are too long to be shown whole. */
export function shortNames(names: readonly string[]): string[] {
  if (names.length < 2 || names.every((name) => name.length <= mostCharacters)) return [...names];
  const words = names.map((name) => name.split(" "));
  const least = Math.min(...words.map(({ length }) => length)) - 1;
  const common = (at: (own: readonly string[], k: number) => string) => {
    let k = 0;
    while (k < least && words.every((own) => at(own, k) === at(words[0], k))) k++;
    return k;
  };
  const front = common((own, k) => own[k]);
  const back = Math.min(
    common((own, k) => own[own.length - 1 - k]),
    least - front,
  );
  return words.map((own) => own.slice(front, own.length - back).join(" "));
}

function pictureOf(plot: ExperimentPlot, id: string, trials: readonly Trial[], document: PlotDocument): string {
  const note = trials.length === 1 ? "one seed" : `mean of ${trials.length} seeds, 95 % interval`;
  if (plot.kind === "lines") {
    const series = ownFirst(plot.curves, id).map((name) => seriesOf(name, trials, plot.every ?? 1));
    return linePlot(document, { title: plot.title, note, x: plot.x, y: plot.y, series });
  }
  const summary = new Summary(trials);
  const series = colours(plot.measures, id);
  const names = shortNames(plot.measures);
  const rows = plot.measures.map((measure, k) => {
    const { mean, low, high } = meanWithInterval(summary.values(measure));
    return { name: names[k], value: mean, interval: [low, high] as const, series: series[k] };
  });
  return barPlot(document, { title: plot.title, note, x: plot.y, rows });
}

/** The plots of an experiment as SVG, in their order. */
export function picturesOf({ id, plots }: Experiment, trials: readonly Trial[], document: PlotDocument): string[] {
  return plots.map((plot) => pictureOf(plot, id, trials, document));
}
