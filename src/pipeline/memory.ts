import { totalmem } from "node:os";
import { defaultChunkBytes } from "../formats/types.ts";

/** What the process takes before it holds any rollouts: Node, the methods, the readers. */
const base = 110 * 2 ** 20;
/** What one more worker thread takes. */
const perWorker = 30 * 2 ** 20;
const leastChunk = 2 ** 20;

/** The least that can be asked of `--memory`. */
export const leastMemory = base + 50 * 2 ** 20;

/** How a limit on the memory of the process is divided. */
export interface MemoryPlan {
  /** The limit itself. */
  limit: number;
  /** Bytes of columns of one chunk. */
  chunkBytes: number;
  /** Bytes of columns that may be held at once by methods that need the whole input. */
  wholeBytes: number;
  /** Bytes of columns that may wait for the rest of their groups. */
  waitBytes: number;
  /** Worker threads that there is room for. */
  workers: number;
}

/** The limit where none is given: most of what the machine (or the container) has. */
export function defaultMemory(): number {
  const constrained = process.constrainedMemory?.() ?? 0;
  const total = totalmem();
  return Math.floor(0.6 * (constrained > 0 && constrained < total ? constrained : total));
}

/**
 * Divides a limit. Each chunk stands in memory several times over: as it is read, in every thread, with the columns that
 * were added, and as the text or the table that is written.
 */
export function planMemory(limit: number, threads: number): MemoryPlan {
  const room = Math.max(limit - base, 0);
  const workers = threads > 1 ? Math.min(threads, Math.floor(room / (4 * perWorker))) : 0;
  const shared = room - workers * perWorker;
  const chunkBytes = Math.min(defaultChunkBytes, Math.max(leastChunk, Math.floor(shared / (8 + 4 * workers))));
  return {
    limit,
    chunkBytes,
    wholeBytes: Math.floor(room / 3),
    waitBytes: Math.max(4 * leastChunk, Math.floor(shared / 4)),
    workers,
  };
}
