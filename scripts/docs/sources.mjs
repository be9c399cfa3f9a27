// What the documentation is made of: the registry (from dist/), the vector files, and the doc comments of the sources.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** Vector files by id. */
/** What was found of each card's claim, by id; empty where nothing was run. */
export function claimFiles() {
  const folder = join(root, "docs/claims");
  if (!existsSync(folder)) return new Map();
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return new Map(names.map((name) => [name.slice(0, -5), JSON.parse(readFileSync(join(folder, name), "utf8"))]));
}

export function vectorFiles() {
  const folder = join(root, "conformance");
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return new Map(names.sort().map((name) => [name.slice(0, -5), JSON.parse(readFileSync(join(folder, name), "utf8"))]));
}

/** Cases of tests/conformance/disputed.md as `id | name`. */
export function disputedCases() {
  const text = readFileSync(join(root, "tests/conformance/disputed.md"), "utf8");
  return new Set([...text.matchAll(/^- `([^`]+)`/gm)].map((match) => match[1]));
}

/** The text of a file of src/methods, followed by the files beside it that it imports. */
function withSiblings(folder, path, seen = new Set()) {
  if (seen.has(path)) return "";
  seen.add(path);
  const text = readFileSync(join(folder, path), "utf8");
  const imports = [...text.matchAll(/from "\.\/([^"]+)"/g)].map((match) => join(dirname(path), match[1]));
  return [text, ...imports.map((one) => withSiblings(folder, one, seen))].join("\n");
}

/** Source of every method, by the line that exports it in the catalogue. */
export function methodFiles() {
  const folder = join(root, "src/methods");
  const lines = readFileSync(join(folder, "catalogue.ts"), "utf8").matchAll(/export \{ (\w+) \} from "\.\/([^"]+)"/g);
  const files = new Map();
  for (const [, , path] of lines) {
    const text = withSiblings(folder, path);
    const id = text.match(/defineMethod\(\{\s*id: "([^"]+)"/)?.[1];
    if (id === undefined) throw new Error(`${path} declares no method`);
    files.set(id, { path: `src/methods/${path}`, text });
  }
  return files;
}

/** The doc comment right before a piece of source, as paragraphs of plain text. */
export function docComment(text, before) {
  const at = text.search(before);
  if (at < 0) return null;
  const end = text.lastIndexOf("*/", at);
  const start = text.lastIndexOf("/**", end);
  if (start < 0 || text.slice(end + 2, at).trim() !== "") return null;
  return text
    .slice(start + 3, end)
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n")
    .trim();
}
