import type { ReadProgress } from "../formats/types.ts";
import { formatCount } from "./options.ts";

export interface Progress {
  /** To be handed to readers as `onProgress`. */
  read(progress: ReadProgress): void;
  /** Removes the bar; may be called more than once. */
  stop(): void;
}

/** How every bar looks; whoever shows one has to stop it when the process ends, since it hides the cursor. */
export function barOptions(stream: NodeJS.WriteStream, format: string): import("cli-progress").Options {
  const look = { barCompleteChar: "#", barIncompleteChar: "-", barsize: 30 };
  return { stream, format, ...look, hideCursor: true, clearOnComplete: true, gracefulExit: false };
}

const nothing: Progress = { read() {}, stop() {} };
const patience = 1000;

/** A bar on standard error while input is read: only on a terminal, and only for work that lasts longer than a second. */
export function startProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return nothing;
  let latest: ReadProgress | null = null;
  let stopped = false;
  let bar: import("cli-progress").SingleBar | null = null;
  const values = (at: ReadProgress) => ({ rollouts: formatCount(at.rollouts), name: at.file });
  const show = async (): Promise<void> => {
    const { default: progress } = await import("cli-progress");
    if (stopped || latest === null) return;
    const sized = latest.total !== null && latest.total > 0;
    const format = sized ? "{bar} {percentage}% of {name}, {rollouts} rollouts" : "{rollouts} rollouts from {name}";
    bar = new progress.SingleBar(barOptions(stream, format));
    bar.start(latest.total ?? 1, latest.bytes, values(latest));
  };
  const timer = setTimeout(() => void show(), patience);
  timer.unref();
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    bar?.stop();
    bar = null;
    process.off("exit", stop);
  };
  process.once("exit", stop); // the bar has hidden the cursor
  return {
    read(progress) {
      const other = latest !== null && latest.file !== progress.file;
      latest = progress;
      if (bar === null) return;
      if (other) bar.setTotal(progress.total ?? 1);
      bar.update(progress.bytes, values(progress));
    },
    stop,
  };
}
