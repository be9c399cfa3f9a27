import type { Writable } from "node:stream";
import { Batch, InputError } from "../rollouts/index.ts";
import { compressedOutput } from "./compression.ts";
import { kindOfName } from "./inputs.ts";
import { JsonlText } from "./jsonl-write.ts";
import { type ByteOutput, draftOf, fileOutput, OutputClosed, streamOutput } from "./output.ts";
import type { Compression, Format, RolloutSink } from "./types.ts";

export { OutputClosed } from "./output.ts";
export { removeUnfinished } from "./temporary.ts";

export interface WriteOptions {
  /** By default told from the name of the output; JSONL where that says nothing, as on standard output. */
  format?: Format;
  /** Of the text of JSONL, of the pages of Parquet. By default told from the name; Parquet then takes its own default. */
  compression?: Compression;
  /** gzip 1 to 9 (default 6), zstd 1 to 19 (default 3). */
  level?: number;
}

/** Lines of text into an output. One piece is on its way while the next one is made. */
function jsonlSink(output: ByteOutput): RolloutSink {
  const text = new JsonlText();
  let under: Promise<void> = Promise.resolve();
  return {
    async write(batch) {
      for (const piece of text.pieces(batch)) {
        await under;
        under = output.write(piece);
        under.catch(() => {}); // reported by the next write or by close
      }
    },
    async close() {
      await under;
      await output.close();
    },
    async abort() {
      await under.catch(() => {});
      await output.abort();
    },
  };
}

async function arrowSink(output: ByteOutput): Promise<RolloutSink> {
  const { ArrowStreamWriter } = await import("./arrow-write.ts");
  const writer = new ArrowStreamWriter(output);
  return {
    write: (batch) => writer.write(batch),
    async close() {
      await writer.close();
      await output.close();
    },
    abort: () => output.abort(),
  };
}

async function parquetSink(file: string, options: WriteOptions): Promise<RolloutSink> {
  const { ParquetWriter } = await import("./parquet-write.ts");
  const draft = await draftOf(file);
  const { compression, level } = options;
  const writer = new ParquetWriter(draft.path, { compression, level, name: file });
  return {
    write: (batch) => writer.write(batch),
    async close() {
      await writer.close();
      await draft.publish();
    },
    async abort() {
      await writer.abort();
      await draft.discard();
    },
  };
}

/**
 * Opens an output for rollouts. A file is written under a temporary name beside the final one and appears when the sink is
 * closed; `-` is standard output.
 * @throws InputError when the output is a directory, cannot be written, or cannot hold what is asked.
 */
export async function openSink(output: string, options: WriteOptions = {}): Promise<RolloutSink> {
  const named = output === "-" ? { format: null, compression: "none" as const } : kindOfName(output);
  const format = options.format ?? named.format ?? "jsonl";
  if (format === "parquet") {
    if (output === "-") {
      throw new InputError("Parquet cannot be written to standard output", {
        hint: "name a file, or choose --format arrow or jsonl",
      });
    }
    if (named.compression !== "none") {
      const hint = "Parquet compresses its own pages: leave .gz or .zst out of the name";
      throw new InputError("Parquet files are not compressed as a whole", { file: output, hint });
    }
    return parquetSink(output, options);
  }
  const compression = options.compression ?? named.compression;
  const bytes = output === "-" ? streamOutput(process.stdout, "standard output") : await fileOutput(output);
  try {
    const packed = compression === "none" ? bytes : await compressedOutput(bytes, compression, options.level);
    return format === "arrow" ? await arrowSink(packed) : jsonlSink(packed);
  } catch (error) {
    await bytes.abort();
    throw error;
  }
}

/** Rollouts into a stream that somebody else owns; closing the sink does not end the stream. */
export async function openStreamSink(stream: Writable, name: string, format: "jsonl" | "arrow"): Promise<RolloutSink> {
  const output = streamOutput(stream, name);
  return format === "arrow" ? arrowSink(output) : jsonlSink(output);
}

/**
 * Writes rollouts to a file or to standard output. On any fault nothing is left under the name. A closed pipe on standard
 * output ends the writing without an error.
 * @returns how many rollouts were written.
 */
export async function writeRollouts(
  batches: Batch | AsyncIterable<Batch> | Iterable<Batch>,
  output: string,
  options: WriteOptions = {},
): Promise<number> {
  const sink = await openSink(output, options);
  let rollouts = 0;
  try {
    for await (const batch of batches instanceof Batch ? [batches] : batches) {
      await sink.write(batch);
      rollouts += batch.size;
    }
    await sink.close();
  } catch (error) {
    await sink.abort();
    if (!(error instanceof OutputClosed)) throw error;
  }
  return rollouts;
}
