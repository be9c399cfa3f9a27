import { promises as fs, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileError } from "./file-errors.ts";

/** Files and folders that are to be gone when the process ends. */
const unfinished = new Set<string>();

/** Notes a file that is being written, until `forget`. */
export function remember(path: string): void {
  unfinished.add(path);
}

export function forget(path: string): void {
  unfinished.delete(path);
}

/** Removes what outputs that are neither closed nor aborted have written; for a process that has to end at once. */
export function removeUnfinished(): void {
  for (const path of unfinished) rmSync(path, { recursive: true, force: true });
  unfinished.clear();
}

/** A new folder in the system's place for temporary files. */
export async function temporaryFolder(): Promise<string> {
  const base = join(tmpdir(), "apportion-");
  const folder = await fs.mkdtemp(base).catch((error: unknown) => Promise.reject(fileError(error, tmpdir())));
  remember(folder);
  return folder;
}

export async function removeFolder(folder: string): Promise<void> {
  await fs.rm(folder, { recursive: true, force: true });
  forget(folder);
}
