export { type LinePlot, type LineSeries, linePlot } from "./lines.ts";
export { barPlot, dotPlot, type Row, type RowPlot } from "./rows.ts";
export type { Axis, PlotDocument, Sheet } from "./sheet.ts";
