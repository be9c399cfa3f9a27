export { importFiles } from "./import-files.ts";
export type { Importer, ImportOptions, RecordReader, RecordSource, Sample } from "./importer.ts";
export { findImporter, importers, recognise } from "./registry.ts";
