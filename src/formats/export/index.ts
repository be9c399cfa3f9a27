export { type ExportOptions, exportBatches } from "./export-batches.ts";
export { type Exporter, type ExportReport, exporterParams, type LeftOut } from "./exporter.ts";
export { exporters, findExporter } from "./registry.ts";
