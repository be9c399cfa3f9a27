import { Worker } from "node:worker_threads";
import type { Answer, Order } from "./worker.ts";

const script = new URL("./worker.js", import.meta.url);

/** Runs orders in threads, in any order, and hands each answer to `done` as it comes. */
export async function workThrough(
  orders: readonly Order[],
  threads: number,
  signal: AbortSignal,
  done: (answer: Answer, index: number) => void,
): Promise<void> {
  const workers = Array.from({ length: Math.min(threads, orders.length) }, () => new Worker(script));
  let next = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      let left = orders.length;
      if (left === 0) resolve();
      const stop = () => reject(signal.reason);
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop, { once: true });
      const feed = (worker: Worker) => {
        if (next >= orders.length) return;
        const index = next++;
        worker.once("message", (answer: Answer) => {
          done(answer, index);
          left--;
          if (left === 0) resolve();
          else feed(worker);
        });
        worker.postMessage(orders[index]);
      };
      for (const worker of workers) {
        worker.once("error", reject);
        feed(worker);
      }
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
