// Runs in a worker of the page: trains, and tells the page of every update when it is done.
import { trainSmall } from "./lab-training.ts";

const post = (message: unknown) =>
  (globalThis as unknown as { postMessage(message: unknown): void }).postMessage(message);

try {
  for await (const told of trainSmall()) post(told);
  post("done");
} catch (error) {
  post({ fault: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
