import { CommanderError } from "commander";
import { InputError } from "../rollouts/errors.ts";

/** How a run ended: the exit code and the one sentence for standard error (`null` = nothing to say). */
export interface Ending {
  code: number;
  message: string | null;
}

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
 * @param name what an error of the operating system is about, where it does not say so itself.
 */
export async function endingOf(error: unknown, name?: string): Promise<Ending> {
  if (error instanceof InputError) return { code: 2, message: oneLine(error.message) };
  if (error instanceof CommanderError) {
    if (error.exitCode === 0 || error.code === "commander.help") return { code: 0, message: null };
    return { code: 2, message: commandLineFault(error) };
  }
  if (isBrokenPipe(error)) return { code: 0, message: null };
  const { fileError } = await import("../formats/file-errors.ts");
  const known = fileError(error, name ?? (error as NodeJS.ErrnoException).path ?? "");
  if (known instanceof InputError) return { code: 2, message: oneLine(known.message) };
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    code: 1,
    message: `this is a fault in apportion, not in your input: ${oneLine(what)} (run the same command with --debug added and report what it prints)`,
  };
}
