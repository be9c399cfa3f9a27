import { parentPort } from "node:worker_threads";
import type { Scale } from "../../lab/experiments/experiment.ts";
import { experiments } from "../../lab/experiments/registry.ts";
import type { TimedTrial } from "./trial-file.ts";

/** A trial that is wanted of a worker. */
export interface TrialOrder {
  id: string;
  scale: Scale;
  seed: number;
}

/** What it gave, or what went wrong. */
export type TrialReply = TimedTrial | { fault: string };

async function replyTo({ id, scale, seed }: TrialOrder): Promise<TrialReply> {
  try {
    const { experiment } = await experiments[id]();
    const started = performance.now();
    const trial = await experiment.trial(seed, scale);
    const milliseconds = performance.now() - started;
    const bad = Object.entries(trial.measures).find(([, value]) => !Number.isFinite(value));
    return bad === undefined ? { trial, milliseconds } : { fault: `measure ${JSON.stringify(bad[0])} is ${bad[1]}` };
  } catch (error) {
    return { fault: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

parentPort?.on("message", async (order: TrialOrder) => parentPort?.postMessage(await replyTo(order)));
