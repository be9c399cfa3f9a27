import { builtinModules } from "node:module";
import { basename } from "node:path";
import { build } from "esbuild";
import { root } from "../cli/dist.ts";

/** Files of the project as a browser would load them, each with all that it needs in one file. */
export async function bundled(entryPoints: readonly string[]) {
  const built = await build({
    absWorkingDir: root,
    entryPoints: [...entryPoints],
    entryNames: "[name]",
    outdir: "out",
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2023",
    minify: true,
    metafile: true,
    write: false,
    logLevel: "silent",
  });
  const { inputs, outputs } = built.metafile;
  const named = Object.values(inputs).flatMap(({ imports }) => imports.map(({ path }) => path));
  return {
    /** Code by the name of its file. */
    files: new Map(built.outputFiles.map(({ path, contents }) => [basename(path), contents])),
    outputs,
    /** What the files still import when they run. */
    imported: Object.values(outputs).flatMap((output) => output.imports.map(({ path }) => path)),
    /** Modules of Node that anything in them names. */
    ofNode: named.filter((path) => path.startsWith("node:") || builtinModules.includes(path)),
    /** Files of packages that went into them. */
    packages: Object.keys(inputs).filter((path) => path.includes("node_modules/")),
  };
}
