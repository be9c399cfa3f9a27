import { createReadStream, promises as fs } from "node:fs";
import { join } from "node:path";
import { addAbortSignal, Readable } from "node:stream";
import { InputError } from "../rollouts/index.ts";
import { compressionOf, decompressed } from "./compression.ts";
import { errorCode, fileError } from "./file-errors.ts";
import { type InputSource, kindOfName } from "./inputs.ts";
import { removeFolder, temporaryFolder } from "./temporary.ts";
import type { Format } from "./types.ts";

/** Bytes read from a file in one go. */
const pieceBytes = 2 ** 20;

/** How much of the beginning tells every format apart. */
const headBytes = 8;

/** Parquet and Arrow by their first bytes; everything else is taken for text. */
function formatOfBytes(head: Buffer): Format {
  if (head.toString("latin1", 0, 4) === "PAR1") return "parquet";
  if (head.toString("latin1", 0, 6) === "ARROW1") return "arrow";
  return head.length >= 8 && head.readUInt32LE(0) === 0xffffffff ? "arrow" : "jsonl";
}

interface Peeked {
  head: Buffer;
  all: AsyncGenerator<Buffer>;
}

/** The first bytes of a stream, and the whole of it. */
async function peek(chunks: AsyncIterable<Buffer | string>): Promise<Peeked> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let length = 0;
  let done = false;
  while (length < headBytes && !done) {
    const next = await iterator.next();
    done = next.done === true;
    if (!next.done) {
      first.push(asBuffer(next.value));
      length += first[first.length - 1].length;
    }
  }
  async function* all(): AsyncGenerator<Buffer> {
    try {
      yield* first;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield asBuffer(next.value);
    } finally {
      await iterator.return?.();
    }
  }
  return { head: Buffer.concat(first).subarray(0, headBytes), all: all() };
}

function asBuffer(chunk: Buffer | Uint8Array | string): Buffer {
  if (typeof chunk === "string") return Buffer.from(chunk);
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

/** A source that is open: its format is known, its bytes come unpacked. */
export interface OpenInput {
  name: string;
  format: Format;
  /** Size on disk, `null` for streams. */
  total: number | null;
  /** Bytes taken from the source so far, as they lie on disk. */
  bytesRead(): number;
  /** The bytes, unpacked. Can be taken once. */
  chunks: AsyncGenerator<Buffer>;
  /** A file that holds the unpacked bytes: the source itself, or a copy that `close` removes. */
  asFile(): Promise<string>;
  close(): Promise<void>;
}

/**
 * Opens a source and finds out what it is: the format asked for, else by its name, else by its first bytes. Whether it is
 * compressed is always told from the bytes.
 * @throws InputError when it cannot be read, or when its name promises a compression that its bytes are not.
 */
export async function openInput(source: InputSource, format?: Format, signal?: AbortSignal): Promise<OpenInput> {
  const { name, path } = source;
  let total: number | null = null;
  let taken = 0;
  let folder: string | null = null;
  let stream: NodeJS.ReadableStream;
  if (path === null) stream = source.stream as NodeJS.ReadableStream;
  else {
    const found = await fs.stat(path).catch((error: unknown) => Promise.reject(fileError(error, name)));
    if (found.isDirectory()) throw fileError(Object.assign(new Error(), { code: "EISDIR" }), name);
    if (found.isFile()) total = found.size;
    stream = createReadStream(path, { highWaterMark: pieceBytes });
  }
  if (signal !== undefined) addAbortSignal(signal, stream as Readable);
  async function* counted(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of stream) {
        taken += chunk.length;
        yield asBuffer(chunk);
      }
    } catch (error) {
      throw fileError(error, name);
    }
  }
  async function close(): Promise<void> {
    // Also an input that was given up: a pipe left open would keep the process waiting for its end.
    (stream as Readable).destroy?.();
    if (folder !== null) await removeFolder(folder);
  }
  try {
    const packed = await peek(counted());
    const compression = compressionOf(packed.head);
    const named = kindOfName(path ?? "");
    if (named.compression !== "none" && compression === "none") {
      throw new InputError(`not ${named.compression} data`, {
        file: name,
        got: packed.head.length === 0 ? "an empty file" : "other bytes",
        hint: "was it cut off, or unpacked without changing its name?",
      });
    }
    const bytes =
      compression === "none"
        ? packed
        : await peek(decompressed(Readable.from(packed.all, { objectMode: false }), compression, name));
    const { all } = bytes;
    const asFile = async () => {
      if (path !== null && total !== null && compression === "none") return path;
      folder = await temporaryFolder();
      const copy = join(folder, "input");
      await fs.writeFile(copy, all).catch((error: unknown) => Promise.reject(fileError(error, copy)));
      return copy;
    };
    const kind = format ?? named.format ?? formatOfBytes(bytes.head);
    return { name, format: kind, total, bytesRead: () => taken, chunks: all, asFile, close };
  } catch (error) {
    await close();
    throw errorCode(error) === undefined ? error : fileError(error, name);
  }
}
