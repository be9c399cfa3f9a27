/** Exit codes of a process that a signal ended: 128 + the signal's number. */
const codes = { SIGINT: 130, SIGTERM: 143 } as const;

let controller: AbortController | undefined;
let code: number = codes.SIGINT;

/**
 * For work that has to clean up behind itself: from the first call on, Ctrl-C (and SIGTERM) aborts the returned signal
 * instead of ending the process, and a second one exits at once.
 */
export function abortOnInterrupt(): AbortSignal {
  if (controller !== undefined) return controller.signal;
  const mine = new AbortController();
  controller = mine;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      code = codes[name];
      if (mine.signal.aborted) process.exit(code);
      mine.abort();
    });
  }
  return mine.signal;
}

/** The exit code of the interrupt that was seen, `null` when there was none. */
export function interruptCode(): number | null {
  return controller?.signal.aborted === true ? code : null;
}

let cleaning = false;

/** Whatever way the process ends, temporary files of outputs go. */
export function removeUnfinishedAtExit(remove: () => void): void {
  if (!cleaning) process.once("exit", remove);
  cleaning = true;
}
