import { areaY, axisX, axisY, gridY, line, type Markish, text } from "@observablehq/plot";
import {
  type Axis,
  dashOf,
  domainOf,
  fitted,
  inkOf,
  isLog,
  label,
  labelOf,
  type PlotDocument,
  pixelsOf,
  type Sheet,
  sheet,
  tickOptions,
} from "./sheet.ts";

/** A curve; a value that is not finite leaves a gap. */
export interface LineSeries {
  name: string;
  /** Where the values lie; 0, 1, 2, … where it is left out. */
  x?: readonly number[];
  y: readonly number[];
  /** Lower and upper ends around the values: an interval of confidence. */
  band?: readonly [readonly number[], readonly number[]];
}

export interface LinePlot extends Sheet {
  series: readonly LineSeries[];
  x: Axis;
  y: Axis;
  /** Lines across at these values, each with a word: a bound, the best that can be had. */
  marks?: readonly { value: number; name: string }[];
}

const height = 320;
const [top, bottom, left] = [30, 44, 52];
const lineHeight = 15;
const widestName = 200;

interface Point {
  x: number;
  y: number;
  low: number;
  high: number;
}

function pointsOf({ x, y, band }: LineSeries): Point[] {
  return y.map((value, k) => ({
    x: x === undefined ? k : x[k],
    y: value,
    low: band === undefined ? value : band[0][k],
    high: band === undefined ? value : band[1][k],
  }));
}

/** Places moved apart, in their order, so that none is closer than `gap` to the next, all within the ends. */
export function movedApart(places: readonly number[], gap: number, [first, last]: readonly [number, number]): number[] {
  const order = places.map((_, k) => k).sort((a, b) => places[a] - places[b] || a - b);
  const room = Math.min(gap, order.length > 1 ? (last - first) / (order.length - 1) : gap);
  const out = [...places];
  let floor = first;
  for (const k of order) {
    out[k] = Math.max(out[k], floor);
    floor = out[k] + room;
  }
  let ceiling = last;
  for (const k of order.toReversed()) {
    out[k] = Math.min(out[k], ceiling);
    ceiling = out[k] - room;
  }
  return out;
}

/** From values to pixels from the top, and back. */
function verticalScale([from, to]: readonly [number, number], log: boolean) {
  const f = log ? Math.log : (v: number) => v;
  const [a, b] = [f(from), f(to)];
  const span = height - top - bottom;
  return {
    pixel: (value: number) => top + ((b - f(value)) / (b - a)) * span,
    value: (pixel: number) => {
      const at = b - ((pixel - top) / span) * (b - a);
      return log ? Math.exp(at) : at;
    },
  };
}

const lastOf = (points: readonly Point[]) => points.findLast(({ y }) => Number.isFinite(y));

/**
 * Curves over a common axis, each named at its end; bands behind them. Width 640.
 * @throws never for data that is not finite: such points are left out.
 */
export function linePlot(document: PlotDocument, spec: LinePlot): string {
  const all = spec.series.map((series) => ({ name: series.name, points: pointsOf(series) }));
  const log = isLog(spec.y);
  const seen = ({ x, y }: Point) => Number.isFinite(x) && Number.isFinite(y) && (!log || y > 0);
  const flat = all.flatMap(({ points }) => points.filter(seen));
  const marks = spec.marks ?? [];
  const y = domainOf(spec.y, [...flat.flatMap((p) => [p.y, p.low, p.high]), ...marks.map(({ value }) => value)]);
  const xs = flat.map((p) => p.x);
  const x = domainOf(spec.x, xs);
  if (typeof spec.x === "string" && xs.length > 0 && Math.min(...x) !== Math.max(...xs)) {
    x[0] = xs.reduce((a, b) => Math.min(a, b));
    x[1] = Math.max(
      xs.reduce((a, b) => Math.max(a, b)),
      x[0] + 1e-9,
    );
  }
  const named = all.map(({ name, points }, series) => ({
    name: fitted(name, widestName),
    series,
    last: lastOf(points),
  }));
  const shown = named.filter(({ last }) => last !== undefined);
  const right = 18 + Math.max(40, ...shown.map(({ name }) => Math.ceil(1.17 * pixelsOf(name))));
  const scale = verticalScale(y, log);
  const clamp = (value: number) => Math.max(y[0], Math.min(y[1], value));
  const ends = movedApart(
    shown.map(({ last }) => scale.pixel(clamp(last?.y ?? y[0]))),
    lineHeight,
    [top, height - bottom],
  );
  const picture: Markish[] = [
    gridY({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 6 }),
    axisX({ label: null, color: "var(--faint)", tickSize: 4, ...tickOptions }),
    axisY({ label: null, color: "var(--faint)", tickSize: 0, ...tickOptions }),
    text([labelOf(spec.y)], {
      frameAnchor: "top-left",
      dx: -left + 16,
      dy: -22,
      textAnchor: "start",
      fill: "var(--faint)",
    }),
    text([labelOf(spec.x)], { frameAnchor: "bottom", dy: 36, fill: "var(--faint)" }),
  ];
  for (const { value, name } of marks) {
    picture.push(
      line(
        [
          { x: x[0], y: value },
          { x: x[1], y: value },
        ],
        { x: "x", y: "y", stroke: "var(--faint)", strokeDasharray: "3 4" },
      ),
      text([{ x: x[0], y: value }], {
        x: "x",
        y: "y",
        text: () => name,
        textAnchor: "start",
        dx: 4,
        dy: -7,
        fill: "var(--faint)",
      }),
    );
  }
  all.forEach(({ points }, series) => {
    if (spec.series[series].band === undefined) return;
    const within = points.filter((p) => seen(p) && Number.isFinite(p.low) && Number.isFinite(p.high));
    const [y1, y2] = [within.map((p) => clamp(p.low)), within.map((p) => clamp(p.high))];
    picture.push(areaY(within, { x: "x", y1, y2, fill: inkOf(series), fillOpacity: 0.14 }));
  });
  all.forEach(({ points }, series) => {
    const drawn = points.map((p) => (seen(p) ? { x: p.x, y: clamp(p.y) } : { x: p.x, y: Number.NaN }));
    const look = {
      stroke: inkOf(series),
      strokeWidth: 2,
      strokeDasharray: dashOf(series),
      strokeLinejoin: "round",
    } as const;
    picture.push(line(drawn, { x: "x", y: "y", ...look }));
  });
  shown.forEach(({ name, series, last }, k) => {
    const at = [{ x: x[1], y: scale.value(ends[k]) }];
    picture.push(
      text(at, { x: "x", y: "y", text: () => name, dx: 10, textAnchor: "start", fill: inkOf(series), fontWeight: 600 }),
    );
    if (last !== undefined && last.x < x[1]) {
      picture.push(
        text([last], { x: "x", y: (p: Point) => clamp(p.y), text: () => "●", fontSize: 8, fill: inkOf(series) }),
      );
    }
  });
  const values = shown.map(({ name, last }) => `${name} ${label(last?.y ?? 0)}`).join(", ");
  return sheet(document, spec, `${labelOf(spec.y)} over ${labelOf(spec.x)}; at the end: ${values}.`, {
    height,
    marginTop: top,
    marginBottom: bottom,
    marginLeft: left,
    marginRight: right,
    x: { type: isLog(spec.x) ? "log" : "linear", domain: x },
    y: { type: log ? "log" : "linear", domain: y },
    marks: picture,
  });
}
