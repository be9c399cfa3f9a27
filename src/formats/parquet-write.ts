import { promises as fs } from "node:fs";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import { type Batch, InputError } from "../rollouts/index.ts";
import { type Field, Layout } from "./columnar-layout.ts";
import { cutBySize, type FileColumn, type FileTable } from "./columnar-table.ts";
import { zstd } from "./compression.ts";
import { fileError } from "./file-errors.ts";
import {
  type Chunk,
  codecs,
  dataPageHead,
  dictionaryPageHead,
  encodings,
  footerBytes,
  type RowGroup,
} from "./parquet-footer.ts";
import { type Levels, levelsOf, type PageValues, valuesOf } from "./parquet-pages.ts";
import type { Compression } from "./types.ts";

/** Bytes of columns in one row group: readers hold some of them at once. */
const groupBytes = 32 * 2 ** 20;
/** Sizes of pages are 32-bit. */
const mostPage = 2 ** 31 - 1;

export interface ParquetWriteOptions {
  /** How the values of pages are compressed. By default text is, with zstd, and numbers are not: they hardly shrink. */
  compression?: Compression;
  /** gzip 1 to 9 (default 6), zstd 1 to 19 (default 3). */
  level?: number;
  /** How messages call the file (default its path). */
  name?: string;
}

type Compress = (bytes: Uint8Array) => Promise<Uint8Array>;

/** Bytes that are not worth compressing. */
const smallBytes = 64;

async function compressOf(compression: Compression, level?: number): Promise<Compress | null> {
  if (compression === "none") return null;
  const highest = compression === "gzip" ? constants.Z_BEST_COMPRESSION : 19;
  if (level !== undefined && !(Number.isInteger(level) && level >= 1 && level <= highest)) {
    throw new InputError(`${compression} has no level ${level}`, { expected: `a whole number from 1 to ${highest}` });
  }
  if (compression === "gzip") return (bytes) => promisify(gzip)(bytes, { level: level ?? 6 });
  const { compress } = await zstd();
  return async (bytes) => compress(bytes, level ?? 3);
}

/** How the columns of a file are compressed. */
interface Packing {
  codec: number;
  compress: Compress | null;
}

const plain: Packing = { codec: codecs.none, compress: null };

/** Packing of text and of numbers. */
async function packingOf({ compression, level }: ParquetWriteOptions): Promise<{ text: Packing; numbers: Packing }> {
  if (compression !== undefined) {
    const packing = { codec: codecs[compression], compress: await compressOf(compression, level) };
    return { text: packing, numbers: packing };
  }
  // Nobody asked for it: where the library has no build, text stays as it is.
  const compress = await compressOf("zstd", level).catch((error: unknown) => {
    if (level !== undefined) throw error;
    return null;
  });
  return { text: compress === null ? plain : { codec: codecs.zstd, compress }, numbers: plain };
}

/** A page as it goes out, and how many bytes it would be without compression. */
interface PageParts {
  parts: readonly Uint8Array[];
  uncompressed: number;
}

async function dictionaryPage({ dictionary }: PageValues, { compress }: Packing): Promise<PageParts | null> {
  if (dictionary === null) return null;
  const { bytes, entries } = dictionary;
  const packed = compress === null ? bytes : await compress(bytes);
  const head = dictionaryPageHead(entries, bytes.length, packed.length);
  return { parts: [Buffer.concat([head, packed])], uncompressed: head.length + bytes.length };
}

async function dataPage(
  field: Field,
  levels: Levels,
  { bytes, dictionary }: PageValues,
  rows: number,
  { compress }: Packing,
): Promise<PageParts> {
  const repetition = field.list ? levels.repetition : new Uint8Array(0);
  const { definition, entries, nulls } = levels;
  const front = repetition.length + definition.length;
  if (front + bytes.length > mostPage) {
    const hint = "write JSONL";
    throw new InputError("a column of one rollout is too large for Parquet", { column: field.name, hint });
  }
  const shrunk = compress === null || bytes.length < smallBytes ? bytes : await compress(bytes);
  const packed = shrunk.length < bytes.length ? shrunk : bytes;
  const head = dataPageHead({
    entries,
    nulls,
    rows,
    encoding: dictionary === null ? encodings.plain : encodings.dictionary,
    repetition: repetition.length,
    definition: definition.length,
    uncompressed: front + bytes.length,
    compressed: front + packed.length,
    packed: packed !== bytes,
  });
  const parts = [Buffer.concat([head, repetition, definition]), packed];
  return { parts, uncompressed: head.length + front + bytes.length };
}

const magic = Buffer.from("PAR1");

/**
 * Writes batches as a Parquet file, one row per rollout, named as `columnar-names.ts` says: flat columns and lists of them,
 * values as they are in pages of version 2, a row group per 32 MB. Numbers go out from where they are where no null is among them.
 * Columns may join after the first batch.
 */
export class ParquetWriter {
  readonly #path: string;
  readonly #name: string;
  readonly #packing: Promise<{ text: Packing; numbers: Packing }>;
  readonly #layout = new Layout({ grows: true });
  readonly #groups: RowGroup[] = [];
  #handle: fs.FileHandle | null = null;
  #at = 0;

  constructor(path: string, options: ParquetWriteOptions = {}) {
    this.#path = path;
    this.#name = options.name ?? path;
    this.#packing = packingOf(options);
    this.#packing.catch(() => {}); // reported by the first write
  }

  /**
   * Writes the rollouts of a batch; when it resolves their arrays may change again.
   * @throws InputError when a column changes its type, for NaN and Infinity, when the disk is full.
   */
  async write(batch: Batch): Promise<void> {
    if (batch.size === 0) return;
    for (const { piece } of cutBySize(this.#layout.table(batch), groupBytes)) await this.#group(piece);
  }

  /** Writes what is left and the footer. */
  async close(): Promise<void> {
    const { fields, metadata } = this.#layout;
    for (const { rows, chunks } of this.#groups) {
      for (const field of fields) {
        if (!chunks.has(field.name)) chunks.set(field.name, await this.#chunk(field, null, rows));
      }
    }
    const footer = footerBytes(fields, this.#groups, metadata);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(footer.length);
    await this.#put(Buffer.concat([footer, length, magic]));
    await this.abort();
  }

  /** Lets go of the file as it is. */
  async abort(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close();
  }

  async #group({ rows, columns }: FileTable): Promise<void> {
    const group: RowGroup = { rows, chunks: new Map() };
    const byName = new Map(columns.map((column) => [column.name, column]));
    for (const field of this.#layout.fields) {
      const column = byName.get(field.name);
      if (column !== undefined) group.chunks.set(field.name, await this.#chunk(field, column, rows));
    }
    this.#groups.push(group);
  }

  /** One column of one row group: a dictionary page where there is one, and one data page. */
  async #chunk(field: Field, column: FileColumn | null, rows: number): Promise<Chunk> {
    const isText = field.type === "text" || field.type === "json";
    const packing = (await this.#packing)[isText ? "text" : "numbers"];
    const levels = levelsOf(column, rows);
    const values = valuesOf(column, field.type, rows, levels);
    await this.#open();
    const start = this.#at;
    const dictionary = await dictionaryPage(values, packing);
    for (const part of dictionary?.parts ?? []) await this.#put(part);
    const dataStart = this.#at;
    const data = await dataPage(field, levels, values, rows, packing);
    for (const part of data.parts) await this.#put(part);
    return {
      start,
      dataStart,
      dictionary: dictionary !== null,
      entries: levels.entries,
      uncompressed: (dictionary?.uncompressed ?? 0) + data.uncompressed,
      compressed: this.#at - start,
      codec: packing.codec,
    };
  }

  async #open(): Promise<fs.FileHandle> {
    if (this.#handle !== null) return this.#handle;
    const failed = (error: unknown) => Promise.reject(fileError(error, this.#name));
    const handle = await fs.open(this.#path, "w").catch(failed);
    this.#handle = handle;
    await this.#put(magic);
    return handle;
  }

  async #put(bytes: Uint8Array): Promise<void> {
    const handle = await this.#open();
    try {
      for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
      this.#at += bytes.length;
    } catch (error) {
      throw fileError(error, this.#name);
    }
  }
}
