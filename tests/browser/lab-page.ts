// Runs in the page: starts the worker and keeps what it tells, with how often the page had a turn meanwhile.
import type { Told } from "./lab-training.ts";

export interface Heard {
  told: Told[];
  /** Turns of the page while the worker trained. */
  ticks: number;
  /** Whether memory may be shared between threads here. */
  isolated: boolean;
}

export function listen(worker: string): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const heard: Heard = { told: [], ticks: 0, isolated: crossOriginIsolated };
    const timer = setInterval(() => {
      heard.ticks++;
    }, 1);
    const training = new Worker(worker, { type: "module" });
    const end = (finish: () => void) => {
      clearInterval(timer);
      training.terminate();
      finish();
    };
    training.onerror = ({ message }) => end(() => reject(new Error(message)));
    training.onmessage = ({ data }: MessageEvent<Told | "done" | { fault: string }>) => {
      if (data === "done") end(() => resolve(heard));
      else if ("fault" in data) end(() => reject(new Error(data.fault)));
      else heard.told.push(data);
    };
  });
}
