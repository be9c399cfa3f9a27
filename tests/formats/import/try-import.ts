import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type ImportOptions, importFiles } from "../../../src/formats/import/index.ts";
import { type Batch, concatBatches, type RolloutObject, rolloutObjects } from "../../../src/rollouts/index.ts";

/** Writes files into a fresh folder and gives its path. */
export function folderWith(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(join(tmpdir(), "apportion-test-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

export async function importAll(
  paths: readonly string[],
  importer: string,
  options: ImportOptions = {},
): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of importFiles(paths, importer, options)) batches.push(batch);
  return batches;
}

/** Imports values as one file: a list or a document as JSON, several values as JSON lines. */
export async function imported(
  importer: string,
  values: { lines: readonly unknown[] } | { document: unknown },
  options: ImportOptions = {},
): Promise<RolloutObject[]> {
  const lines = "lines" in values;
  const text = lines
    ? values.lines.map((value) => `${JSON.stringify(value)}\n`).join("")
    : JSON.stringify(values.document, null, 1);
  const file = lines ? "log.jsonl" : "log.json";
  const batches = await importAll([join(folderWith({ [file]: text }), file)], importer, options);
  return [...rolloutObjects(concatBatches(batches))];
}
