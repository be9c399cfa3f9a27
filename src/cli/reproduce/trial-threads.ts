import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { keepTrial, readTrial, type TimedTrial, type TrialKey } from "./trial-file.ts";
import type { TrialOrder, TrialReply } from "./trial-worker.ts";

const script = new URL("./trial-worker.js", import.meta.url);

export interface TrialOptions {
  threads: number;
  /** Runs trials again that were kept. */
  fresh: boolean;
  signal: AbortSignal;
  /** Hears of every trial that is there, kept or new. */
  onTrial(key: TrialKey): void;
}

/** One thread that takes trials until there are no more. */
async function work(next: () => TrialKey | undefined, { signal, fresh, onTrial }: TrialOptions, done: DoneTrials) {
  let worker: Worker | null = null;
  try {
    for (let key = next(); key !== undefined; key = next()) {
      signal.throwIfAborted();
      let trial = fresh ? null : await readTrial(key);
      if (trial === null) {
        worker ??= new Worker(script);
        trial = await inWorker(worker, key, signal);
        await keepTrial(key, trial);
      }
      done.set(key, trial);
      onTrial(key);
    }
  } finally {
    await worker?.terminate();
  }
}

async function inWorker(worker: Worker, key: TrialKey, signal: AbortSignal): Promise<TimedTrial> {
  const { id, scale, seed } = key;
  const order: TrialOrder = { id, scale, seed };
  worker.postMessage(order);
  const [reply]: TrialReply[] = await once(worker, "message", { signal });
  if ("fault" in reply) throw new Error(`experiment ${id}, seed ${seed}: ${reply.fault}`);
  return reply;
}

/** Trials that are there by now. */
export type DoneTrials = Map<TrialKey, TimedTrial>;

/**
 * Trials in threads, in the order of the keys: those kept from an earlier run are read, the others are run and kept. A
 * fault or an interrupt ends all threads; what was finished by then stays.
 */
export async function runTrials(keys: readonly TrialKey[], options: TrialOptions): Promise<DoneTrials> {
  const done: DoneTrials = new Map();
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  let at = 0;
  const next = () => keys[at++];
  const threads = Array.from({ length: Math.min(options.threads, keys.length) }, () =>
    work(next, { ...options, signal }, done).catch((error) => {
      stop.abort();
      throw error;
    }),
  );
  const ends = await Promise.allSettled(threads);
  options.signal.throwIfAborted();
  const faults = ends.flatMap((end) => (end.status === "rejected" ? [end.reason as Error] : []));
  const first = faults.find(({ name }) => name !== "AbortError");
  if (first !== undefined) throw first;
  return done;
}
