import { constants } from "node:buffer";
import { InputError } from "../../rollouts/index.ts";
import { findFault } from "../jsonl-fault.ts";
import { LineCutter } from "../jsonl-lines.ts";
import { isObject } from "./fields.ts";

/** One record of a file. */
export interface TextRecord {
  value: unknown;
  /** Number of the record in its file, from 0. */
  index: number;
  /** 1-based line, known for JSON lines. */
  line?: number;
  /** Bytes of text that the record took. */
  bytes: number;
}

/** What to do about a line that is not JSON: throw, or make a note so that the others are read. */
export type LineFault = (error: unknown, text: string, line: number) => void;

const linesEnding = /\.(jsonl|ndjson)(\.(gz|zst))?$/i;

/**
 * Whether a file holds one JSON value per line. Told from its name, else from its beginning: a first line that is a
 * whole object means lines, so does a line too long to see its end; anything else is one JSON document.
 */
export function holdsLines(name: string, head: string): boolean {
  if (linesEnding.test(name)) return true;
  const start = head.trimStart();
  if (!start.startsWith("{")) return false;
  const end = start.indexOf("\n");
  if (end < 0) return true;
  try {
    JSON.parse(start.slice(0, end));
    return true;
  } catch {
    return false;
  }
}

/** A fault of JSON in a person's words, with the line and column it stands in. */
function syntaxError(problem: string, text: string, file: string, firstLine: number): InputError {
  const fault = findFault(text);
  if (fault === null) return new InputError(problem, { file, line: firstLine });
  const before = text.slice(0, fault.position - 1);
  const start = before.lastIndexOf("\n") + 1;
  const where = { file, line: firstLine + before.split("\n").length - 1, expected: fault.expected };
  const named = `${problem} (column ${fault.position - start})`;
  if (fault.position > text.length) return new InputError(named, { ...where, got: "the end", hint: "is it cut off?" });
  return new InputError(named, { ...where, got: fault.got, hint: fault.hint });
}

/** Levels of lists and objects in each other that a record may have: far more than logs do, far fewer than calls can. */
const deepest = 500;

function checkDepth(record: unknown, file: string, line?: number): void {
  let level = [record];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > deepest) {
      throw new InputError("lists or objects are nested too deep", {
        file,
        line,
        expected: `at most ${deepest} levels`,
      });
    }
    const below: unknown[] = [];
    for (const value of level) {
      if (value === null || typeof value !== "object") continue;
      for (const cell of Array.isArray(value) ? value : Object.values(value)) below.push(cell);
    }
    level = below;
  }
}

function parseLine(text: string, file: string, line: number): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw syntaxError("this line is not JSON", text, file, line);
  }
  checkDepth(value, file, line);
  return value;
}

/** The value of a whole JSON document; a fault names its line. */
function parseDocument(text: string, file: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw syntaxError("this is not JSON", text, file, 1);
  }
  checkDepth(value, file);
  return value;
}

function isMessage(value: unknown): boolean {
  return isObject(value) && typeof value.role === "string" && ("content" in value || "tool_calls" in value);
}

/** Whether a value is a conversation: a list of chat messages. */
export function isConversation(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length > 0 && value.every(isMessage);
}

/** Records of a document: the items of a list (a list of chat messages is one record), or the document itself. */
function itemsOf(document: unknown): readonly unknown[] {
  return Array.isArray(document) && !isConversation(document) ? document : [document];
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Records of JSON lines; blank lines hold nothing. */
async function* lineRecords(chunks: AsyncIterable<Buffer>, file: string, fault: LineFault): AsyncGenerator<TextRecord> {
  const cutter = new LineCutter(file);
  let index = 0;
  function* records(lines: ReturnType<LineCutter["lines"]>): Generator<TextRecord> {
    for (const { bytes, from, to } of lines) {
      const line = cutter.number;
      const text = textOf(bytes.subarray(from, to));
      if (text.trim() === "") continue;
      let value: unknown;
      try {
        value = parseLine(text, file, line);
      } catch (error) {
        fault(error, text, line);
        continue;
      }
      yield { value, index: index++, line, bytes: to - from };
    }
  }
  for await (const chunk of chunks) yield* records(cutter.lines(chunk));
  yield* records(cutter.rest());
}

async function* documentRecords(chunks: AsyncIterable<Buffer>, file: string): AsyncGenerator<TextRecord> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length > constants.MAX_STRING_LENGTH) {
      throw new InputError("this JSON document is too large to be read in one piece", {
        file,
        hint: "write it as JSON lines, one record per line",
      });
    }
  }
  const items = itemsOf(parseDocument(textOf(Buffer.concat(parts)), file));
  for (const [index, value] of items.entries()) yield { value, index, bytes: length / items.length };
}

/** How much of a file is looked at to tell JSON lines from a document. */
const headBytes = 2 ** 16;

/**
 * Records of a file: JSON lines, read line by line, or one JSON document.
 * @throws InputError for an empty file and, unless `fault` says otherwise, for text that is not JSON; names the line.
 */
export async function* fileRecords(
  chunks: AsyncIterable<Buffer>,
  file: string,
  fault: LineFault,
): AsyncGenerator<TextRecord> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let length = 0;
  while (length < headBytes) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(next.value);
    length += next.value.length;
  }
  const head = textOf(Buffer.concat(first).subarray(0, headBytes));
  if (head.trim() === "") throw new InputError("the file is empty", { file, expected: "JSON or JSON lines" });
  async function* all(): AsyncGenerator<Buffer> {
    yield* first;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  }
  yield* holdsLines(file, head) ? lineRecords(all(), file, fault) : documentRecords(all(), file);
}
