import { randomBytes } from "node:crypto";
import { promises as fs } from "node:fs";
import { join } from "node:path";

/** Writes what the system still holds of a folder's names to the disk. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return; // folders cannot be opened there; renames are in the journal
  const handle = await fs.open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes a file that is on the disk, whole, once the promise resolves: a temporary name, sync, rename, sync of the folder. */
export async function writeDurably(folder: string, name: string, text: string): Promise<void> {
  const draft = join(folder, draftName(name));
  const handle = await fs.open(draft, "wx");
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await fs.rename(draft, join(folder, name));
  await syncFolder(folder);
}

/** A name that nobody reads, of this process: `.NAME.PID.RANDOM.tmp`. */
export function draftName(name: string): string {
  return `.${name}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`;
}

const draftPattern = /^\..*\.(\d+)\.[0-9a-f]{8}\.tmp$/;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Removes what processes that were killed have left half-written in a folder. */
export async function sweep(folder: string): Promise<void> {
  for (const name of await fs.readdir(folder)) {
    const pid = draftPattern.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await fs.rm(join(folder, name), { recursive: true, force: true });
  }
}
