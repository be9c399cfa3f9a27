import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import type { Reject } from "../formats/types.ts";
import { plural } from "./options.ts";

/** Rollouts that were left out, one per line with the reason; a file only comes to be once there is one. */
export interface Rejects {
  add(reject: Reject): void;
  /** How many there were and where they are, for the closing line; empty when there were none. */
  describe(): string;
  /** Makes the file visible under its name. */
  finish(): void;
  /** Gives up: leaves no file behind. */
  discard(): void;
}

/** Writes rejects to `path` (`null`: they are only counted). */
export function collectRejects(path: string | null): Rejects {
  const part = `${path}.${process.pid}.part`;
  let file: number | null = null;
  let count = 0;
  const discard = () => {
    if (file === null) return;
    closeSync(file);
    file = null;
    rmSync(part, { force: true });
  };
  return {
    describe() {
      if (count === 0) return "";
      return `; ${plural(count, "rollout")} skipped${path === null ? "" : ` (see ${path})`}`;
    },
    add({ file: name, line, rollout, reason, text }) {
      count++;
      if (path === null) return;
      if (file === null) {
        file = openSync(part, "w");
        process.once("exit", discard);
      }
      writeSync(file, `${JSON.stringify({ file: name, line, rollout, reason, text })}\n`);
    },
    finish() {
      if (file === null || path === null) return;
      closeSync(file);
      file = null;
      renameSync(part, path);
    },
    discard,
  };
}
