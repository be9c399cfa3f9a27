import { CommanderError } from "commander";
import { InputError } from "../rollouts/errors.ts";

/** How a run ended: the exit code and the one sentence for standard error (`null` = nothing to say). */
export interface Ending {
  code: number;
  message: string | null;
}

/** What the operating system's refusals mean to a person; the rest is told in the system's own words. */
const systemFaults: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  EACCES: "permission denied",
  EPERM: "not permitted",
  EISDIR: "is a folder, not a file",
  ENOTDIR: "a part of the path is not a folder",
  EEXIST: "exists already",
  ENOSPC: "no space left on the device",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file would be larger than allowed",
  EROFS: "the file system is read-only",
  EMFILE: "too many open files",
  EIO: "the device failed while reading or writing",
  ENAMETOOLONG: "the name is too long",
};

function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === "string" && code !== "") return code;
  return systemCode(error.cause);
}

/** Whether the reader of our standard output went away, as `head` does once it has seen enough. */
export function isBrokenPipe(error: unknown): boolean {
  return systemCode(error) === "EPIPE";
}

/** Commander's text as our one sentence: no "error:" in front, its suggestion in brackets behind. */
function commandLineFault(error: CommanderError): string {
  return error.message.replace(/^error:\s*/, "").replace(/\s*\n\s*/g, " ");
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, " ");
}

/**
 * Tells bad input from our own fault. Bad input (and a command line that does not parse, and a refusal of the
 * operating system) ends with 2, a fault of ours with 1; the reader of a pipe going away is no fault at all.
 */
export function endingOf(error: unknown): Ending {
  if (error instanceof InputError) return { code: 2, message: oneLine(error.message) };
  if (error instanceof CommanderError) {
    if (error.exitCode === 0 || error.code === "commander.help") return { code: 0, message: null };
    return { code: 2, message: commandLineFault(error) };
  }
  if (isBrokenPipe(error)) return { code: 0, message: null };
  const code = systemCode(error);
  if (error instanceof Error && code !== undefined && code in systemFaults) {
    const { path } = error as NodeJS.ErrnoException;
    return { code: 2, message: `${path === undefined ? "" : `${path}: `}${systemFaults[code]}` };
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    code: 1,
    message: `this is a fault in apportion, not in your input: ${oneLine(what)} (run the same command with --debug added and report what it prints)`,
  };
}
