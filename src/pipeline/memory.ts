import { totalmem } from "node:os";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { defaultChunkBytes } from "../formats/types.ts";

/**
 * What the process takes besides the rollouts at hand: Node, the methods, the readers, and what the garbage collector has
 * not come round to yet (measured).
 */
const base = 150e6;
/** What one more worker thread takes. */
const perWorker = 40e6;
const leastChunk = 2 ** 20;

/** Limits below this cannot be kept, however small the pieces are. */
export const leastMemory = 160e6;

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

/** New columns below the rollout that the shares are meant for; with more of them each piece has to be smaller. */
const usualColumns = 3;

/**
 * Divides a limit. Each chunk stands in memory several times over: as it is read, in every thread, with the columns that
 * were added, and as the text or the table that is written.
 * @param columns how many columns of turns, steps and tokens are added to each piece.
 */
export function planMemory(limit: number, threads: number, columns = usualColumns): MemoryPlan {
  const room = Math.max(limit - base, 0);
  const workers = threads > 1 ? Math.min(threads, Math.floor(room / (4 * perWorker))) : 0;
  const shared = (room - workers * perWorker) / Math.max(1, (usualColumns + columns) / (2 * usualColumns));
  const chunkBytes = Math.min(defaultChunkBytes, Math.max(leastChunk, Math.floor(shared / (10 + 4 * workers))));
  return {
    limit,
    chunkBytes,
    wholeBytes: Math.floor(room / 3),
    waitBytes: Math.max(4 * leastChunk, Math.floor(shared / 6)),
    workers,
  };
}

/** The garbage collector is asked for from this share of the limit on. */
const nearLimit = 0.6;
/** It gets at most one part in this many of the time. */
const timeShare = 5;

/**
 * Keeps garbage from filling the limit: Node by itself lets it grow with what the machine has. To be called between
 * batches; asks for a collection when the process nears the limit, and not so often that it would slow the work down.
 */
export function garbageWatch(limit: number): () => void {
  let collect: (() => void) | null = null;
  let rest = 0;
  return () => {
    const started = performance.now();
    if (started < rest || process.memoryUsage.rss() < nearLimit * limit) return;
    if (collect === null) {
      setFlagsFromString("--expose-gc");
      collect = runInNewContext("gc") as () => void;
    }
    collect();
    const ended = performance.now();
    rest = ended + (timeShare - 1) * (ended - started);
  };
}
