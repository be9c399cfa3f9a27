import { promises as fs } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { InputError } from "../../rollouts/index.ts";
import { fileError } from "../file-errors.ts";
import { glob, isGlob } from "../glob.ts";

/** A file to import. */
export interface LogFile {
  path: string;
  /** Short name for ids: the path below the folder that all files share. */
  name: string;
  /** Whether it was named itself; files found in a directory or by a glob may turn out to be something else. */
  named: boolean;
}

const logEnding = /\.(json|jsonl|ndjson|traj)(\.(gz|zst))?$/i;

async function logsIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await fs.readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await logsIn(path)));
    else if (logEnding.test(entry.name) && !/\.rejects\.jsonl$/i.test(entry.name)) found.push(path);
  }
  return found.sort();
}

async function filesOf(path: string): Promise<{ path: string; named: boolean }[]> {
  try {
    const found = await fs.stat(path);
    if (!found.isDirectory()) return [{ path, named: true }];
    const files = await logsIn(path);
    if (files.length > 0) return files.map((file) => ({ path: file, named: false }));
    throw new InputError("no log files in this directory", {
      file: path,
      expected: "files that end in .json, .jsonl or .ndjson (also with .gz or .zst)",
    });
  } catch (error) {
    if (error instanceof InputError || !isGlob(path)) throw fileError(error, path);
  }
  const matches = await glob(path);
  if (matches.length === 0) throw new InputError("no file matches", { file: path, hint: "check the pattern" });
  return (await Promise.all(matches.map(filesOf))).flat().map(({ path: file }) => ({ path: file, named: false }));
}

/** The deepest folder that holds all files. */
function sharedFolder(paths: readonly string[]): string {
  let shared = dirname(resolve(paths[0])).split(sep);
  for (const path of paths) {
    const parts = dirname(resolve(path)).split(sep);
    const differs = shared.findIndex((part, k) => part !== parts[k]);
    if (differs >= 0) shared = shared.slice(0, differs);
  }
  return shared.join(sep) || sep;
}

/**
 * Files that paths, directories and globs name, in the order given and sorted within a directory or glob; each once.
 * @throws InputError for missing files, directories without logs and globs without a match.
 */
export async function listLogs(paths: readonly string[]): Promise<LogFile[]> {
  if (paths.length === 0) throw new InputError("no input was named", { hint: "name files, directories or globs" });
  const byPath = new Map<string, { path: string; named: boolean }>();
  for (const path of paths) {
    for (const file of await filesOf(path)) {
      const known = byPath.get(resolve(file.path));
      byPath.set(resolve(file.path), { path: known?.path ?? file.path, named: file.named || known?.named === true });
    }
  }
  const files = [...byPath.values()];
  const folder = sharedFolder(files.map((file) => file.path));
  return files.map(({ path, named }) => {
    const name = files.length === 1 ? basename(path) : relative(folder, resolve(path)).split(sep).join("/");
    return { path, name, named };
  });
}
