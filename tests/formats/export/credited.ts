import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ExportReport, exportBatches } from "../../../src/formats/export/index.ts";
import { batchFromObjects, type RolloutObject } from "../../../src/rollouts/index.ts";

/** A rollout with a one-message prompt and an answer. */
export function answered(id: string, group: string, more: Partial<RolloutObject> = {}, prompt = "why?"): RolloutObject {
  return {
    id,
    group,
    messages: [
      { role: "user", content: prompt },
      { role: "assistant", content: `because ${id}` },
    ],
    ...more,
  };
}

export function emptyFolder(): string {
  return mkdtempSync(join(tmpdir(), "apportion-test-"));
}

export interface Exported {
  report: ExportReport;
  rows: Record<string, unknown>[];
}

/** Exports rollouts (one batch per list) and reads the JSON lines that came of it. */
export async function exported(
  exporter: string,
  batches: readonly (readonly RolloutObject[])[],
  params: Record<string, unknown> = {},
): Promise<Exported> {
  const file = join(emptyFolder(), "out.jsonl");
  const report = await exportBatches(batches.map(batchFromObjects), exporter, file, { params });
  const rows = readFileSync(file, "utf8").trimEnd().split("\n");
  return { report, rows: rows.map((row) => JSON.parse(row)) };
}
