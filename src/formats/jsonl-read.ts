import { isUtf8 } from "node:buffer";
import { type Batch, InputError } from "../rollouts/index.ts";
import type { RolloutCollector } from "./collector.ts";
import { errorCode } from "./file-errors.ts";
import { findFault } from "./jsonl-fault.ts";
import { type Line, LineCutter, passMark } from "./jsonl-lines.ts";
import { NotJson, RolloutScanner } from "./jsonl-scanner.ts";
import type { ReadOptions } from "./types.ts";

/** The words behind the place: what a rejects file says about a line. */
export function reasonOf(error: InputError): string {
  return new InputError(error.problem, { ...error.at, file: undefined, line: undefined, rollout: undefined }).message;
}

function textOf({ bytes, from, to }: Line): string {
  return bytes.toString("utf8", from, bytes[to - 1] === 13 ? to - 1 : to);
}

function importHint(file: string): string {
  return `turn it into rollouts with: apportion import auto ${file}`;
}

/** Why a line could not be taken, as bad input that names file and line. */
function lineError(error: unknown, line: Line, file: string, number: number): unknown {
  const place = { file, line: number };
  const { bytes, from, to } = line;
  if (error instanceof InputError) {
    const list = error.at.got?.startsWith("a list") === true && error.at.rollout === undefined;
    return error.located(list ? { ...place, hint: importHint(file) } : place);
  }
  if (errorCode(error) === "ERR_STRING_TOO_LONG") {
    return new InputError("a text in this line is longer than 512 MB", {
      ...place,
      hint: "leave it out of the rollout",
    });
  }
  if (!(error instanceof NotJson)) return error;
  if (bytes[from] === 91 && number === 1) {
    const problem = "this is a JSON array, not rollout JSONL (one object per line)";
    return new InputError(problem, { file, hint: importHint(file) });
  }
  const fault = findFault(bytes.toString("utf8", from, to));
  if (fault === null) return error;
  const { position, expected, got, hint } = fault;
  const whole = got === "the end of the line" && number === 1 ? `${hint}; ${importHint(file)}` : hint;
  return new InputError(`not JSON at character ${position}`, { ...place, expected, got, hint: whole });
}

function notUtf8({ bytes, from, to }: Line, file: string, number: number): InputError {
  const wide = (bytes[from] === 0xff && bytes[from + 1] === 0xfe) || (bytes[from] === 0xfe && bytes[from + 1] === 0xff);
  const position = bytes.toString("utf8", from, to).indexOf("\ufffd") + 1;
  return new InputError(wide ? "the file is UTF-16" : `not UTF-8 at character ${position}`, {
    file,
    line: number,
    hint: "save the file as UTF-8",
  });
}

/** Whether a line holds nothing but spaces. */
function isBlank({ bytes, from, to }: Line): boolean {
  for (let at = from; at < to; at++) {
    if (bytes[at] !== 32 && bytes[at] !== 9 && bytes[at] !== 13) return false;
  }
  return true;
}

export interface JsonlInput {
  name: string;
  total: number | null;
  bytesRead(): number;
  chunks: AsyncIterable<Buffer>;
}

/**
 * Reads rollout JSONL into a collector and gives a batch whenever that is full; what is left stays in it. A byte order mark
 * and empty lines are passed over.
 * @throws InputError with file, line and what is wrong, unless `onError` is `skip`: then `onReject` gets the line. A broken
 * stream, and a JSON array in the place of lines, are not skipped.
 */
export async function* readJsonl(
  input: JsonlInput,
  collector: RolloutCollector,
  options: ReadOptions = {},
): AsyncGenerator<Batch> {
  const file = input.name;
  const cutter = new LineCutter(file);
  const scanner = new RolloutScanner();
  const take = (line: Line) => {
    if (cutter.number === 1) passMark(line);
    if (isBlank(line)) return;
    const { bytes, from, to } = line;
    try {
      if (!isUtf8(bytes.subarray(from, to))) throw notUtf8(line, file, cutter.number);
      collector.add(scanner.read(bytes, from, to), {}, to - from);
    } catch (error) {
      const known = lineError(error, line, file, cutter.number);
      const whole = known instanceof InputError && known.at.line === undefined;
      if (options.onError !== "skip" || !(known instanceof InputError) || whole) throw known;
      const rollout = known.at.rollout;
      options.onReject?.({ file, line: cutter.number, rollout, text: textOf(line), reason: reasonOf(known) });
    }
  };
  const report = () =>
    options.onProgress?.({ file, bytes: input.bytesRead(), total: input.total, rollouts: collector.rollouts });
  for await (const chunk of input.chunks) {
    options.signal?.throwIfAborted();
    for (const line of cutter.lines(chunk)) {
      take(line);
      if (collector.full) yield collector.take() as Batch;
    }
    report();
  }
  for (const line of cutter.rest()) take(line);
  report();
}
