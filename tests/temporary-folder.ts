import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whatever the tests and their child processes leave in the temporary folder goes away with it. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "apportion-"));
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
