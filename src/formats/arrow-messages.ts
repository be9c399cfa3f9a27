import { InputError } from "../rollouts/index.ts";
import { BadMetadata, checkMetadata, type MessageInfo } from "./arrow-metadata.ts";
import { readAhead } from "./read-ahead.ts";

/** One message of an Arrow stream: continuation mark, metadata and body in one piece of memory of its own. */
export interface ArrowMessage extends MessageInfo {
  bytes: Uint8Array;
}

/** Metadata are kilobytes; more is damage. */
const mostMetadata = 2 ** 28;
/** A message that is larger is not read ahead of its turn. */
const mostAhead = 2 ** 28;

const again = "copy or write it again";

function damaged(file: string, got: string): InputError {
  return new InputError("the Arrow stream is damaged", { file, got, hint: again });
}

function cutOff(file: string): InputError {
  return new InputError("the Arrow stream ends too early", { file, hint: `it was cut off: ${again}` });
}

/** Bytes of chunks, asked for by number. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Fills memory from `at` on; gives how much of it is filled, which is less than all only at the end of the bytes. */
  async fill(memory: Uint8Array, at = 0): Promise<number> {
    let filled = at;
    for (;;) {
      const part = this.#rest.subarray(0, memory.length - filled);
      memory.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
      if (filled === memory.length) return filled;
      const next = await this.#chunks.next();
      if (next.done) return filled;
      this.#rest = next.value;
    }
  }

  /** Gives the source up. It is not waited for: it may never come to an end. */
  close(): void {
    this.#chunks.return?.().catch(() => {});
  }
}

function notArrow(head: Uint8Array, file: string): InputError {
  const text = String.fromCharCode(...head.subarray(0, 4));
  const got = head.length === 0 ? "an empty file" : text === "PAR1" ? "a Parquet file" : "other bytes";
  return new InputError("not an Arrow stream", {
    file,
    got,
    hint: "it takes the IPC stream and file formats from Arrow 0.15 on",
  });
}

function memoryFor(length: number, file: string): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch {
    const got = `${length} bytes`;
    throw new InputError("a message of the Arrow stream does not fit in memory", {
      file,
      got,
      hint: "write it in smaller record batches, or copy it again if it should not be that large",
    });
  }
}

function infoOf(metadata: Uint8Array, file: string): MessageInfo {
  try {
    return checkMetadata(metadata);
  } catch (error) {
    if (error instanceof BadMetadata) throw damaged(file, error.message);
    if (error instanceof RangeError) throw damaged(file, "an offset leads out of the metadata");
    throw error;
  }
}

async function nextMessage(reader: ByteReader, head: Uint8Array, file: string): Promise<ArrowMessage | null> {
  const view = new DataView(head.buffer);
  if (view.getInt32(0, true) !== -1) throw damaged(file, "other bytes where a message should begin");
  const length = view.getInt32(4, true);
  if (length === 0) return null;
  if (length < 0 || length > mostMetadata) throw damaged(file, `${length} bytes of metadata`);
  const metadata = memoryFor(length, file);
  if ((await reader.fill(metadata)) < length) throw cutOff(file);
  const info = infoOf(metadata, file);
  // The body has to start at a multiple of 8; the length of the metadata is written so that it does.
  if (length % 8 !== 0) throw damaged(file, `${length} bytes of metadata, no multiple of 8`);
  const bytes = memoryFor(8 + length + info.bodyLength, file);
  bytes.set(head);
  bytes.set(metadata, 8);
  if ((await reader.fill(bytes, 8 + length)) < bytes.length) throw cutOff(file);
  return { ...info, bytes };
}

async function* messagesOf(reader: ByteReader, file: string): AsyncGenerator<ArrowMessage> {
  const head = new Uint8Array(8);
  let got = await reader.fill(head);
  const isFile = String.fromCharCode(...head.subarray(0, 6)) === "ARROW1";
  const marked = new DataView(head.buffer).getInt32(0, true) === -1;
  if (got < 8 || (!isFile && !marked)) throw notArrow(head.subarray(0, got), file);
  if (isFile) {
    got = await reader.fill(head);
    if (got === 0) throw cutOff(file);
  }
  for (; got > 0; got = await reader.fill(head)) {
    if (got < 8) throw cutOff(file);
    const message = await nextMessage(reader, head, file);
    if (message === null) return;
    yield message;
  }
}

/**
 * The messages of an Arrow stream, or of an Arrow file read from its beginning. The next message comes in while the last
 * one is worked on.
 * @throws InputError naming the file when the bytes are something else, damaged or cut short.
 */
export async function* arrowMessages(chunks: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<ArrowMessage> {
  const reader = new ByteReader(chunks);
  try {
    yield* readAhead(messagesOf(reader, file), ({ bytes }) => bytes.length <= mostAhead);
  } finally {
    reader.close();
  }
}
