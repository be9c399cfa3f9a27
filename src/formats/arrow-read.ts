import { CompressionType, setCompressionCodec, type Table, tableFromIPC } from "@uwdata/flechette";
import { type Batch, InputError } from "../rollouts/index.ts";
import { type ArrowMessage, arrowMessages } from "./arrow-messages.ts";
import { messageKinds } from "./arrow-metadata.ts";
import { checkTypes, tableOfBatch } from "./arrow-table.ts";
import { batchesOfTables } from "./columnar-batches.ts";
import type { FileTable } from "./columnar-table.ts";
import { zstd } from "./compression.ts";
import type { ReadOptions } from "./types.ts";

export interface ArrowReadOptions extends ReadOptions {
  /** How messages call the stream. */
  name?: string;
}

const extraction = { useBigInt: true, useDate: true, useMap: true };

function damaged(file: string): InputError {
  return new InputError("the Arrow stream is damaged", {
    file,
    got: "parts that do not fit together",
    hint: "copy or write it again",
  });
}

function decoded(messages: readonly Uint8Array[], file: string): Table {
  try {
    return tableFromIPC([...messages], extraction);
  } catch (error) {
    throw error instanceof InputError ? error.located({ file }) : damaged(file);
  }
}

const codecs = { lz4: 0, zstd: 1 } as const;

/** Makes the decoder understand a compressed body. */
async function prepareCodec(codec: number | undefined, file: string): Promise<void> {
  if (codec === undefined) return;
  if (codec !== codecs.zstd) {
    const hint = "write it with compression zstd or none, in pyarrow IpcWriteOptions(compression=None)";
    throw new InputError("the Arrow data is compressed with LZ4", { file, expected: "zstd or no compression", hint });
  }
  const { decompress } = await zstd();
  setCompressionCodec(CompressionType.ZSTD, {
    decode(bytes, length) {
      // A copy of its own: views of wider numbers need memory that starts at a multiple of 8.
      const plain = Uint8Array.from(decompress(bytes));
      if (plain.length === length) return plain;
      throw new Error("a compressed buffer has another length than it says");
    },
    encode: (bytes) => bytes,
  });
}

/** Dictionaries as they stand at some point of a stream: a delta adds to what there is, anything else replaces it. */
class Dictionaries {
  readonly #byId = new Map<bigint, Uint8Array[]>();

  take({ dictionary, bytes }: ArrowMessage): void {
    if (dictionary === undefined) return;
    const before = dictionary.isDelta ? (this.#byId.get(dictionary.id) ?? []) : [];
    this.#byId.set(dictionary.id, [...before, bytes]);
  }

  get messages(): Uint8Array[] {
    return [...this.#byId.values()].flat();
  }
}

async function* tablesOf(chunks: AsyncIterable<Uint8Array>, options: ArrowReadOptions): AsyncGenerator<FileTable> {
  const file = options.name ?? "Arrow stream";
  const dictionaries = new Dictionaries();
  let schema: Uint8Array | null = null;
  for await (const message of arrowMessages(chunks, file)) {
    options.signal?.throwIfAborted();
    const { kind, bytes, codec, rows = 0 } = message;
    if (kind === messageKinds.schema) {
      if (schema !== null) throw damaged(file);
      schema = bytes;
      checkTypes(decoded([schema], file).schema, file);
      continue;
    }
    if (schema === null) throw damaged(file);
    await prepareCodec(codec, file);
    if (kind === messageKinds.dictionary) dictionaries.take(message);
    else if (rows > 0) yield tableOfBatch(decoded([schema, ...dictionaries.messages, bytes], file), rows, file);
  }
  if (schema === null) throw damaged(file);
}

/**
 * Reads rollouts from an Arrow IPC stream (or an Arrow file, front to back): one row per rollout, named as
 * `columnar-names.ts` says. Struct columns named after a level, `rewards` and `signals` are read field by field; columns
 * that are not known become columns of the rollout. Numbers are views of the bytes that came in, without a copy.
 * @returns batches of about `chunkBytes`. That ids are unique is checked within each of them only.
 * @throws InputError when the stream is damaged or cut short, a column has the wrong type, or a rollout does not conform
 * (unless `onError` is `skip`).
 */
export function readArrowStream(
  chunks: AsyncIterable<Uint8Array>,
  options: ArrowReadOptions = {},
): AsyncGenerator<Batch> {
  const { name = "Arrow stream", onError, onReject, chunkBytes } = options;
  return batchesOfTables(tablesOf(chunks, options), { file: name, onError, onReject }, chunkBytes);
}
