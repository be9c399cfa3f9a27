import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { methods } from "../methods/registry.ts";
import { type Batch, InputError } from "../rollouts/index.ts";
import type { Credited, RunOptions, SettledCall } from "./calls.ts";
import { divide, packBatch, reunite } from "./transfer.ts";
import type { WorkerOrders, WorkerReply } from "./worker.ts";

const script = new URL("./worker.js", import.meta.url);

/** Whether calls can run in workers: the package is built, and the methods are those of the registry. */
export function canUseWorkers(calls: readonly SettledCall[]): boolean {
  const registered = calls.every(({ method }) => methods.get(method.id) === method);
  return registered && existsSync(fileURLToPath(script));
}

interface Task {
  batch: Batch;
  resolve(result: Credited): void;
  reject(error: unknown): void;
}

/** Worker threads that run the same calls on one batch after another. */
export class WorkerPool {
  /** Threads that may run at once. */
  readonly size: number;
  readonly #orders: WorkerOrders;
  readonly #reads: readonly string[];
  readonly #warn: ((message: string) => void) | undefined;
  readonly #waiting: Task[] = [];
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Task>();

  constructor(size: number, calls: readonly SettledCall[], options: RunOptions) {
    const { warn, into, ...plain } = options;
    this.size = size;
    this.#warn = warn;
    this.#reads = calls.flatMap(({ method }) => method.reads);
    this.#orders = {
      calls: calls.map(({ method, params, state }) => ({ id: method.id, params, state })),
      options: plain,
    };
  }

  /** The batch with the columns of the calls. The numbers of `batch` are handed over: it must not be used any more. */
  run(batch: Batch): Promise<Credited> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, resolve, reject });
      this.#next();
    });
  }

  /** Ends all threads; work that is still under way is given up. */
  async close(): Promise<void> {
    this.#waiting.length = 0;
    const workers = [...this.#idle, ...this.#busy.keys()];
    this.#busy.clear();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#idle.pop() ?? (this.#busy.size < this.size ? this.#start() : undefined);
      if (worker === undefined) return;
      this.#send(worker, this.#waiting.shift() as Task);
    }
  }

  #start(): Worker {
    const worker = new Worker(script, { workerData: this.#orders });
    worker.on("error", (error) => this.#fail(worker, error));
    worker.on("exit", (code) => this.#fail(worker, new Error(`a worker thread ended with code ${code}`)));
    return worker;
  }

  #fail(worker: Worker, error: unknown): void {
    const task = this.#busy.get(worker);
    this.#busy.delete(worker);
    task?.reject(error);
  }

  #send(worker: Worker, task: Task): void {
    this.#busy.set(worker, task);
    const paths = task.batch.paths;
    const { parts, stayed } = divide(task.batch, this.#reads);
    worker.once("message", (reply: WorkerReply) => {
      this.#busy.delete(worker);
      this.#idle.push(worker);
      if ("answer" in reply) {
        for (const warning of reply.warnings) this.#warn?.(warning);
        task.resolve(reunite(reply.answer, stayed, paths));
      } else task.reject(faultOf(reply));
      this.#next();
    });
    try {
      const packed = packBatch(parts);
      worker.postMessage(packed.parts, packed.buffers);
    } catch (error) {
      this.#fail(worker, error); // a cell that is not JSON cannot be posted
      void worker.terminate();
    }
  }
}

/** The exception of a worker as it would have been thrown here. */
function faultOf(reply: Exclude<WorkerReply, { answer: unknown }>): Error {
  if ("refused" in reply) return new InputError(reply.refused.problem, reply.refused.at);
  const error = new Error(reply.broken.message);
  error.name = reply.broken.name;
  error.stack = reply.broken.stack;
  return error;
}
