import type { Batch } from "../rollouts/index.ts";
import { applyCalls, type Credited, type RunOptions, type SettledCall } from "./calls.ts";
import { canUseWorkers, WorkerPool } from "./pool.ts";

/** Work on the first batch is worth handing to threads when it lasts this long (in milliseconds) … */
const leastWork = 25;
/** … and this long against the reading of the batch, which goes on here all the same. */
const leastShare = 0.25;

export interface InOrderOptions {
  /** With `into`, what was written into one batch is overwritten once the next is asked for. */
  run: RunOptions;
  /** Worker threads that may be started. */
  workers: number;
  /** Start them however short the work on the first batch was. */
  eager: boolean;
  signal: AbortSignal | undefined;
}

/**
 * Credits batch by batch and gives the results in the order of the input. The first batch is done here and shows whether
 * the work is worth threads; then so many batches are under way as there are threads, and one more.
 */
export async function* creditInOrder(
  batches: AsyncIterable<Batch>,
  calls: readonly SettledCall[],
  { run, workers, eager, signal }: InOrderOptions,
): AsyncGenerator<Credited> {
  let pool: WorkerPool | null = null;
  let first = true;
  const underWay: Promise<Credited>[] = [];
  const asked = performance.now();
  try {
    for await (const batch of batches) {
      signal?.throwIfAborted();
      if (pool === null) {
        const started = performance.now();
        run.into?.reuse();
        const credited = applyCalls(batch, calls, run);
        const work = performance.now() - started;
        const worth = eager || (work >= leastWork && work >= leastShare * (started - asked));
        if (first && worth && workers > 0 && canUseWorkers(calls)) pool = new WorkerPool(workers, calls, run);
        first = false;
        yield credited;
        continue;
      }
      const result = pool.run(batch);
      result.catch(() => {}); // it is awaited in its turn; until then a failure must not count as unhandled
      underWay.push(result);
      if (underWay.length > workers) yield (await underWay.shift()) as Credited;
    }
    for (let next = underWay.shift(); next !== undefined; next = underWay.shift()) {
      signal?.throwIfAborted();
      yield await next;
    }
  } finally {
    await pool?.close();
  }
}
