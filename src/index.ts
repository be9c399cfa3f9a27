export * from "./core.ts";
export { type ExportReport, exportBatches, exporters } from "./formats/export/index.ts";
export { type ImportOptions, importers, importFiles } from "./formats/import/index.ts";
