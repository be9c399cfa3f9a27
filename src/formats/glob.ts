import { type Dirent, promises as fs } from "node:fs";
import { join } from "node:path";

/** Whether a path holds characters that stand for others: `*`, `?`, `[…]` or `{…,…}`. */
export function isGlob(path: string): boolean {
  return /[*?[{]/.test(path);
}

/** `a.{b,c}` as `a.b` and `a.c`; braces may be nested. */
function alternatives(pattern: string): string[] {
  const open = pattern.indexOf("{");
  if (open < 0) return [pattern];
  const parts: string[] = [];
  let depth = 0;
  let from = open + 1;
  for (let at = open; at < pattern.length; at++) {
    if (pattern[at] === "{") depth++;
    else if (pattern[at] === "}") depth--;
    if (depth === 0 || (depth === 1 && pattern[at] === ",")) {
      parts.push(pattern.slice(from, at));
      from = at + 1;
    }
    if (depth === 0) return parts.flatMap((part) => alternatives(pattern.slice(0, open) + part + pattern.slice(from)));
  }
  return [pattern];
}

/** One part of a path, between slashes. `null` stands for `**`: any number of directories. */
function matcher(part: string): RegExp | null {
  if (part === "**") return null;
  let source = "";
  for (let at = 0; at < part.length; at++) {
    const close = part[at] === "[" ? part.indexOf("]", at + 2) : -1;
    if (part[at] === "*") source += "[^/]*";
    else if (part[at] === "?") source += "[^/]";
    else if (close > 0) {
      const set = part.slice(at + 1, close).replace(/[\\\]]/g, "\\$&");
      source += `[${set.startsWith("!") ? `^${set.slice(1)}` : set}]`;
      at = close;
    } else source += part[at].replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  }
  // A leading dot has to be spelled out.
  return new RegExp(`^${part.startsWith(".") ? "" : "(?!\\.)"}${source}$`, "u");
}

async function entries(folder: string): Promise<Dirent[]> {
  try {
    return await fs.readdir(folder === "" ? "." : folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

async function isFolder(entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  return fs.stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function walk(folder: string, parts: readonly string[], found: Set<string>): Promise<void> {
  const [part, ...rest] = parts;
  if (!isGlob(part)) {
    const path = folder === "" ? part : join(folder, part);
    if (rest.length > 0) return walk(path === "" ? "/" : path, rest, found);
    const exists = await fs.stat(path).catch(() => null);
    if (exists !== null) found.add(path);
    return;
  }
  const matches = matcher(part);
  if (matches === null && rest.length > 0) await walk(folder, rest, found);
  for (const entry of await entries(folder)) {
    const path = folder === "" ? entry.name : join(folder, entry.name);
    if (matches === null) {
      // Links are not followed at any depth: they may lead in circles.
      if (entry.isDirectory() && !entry.name.startsWith(".")) await walk(path, parts, found);
      else if (rest.length === 0 && !entry.name.startsWith(".") && !(await isFolder(entry, path))) found.add(path);
    } else if (matches.test(entry.name)) {
      if (rest.length === 0) found.add(path);
      else if (await isFolder(entry, path)) await walk(path, rest, found);
    }
  }
}

/** Paths that match a pattern, sorted. `*` and `?` stay within a name, `**` stands for any number of directories. */
export async function glob(pattern: string): Promise<string[]> {
  const found = new Set<string>();
  for (const one of alternatives(process.platform === "win32" ? pattern.replaceAll("\\", "/") : pattern)) {
    await walk("", one.split("/"), found);
  }
  return [...found].sort();
}
