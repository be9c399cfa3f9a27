import { pipeline, type Readable, Transform, type TransformCallback } from "node:stream";
import { constants, createGunzip, createGzip } from "node:zlib";
import { InputError } from "../rollouts/index.ts";
import type { ByteOutput } from "./output.ts";
import type { Compression } from "./types.ts";

/** The native library takes its input in one go: small pieces keep what one of them can unfold to in bounds. */
const zstdPiece = 2 ** 16;

/** Told from the first four bytes: gzip (RFC 1952), zstd frames and skippable frames (RFC 8878), else none. */
export function compressionOf(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  const frame = head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd;
  const skippable = head[0] >> 4 === 5 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18;
  return frame || skippable ? "zstd" : "none";
}

/**
 * Passes zstd bytes on and fails at their end when the last frame is cut short, which the native library does not notice.
 * Frames and blocks are followed by their headers only (RFC 8878, section 3.1).
 */
class FrameEnds extends Transform {
  #state: "magic" | "skippable" | "descriptor" | "block" = "magic";
  /** Bytes of the header at hand, and how many it has. */
  readonly #held = new Uint8Array(4);
  #have = 0;
  #need = 4;
  /** Bytes to pass over before the next header. */
  #skip = 0;
  #checksum = false;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, chunk.length - at);
        this.#skip -= passed;
        at += passed;
        continue;
      }
      this.#held[this.#have++] = chunk[at++];
      if (this.#have === this.#need) {
        this.#have = 0;
        this.#header(this.#held);
      }
    }
    for (let at = 0; at < chunk.length; at += zstdPiece) this.push(chunk.subarray(at, at + zstdPiece));
    done();
  }

  override _flush(done: TransformCallback): void {
    const whole = this.#state === "magic" && this.#have === 0 && this.#skip === 0;
    done(whole ? null : new Error("unexpected end of file"));
  }

  #to(state: "magic" | "skippable" | "descriptor" | "block", need: number, skip = 0): void {
    this.#state = state;
    this.#need = need;
    this.#skip = skip;
  }

  #header(bytes: Uint8Array): void {
    const small = bytes[0] | (bytes[1] << 8) | (bytes[2] << 16);
    if (this.#state === "magic") {
      const skippable = bytes[0] >> 4 === 5 && bytes[1] === 0x2a;
      this.#to(skippable ? "skippable" : "descriptor", skippable ? 4 : 1);
    } else if (this.#state === "skippable") this.#to("magic", 4, (small | (bytes[3] << 24)) >>> 0);
    else if (this.#state === "descriptor") {
      const single = (bytes[0] >> 5) & 1;
      this.#checksum = (bytes[0] & 4) !== 0;
      const dictionary = [0, 1, 2, 4][bytes[0] & 3];
      const contentSize = [single, 2, 4, 8][bytes[0] >> 6];
      this.#to("block", 3, 1 - single + dictionary + contentSize);
    } else {
      const size = ((small >> 1) & 3) === 1 ? 1 : small >>> 3;
      if ((small & 1) === 1) this.#to("magic", 4, size + (this.#checksum ? 4 : 0));
      else this.#to("block", 3, size);
    }
  }
}

/** The zstd library, loaded when it is first needed. */
export async function zstd(): Promise<typeof import("@cloudpss/zstd")> {
  try {
    return await import("@cloudpss/zstd");
  } catch (error) {
    throw new InputError(`zstd is not available on ${process.platform} ${process.arch}`, {
      got: error instanceof Error ? error.message.split("\n")[0] : undefined,
      hint: "its native library did not load: use gzip or no compression",
    });
  }
}

/** What went wrong in a compressed stream, for a person. */
function broken(error: unknown, kind: Compression, file: string): unknown {
  if (!(error instanceof Error) || error instanceof InputError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "Z_BUF_ERROR" || error.message === "unexpected end of file") {
    const hint = "the file was cut off: copy or write it again";
    return new InputError(`the ${kind} data ends too early`, { file, hint });
  }
  if (code?.startsWith("Z_") || (kind === "zstd" && (code === undefined || code === "ERR_NAPI"))) {
    return new InputError(`the ${kind} data is damaged`, { file, got: error.message, hint: "copy or write it again" });
  }
  return error;
}

/**
 * The bytes that a compressed stream stands for.
 * @throws InputError when the stream is damaged or cut short; nothing of it can be skipped.
 */
export async function* decompressed(source: Readable, kind: Compression, file: string): AsyncGenerator<Buffer> {
  if (kind === "none") {
    yield* source as AsyncIterable<Buffer>;
    return;
  }
  // The error reaches the reader through the last stream; the callback keeps it from being thrown a second time.
  const ignore = () => {};
  const stream =
    kind === "gzip"
      ? pipeline(source, createGunzip({ chunkSize: 2 ** 18 }), ignore)
      : pipeline(source, new FrameEnds(), new (await zstd()).Decompressor(), ignore);
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (error) {
    throw broken(error, kind, file);
  } finally {
    source.destroy();
  }
}

/**
 * A stream that compresses what is written to it.
 * @param level gzip 1 to 9 (default 6), zstd 1 to 19 (default 3).
 * @throws InputError for a level out of range.
 */
export async function compressor(kind: "gzip" | "zstd", level?: number): Promise<Transform> {
  const highest = kind === "gzip" ? constants.Z_BEST_COMPRESSION : 19;
  if (level !== undefined && !(Number.isInteger(level) && level >= 1 && level <= highest)) {
    throw new InputError(`${kind} has no level ${level}`, { expected: `a whole number from 1 to ${highest}` });
  }
  if (kind === "gzip") return createGzip({ level: level ?? 6, chunkSize: 2 ** 18 });
  return new (await zstd()).Compressor(level ?? 3);
}

/** Compresses what is written and hands it on to another output. */
export async function compressedOutput(output: ByteOutput, kind: "gzip" | "zstd", level?: number): Promise<ByteOutput> {
  const stream = await compressor(kind, level);
  let failure: unknown = null;
  const pump = async () => {
    try {
      for await (const bytes of stream) await output.write(bytes as Buffer);
    } catch (error) {
      failure ??= error;
    }
  };
  const done = pump();
  const put = (bytes: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      stream.write(bytes, (error) => (failure === null && !error ? resolve() : reject(failure ?? error)));
    });
  return {
    async write(bytes) {
      const most = kind === "zstd" ? zstdPiece : bytes.length;
      for (let at = 0; at < bytes.length; at += most) {
        if (failure !== null) throw failure;
        await put(bytes.subarray(at, at + most)).catch(async (error: unknown) => {
          await done;
          throw failure ?? error;
        });
      }
    },
    async close() {
      stream.end();
      await done;
      if (failure !== null) throw failure;
      await output.close();
    },
    async abort() {
      failure ??= new Error("given up");
      stream.destroy();
      await done;
      await output.abort();
    },
  };
}
