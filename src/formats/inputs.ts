import { createReadStream, promises as fs, fstatSync, type Stats } from "node:fs";
import { join } from "node:path";
import { InputError } from "../rollouts/index.ts";
import { fileError } from "./file-errors.ts";
import { glob, isGlob } from "./glob.ts";
import type { Compression, Format } from "./types.ts";

/** Files, directories, globs, `-` for standard input, or a stream of bytes. */
export type Input = string | readonly string[] | NodeJS.ReadableStream;

/** One thing to read: a file, or a stream. */
export interface InputSource {
  /** How messages call it. */
  name: string;
  path: string | null;
  stream: NodeJS.ReadableStream | null;
}

const formats: Readonly<Record<string, Format>> = {
  jsonl: "jsonl",
  ndjson: "jsonl",
  json: "jsonl",
  parquet: "parquet",
  arrow: "arrow",
  arrows: "arrow",
};

/** What the name of a file says about what is in it; `null` where it says nothing. */
export interface NamedKind {
  format: Format | null;
  compression: Compression;
}

/** Format and compression by extension: `.jsonl.gz` → JSONL, gzip. */
export function kindOfName(path: string): NamedKind {
  const parts = (path.split(/[/\\]/).pop() as string).toLowerCase().split(".");
  const last = parts.length > 1 ? (parts.pop() as string) : "";
  const compression = last === "gz" || last === "gzip" ? "gzip" : last === "zst" || last === "zstd" ? "zstd" : "none";
  const inner = compression === "none" ? last : parts.length > 1 ? (parts.pop() as string) : "";
  return { format: Object.hasOwn(formats, inner) ? formats[inner] : null, compression };
}

/** Files of a directory and the directories in it, sorted; hidden ones are left out. */
async function filesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await fs.readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    const found = entry.isSymbolicLink() ? await fs.stat(path).catch(() => null) : entry;
    if (entry.isDirectory()) files.push(...(await filesIn(path)));
    else if (found?.isFile()) files.push(path);
  }
  return files.sort();
}

/**
 * Rollout files of a directory: JSONL, Parquet and Arrow by extension. Plain `.json` is taken only where there is nothing
 * else, since it mostly holds settings and reports; rejects files (`NAME.rejects.jsonl`) are left out.
 */
async function rolloutFiles(folder: string): Promise<string[]> {
  const files = await filesIn(folder);
  const known = files.filter((path) => {
    const { format, compression } = kindOfName(path);
    return (format !== null || compression !== "none") && !/\.rejects\.jsonl$/i.test(path);
  });
  const sure = known.filter((path) => !/\.json$/i.test(path));
  const chosen = sure.length > 0 ? sure : known;
  if (chosen.length > 0) return chosen;
  throw new InputError("no rollout files in this directory", {
    file: folder,
    expected: "files that end in .jsonl, .ndjson, .parquet, .arrow or .arrows (text also with .gz or .zst)",
    got: files.length === 0 ? "none" : `${files.length} other files`,
  });
}

async function pathsOf(path: string): Promise<string[]> {
  if (path === "") throw new InputError("a file name is empty", { hint: "name a file, a directory, a glob, or - " });
  let found: Stats | null;
  try {
    found = await fs.stat(path);
  } catch (error) {
    if (!isGlob(path)) throw fileError(error, path);
    found = null;
  }
  if (found?.isDirectory()) return rolloutFiles(path);
  if (found !== null) return [path];
  const matches = await glob(path);
  if (matches.length === 0) throw new InputError("no file matches", { file: path, hint: "check the pattern" });
  const files: string[] = [];
  for (const match of matches) {
    const kind = await fs.stat(match).catch(() => null);
    if (kind?.isDirectory()) files.push(...(await rolloutFiles(match)));
    else files.push(match);
  }
  return files;
}

/** Standard input; a file that stands there is read in larger pieces than Node would. */
function standardInput(): NodeJS.ReadableStream {
  try {
    if (fstatSync(0).isFile()) return createReadStream("", { fd: 0, autoClose: false, highWaterMark: 2 ** 20 });
  } catch {
    // It is closed, or of a kind that cannot be told: Node knows what to do.
  }
  return process.stdin;
}

/**
 * What an input names, in reading order: files as they were named, those of a directory or a glob sorted.
 * @throws InputError for missing files, empty directories, globs without a match and standard input named twice.
 */
export async function resolveInputs(input: Input): Promise<InputSource[]> {
  if (typeof input !== "string" && !Array.isArray(input)) {
    return [{ name: "stream", path: null, stream: input as NodeJS.ReadableStream }];
  }
  const names: readonly string[] = typeof input === "string" ? [input] : input;
  if (names.length === 0) throw new InputError("no input was named", { hint: "name files, or - for standard input" });
  const sources: InputSource[] = [];
  for (const name of names) {
    if (name !== "-") {
      for (const path of await pathsOf(name)) sources.push({ name: path, path, stream: null });
    } else if (sources.some((source) => source.path === null)) {
      throw new InputError("standard input is named twice", { hint: "it can be read once" });
    } else sources.push({ name: "standard input", path: null, stream: standardInput() });
  }
  return sources;
}
