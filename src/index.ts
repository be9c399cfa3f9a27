export * from "./core.ts";
export { type GroupExtents, groupExtents, type WholeGroupsOptions, wholeGroups } from "./formats/chunks.ts";
export {
  type Exporter,
  type ExportOptions,
  type ExportReport,
  exportBatches,
  exporters,
  findExporter,
} from "./formats/export/index.ts";
export { findImporter, type Importer, type ImportOptions, importers, importFiles } from "./formats/import/index.ts";
export type { Input } from "./formats/inputs.ts";
export { readBatches, readRollouts } from "./formats/read.ts";
export type { Compression, Format, ReadOptions, ReadProgress, Reject, RolloutSink } from "./formats/types.ts";
export { openSink, removeUnfinished, type WriteOptions, writeRollouts } from "./formats/write.ts";
export { type AssignStreamOptions, assignStream } from "./pipeline/assign-stream.ts";
export type { AssignCall } from "./pipeline/calls.ts";
export type { BatchSource, GroupOptions, ReadRequest } from "./pipeline/pieces.ts";
