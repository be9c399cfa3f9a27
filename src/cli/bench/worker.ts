import { parentPort } from "node:worker_threads";
import type { Entry } from "../../lab/benchmark/entries.ts";
import { type Fitness, fitnessOf } from "../../lab/benchmark/fitness.ts";
import { type Job, type JobResult, runJob } from "../../lab/benchmark/job.ts";

/** Work for a thread: find out whether a method runs on a task, or measure it. */
export type Order = { kind: "fitness"; entry: Entry; task: string } | { kind: "job"; job: Job };

/** What an order led to; `failed` says why it did not work out. */
export type Answer = Fitness | JobResult | { failed: string };

function answerTo(order: Order): Answer {
  try {
    return order.kind === "fitness" ? fitnessOf(order.entry, order.task) : runJob(order.job);
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on("message", (order: Order) => parentPort?.postMessage(answerTo(order)));
