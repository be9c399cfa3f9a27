// npm run docs: brings README.md, docs/methods/ and docs/which-method.md up to date. With --check it only says whether they are (exit code 1 if not).
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { methods, parseRead, runCase } from "../dist/core.js";
import { methodPage } from "./docs/method-page.mjs";
import { claimFiles, disputedCases, methodFiles, root, vectorFiles } from "./docs/sources.mjs";
import { overview, statuses, statusTable } from "./docs/tables.mjs";
import { whichMethod } from "./docs/which-method.mjs";

const check = process.argv.includes("--check");
const files = vectorFiles();
const claims = claimFiles();
const sources = methodFiles();
const wanted = new Map();

const readme = readFileSync(join(root, "README.md"), "utf8");
const table = statusTable(await statuses(methods, files, disputedCases(), runCase, claims));
const marks = /(<!-- methods -->\n)[\s\S]*?(\n<!-- \/methods -->)/;
if (!marks.test(readme)) throw new Error("README.md has no <!-- methods --> section");
wanted.set(
  "README.md",
  readme.replace(marks, (_, start, end) => `${start}${table}${end}`),
);
wanted.set("docs/methods/README.md", overview(methods, parseRead));
wanted.set("docs/which-method.md", whichMethod(methods));
for (const [id, method] of methods) {
  wanted.set(
    `docs/methods/${id}.md`,
    await methodPage(method, sources.get(id), files.get(id), runCase, claims.get(id)),
  );
}

mkdirSync(join(root, "docs/methods"), { recursive: true });
const stray = readdirSync(join(root, "docs/methods"))
  .map((name) => `docs/methods/${name}`)
  .filter((path) => !wanted.has(path));
const read = (path) => (existsSync(path) ? readFileSync(path, "utf8") : null);
const stale = [...wanted].filter(([path, text]) => read(join(root, path)) !== text);
if (check) {
  const names = [...stale.map(([path]) => path), ...stray];
  if (names.length > 0)
    console.error(`out of date, run npm run docs: ${names.slice(0, 5).join(", ")}${names.length > 5 ? " …" : ""}`);
  process.exitCode = names.length > 0 ? 1 : 0;
} else {
  for (const [path, text] of stale) writeFileSync(join(root, path), text);
  for (const path of stray) rmSync(join(root, path));
  console.log(`${stale.length} pages written, ${stray.length} removed, ${wanted.size - stale.length} unchanged`);
}
