import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Root of the repository. */
export const root = fileURLToPath(new URL("../../", import.meta.url));

/** Folder of the built package; APPORTION_DIST names another build. */
export const dist = process.env.APPORTION_DIST ?? join(root, "dist");

/** A module of the built package, typed by its source. */
export async function built<T>(path: string): Promise<T> {
  return (await import(pathToFileURL(join(dist, path)).href)) as T;
}
