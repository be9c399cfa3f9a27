import { axisX, dot, gridX, type Markish, rectX, ruleX, ruleY, text } from "@observablehq/plot";
import {
  type Axis,
  domainOf,
  fitted,
  inkOf,
  isLog,
  label,
  labelOf,
  type PlotDocument,
  pixelsOf,
  plotWidth,
  type Sheet,
  sheet,
  tickOptions,
} from "./sheet.ts";

/** A number under its name, perhaps with an interval around it. */
export interface Row {
  name: string;
  value: number;
  /** Half the width of the interval around the value. */
  margin?: number;
  /** Ends of the interval, where it does not lie evenly around the value. */
  interval?: readonly [number, number];
  /** Number of the series, by which it is coloured; 0 where it is left out. */
  series?: number;
}

/** What plots with one line per name have in common. */
export interface RowPlot extends Sheet {
  /** From top to bottom. Rows under the same name share a line. Values that are not finite are shown as missing. */
  rows: readonly Row[];
  /** The axis of the values. */
  x: Axis;
  /** Names of the series, for a legend. */
  series?: readonly string[];
  /** Lines down at these values, each with a word: chance, the bound of a claim. */
  marks?: readonly { value: number; name: string }[];
}

const lineHeight = 24;
const slotHeight = 16;
const widestName = 290;
const [bottom, right] = [44, 64];

interface Placed extends Row {
  /** Middle of the row, in slots from the top. */
  at: number;
  low: number;
  high: number;
}

interface Layout {
  rows: Placed[];
  names: { name: string; at: number }[];
  /** Slots in all. */
  slots: number;
  slot: number;
}

/** Where the rows lie: a line per name, in it a slot per row of that name. */
function layoutOf(rows: readonly Row[]): Layout {
  const names = [...new Set(rows.map(({ name }) => name))];
  const placed: Placed[] = [];
  const middles: { name: string; at: number }[] = [];
  const several = names.length < rows.length;
  let at = 0;
  for (const name of names) {
    const own = rows.filter((row) => row.name === name);
    own.forEach((row, k) => {
      const margin = row.margin ?? 0;
      const [low, high] = row.interval ?? [row.value - margin, row.value + margin];
      placed.push({ ...row, at: at + k + 0.5, low, high });
    });
    middles.push({ name, at: at + own.length / 2 });
    at += own.length + (several ? 0.6 : 0);
  }
  return { rows: placed, names: middles, slots: Math.max(at, 1), slot: several ? slotHeight : lineHeight };
}

/** Dots and names of the series, side by side above the plot. */
function legend(series: readonly string[] | undefined, left: number): Markish[] {
  if (series === undefined) return [];
  let dx = 16 - left;
  return series.flatMap((name, k) => {
    const marks = [
      text([name], { frameAnchor: "top-left", dx: dx + 14, dy: -26, textAnchor: "start", fill: "var(--text)" }),
      text(["●"], { frameAnchor: "top-left", dx, dy: -26, textAnchor: "start", fill: inkOf(k) }),
    ];
    dx += 34 + pixelsOf(name);
    return marks;
  });
}

/** Start of an axis that leaves room for the numbers left of what is below zero, on so many pixels. */
function startWithRoom(rows: readonly Placed[], [from, to]: readonly [number, number], pixels: number): number {
  return rows.reduce((start, { value, low }) => {
    const share = (pixelsOf(label(value)) + 12) / pixels;
    return value < 0 && share < 0.9 ? Math.min(start, (Math.min(low, value) - share * to) / (1 - share)) : start;
  }, from);
}

/** A plot of rows: `draw` gives the marks of the values and says where they begin. */
function rowPlot(
  document: PlotDocument,
  spec: RowPlot,
  ends: readonly number[],
  draw: (layout: Layout, domain: readonly [number, number]) => Markish[],
): string {
  const layout = layoutOf(spec.rows);
  const finite = layout.rows.filter(({ value }) => Number.isFinite(value));
  const marks = spec.marks ?? [];
  const domain = domainOf(spec.x, [
    ...finite.flatMap((row) => [row.low, row.high]),
    ...ends,
    ...marks.map((m) => m.value),
  ]);
  const left = 28 + Math.min(widestName, Math.max(20, ...layout.names.map(({ name }) => pixelsOf(name))));
  const room = plotWidth - left - right;
  if (typeof spec.x === "string") domain[0] = startWithRoom(finite, domain, room);
  const ticks = Math.max(2, Math.min(tickOptions.ticks, Math.floor(room / 75)));
  const top = 8 + (spec.series === undefined ? 0 : 26) + (marks.length > 0 ? 16 : 0);
  const y = (row: { at: number }) => row.at;
  const picture: Markish[] = [
    gridX({ stroke: "var(--grid)", strokeOpacity: 1, ticks }),
    axisX({ label: null, color: "var(--faint)", tickSize: 0, ...tickOptions, ticks }),
    text([labelOf(spec.x)], { frameAnchor: "bottom", dy: 36, fill: "var(--faint)" }),
    text(layout.names, {
      frameAnchor: "left",
      y,
      text: ({ name }) => fitted(name, widestName),
      dx: -10,
      textAnchor: "end",
    }),
    ...legend(spec.series, left),
    ...marks.flatMap(({ value, name }) => [
      ruleX([value], { stroke: "var(--faint)", strokeDasharray: "3 4" }),
      text([value], { x: (v: number) => v, frameAnchor: "top", dy: -9, text: () => name, fill: "var(--faint)" }),
    ]),
    ...draw(layout, domain),
    text(
      layout.rows.filter(({ value }) => !Number.isFinite(value)),
      {
        frameAnchor: "left",
        y,
        text: () => "no value",
        dx: 6,
        textAnchor: "start",
        fill: "var(--faint)",
        fontStyle: "italic",
      },
    ),
  ];
  const values = layout.rows.map((row) => `${row.name} ${Number.isFinite(row.value) ? label(row.value) : "no value"}`);
  return sheet(document, spec, `${labelOf(spec.x)}: ${values.join(", ")}.`, {
    height: top + layout.slots * layout.slot + bottom,
    marginTop: top,
    marginBottom: bottom,
    marginLeft: left,
    marginRight: right,
    x: { type: isLog(spec.x) ? "log" : "linear", domain },
    y: { type: "linear", domain: [layout.slots, 0], axis: null },
    marks: picture,
  });
}

/** `0.42` behind what is drawn: right of it, or left of a bar below zero. */
function numbers(rows: readonly Placed[]): Markish[] {
  const beside = (some: readonly Placed[], sign: 1 | -1) =>
    text(some, {
      x: (row: Placed) => (sign > 0 ? Math.max(row.high, row.value) : Math.min(row.low, row.value)),
      y: (row: Placed) => row.at,
      text: (row: Placed) => label(row.value),
      dx: 7 * sign,
      textAnchor: sign > 0 ? "start" : "end",
    });
  return [
    beside(
      rows.filter((row) => row.value >= 0),
      1,
    ),
    beside(
      rows.filter((row) => row.value < 0),
      -1,
    ),
  ];
}

const finiteRows = ({ rows }: Layout) => rows.filter(({ value }) => Number.isFinite(value));
const interval = { x1: "low", x2: "high", y: "at", stroke: "var(--text)", strokeWidth: 1.5 } as const;

/** Bars from zero, to the right for what is above it, with their numbers and, as a thin line, their margins. */
export function barPlot(document: PlotDocument, spec: RowPlot): string {
  return rowPlot(document, spec, isLog(spec.x) ? [] : [0], (layout, domain) => {
    const rows = finiteRows(layout);
    const start = Math.max(domain[0], Math.min(0, domain[1]));
    const thick = 0.36;
    return [
      rectX(rows, {
        x1: (row: Placed) => Math.min(Math.max(start, domain[0]), row.value),
        x2: (row: Placed) => Math.max(start, row.value),
        y1: (row: Placed) => row.at - thick,
        y2: (row: Placed) => row.at + thick,
        fill: (row: Placed) => inkOf(row.series ?? 0),
        fillOpacity: 0.85,
      }),
      ruleX([start], { stroke: "var(--faint)" }),
      ruleY(
        rows.filter(({ low, high }) => high > low),
        interval,
      ),
      ...numbers(rows),
    ];
  });
}

/** Dots with their intervals, for long lists and for values whose zero says nothing. */
export function dotPlot(document: PlotDocument, spec: RowPlot): string {
  return rowPlot(document, spec, [], (layout) => {
    const rows = finiteRows(layout);
    return [
      ruleY(
        rows.filter(({ low, high }) => high > low),
        { ...interval, stroke: (row: Placed) => inkOf(row.series ?? 0) },
      ),
      dot(rows, { x: "value", y: "at", r: 4.5, fill: (row: Placed) => inkOf(row.series ?? 0), stroke: "var(--paper)" }),
      ...numbers(rows),
    ];
  });
}
