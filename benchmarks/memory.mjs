import { readFileSync } from "node:fs";

/** Resident memory of a process in bytes, now or at its highest so far; 0 where the system does not tell. */
export function memoryOf(pid, { highest = false } = {}) {
  try {
    const line = highest ? /^VmHWM:\s+(\d+) kB/m : /^VmRSS:\s+(\d+) kB/m;
    return 1024 * Number(readFileSync(`/proc/${pid}/status`, "utf8").match(line)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
