import { parentPort, workerData } from "node:worker_threads";
import { findMethod } from "../methods/registry.ts";
import { Batch, type BatchParts, type FaultPlace, InputError } from "../rollouts/index.ts";
import { applyCalls, type RunOptions, type SettledCall } from "./calls.ts";
import { type Answer, answerOf } from "./transfer.ts";

/** What a worker is started with. */
export interface WorkerOrders {
  calls: readonly { id: string; params: Record<string, unknown>; state?: unknown }[];
  options: RunOptions;
}

/** A worker's answer to one batch. */
export type WorkerReply =
  | { answer: Answer; warnings: readonly string[] }
  | { refused: { problem: string; at: FaultPlace } }
  | { broken: { name: string; message: string; stack: string | undefined } };

function replyTo(parts: BatchParts, calls: readonly SettledCall[], options: RunOptions): [WorkerReply, ArrayBuffer[]] {
  try {
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    const { answer, buffers } = answerOf(applyCalls(new Batch(parts), calls, { ...options, warn }));
    return [{ answer, warnings }, buffers];
  } catch (error) {
    if (error instanceof InputError) return [{ refused: { problem: error.problem, at: error.at } }, []];
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
    return [{ broken: { name, message, stack } }, []];
  }
}

const orders = workerData as WorkerOrders;
const calls = orders.calls.map(({ id, params, state }) => ({ method: findMethod(id), params, state }));
parentPort?.on("message", (parts: BatchParts) => {
  const [reply, buffers] = replyTo(parts, calls, orders.options);
  parentPort?.postMessage(reply, buffers);
});
