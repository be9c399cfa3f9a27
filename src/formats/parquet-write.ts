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
import { levelsOf, valuesOf } from "./parquet-pages.ts";
import type { Compression } from "./types.ts";

/** Bytes of columns in one row group: readers hold some of them at once. */
const groupBytes = 32 * 2 ** 20;
/** Sizes of pages are 32-bit. */
const mostPage = 2 ** 31 - 1;

export interface ParquetWriteOptions {
  /** How the values of pages are compressed (default none). */
  compression?: Compression;
  /** gzip 1 to 9 (default 6), zstd 1 to 19 (default 3). */
  level?: number;
  /** How messages call the file (default its path). */
  name?: string;
}

type Compress = (bytes: Uint8Array) => Promise<Uint8Array>;

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

const magic = Buffer.from("PAR1");

/**
 * Writes batches as a Parquet file, one row per rollout, named as `columnar-names.ts` says: flat columns and lists of them,
 * plain values in pages of version 2, a row group per 32 MB. Numbers go out from where they are where no null is among them.
 * Columns may join after the first batch.
 */
export class ParquetWriter {
  readonly #path: string;
  readonly #name: string;
  readonly #compression: Compression;
  readonly #compress: Promise<Compress | null>;
  readonly #layout = new Layout({ grows: true });
  readonly #groups: RowGroup[] = [];
  #handle: fs.FileHandle | null = null;
  #at = 0;

  constructor(path: string, options: ParquetWriteOptions = {}) {
    const { compression = "none", level, name = path } = options;
    this.#path = path;
    this.#name = name;
    this.#compression = compression;
    this.#compress = compressOf(compression, level);
    this.#compress.catch(() => {}); // reported by the first write
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
    const footer = footerBytes(fields, this.#groups, metadata, codecs[this.#compression]);
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
    const levels = levelsOf(column, rows);
    const repetition = field.list ? levels.repetition : new Uint8Array(0);
    const { definition, entries, nulls } = levels;
    const { bytes, dictionary } = valuesOf(column, field.type, rows, levels);
    const compress = await this.#compress;
    const start = this.#at || magic.length;
    let uncompressed = 0;
    if (dictionary !== null) {
      const packed = compress === null ? dictionary.bytes : await compress(dictionary.bytes);
      const head = dictionaryPageHead(dictionary.entries, dictionary.bytes.length, packed.length);
      await this.#put(Buffer.concat([head, packed]));
      uncompressed += head.length + dictionary.bytes.length;
    }
    const dataStart = this.#at || magic.length;
    const packed = compress === null || bytes.length === 0 ? bytes : await compress(bytes);
    const front = repetition.length + definition.length;
    if (front + bytes.length > mostPage) {
      throw new InputError("a column of one rollout is too large for Parquet", {
        column: field.name,
        hint: "write JSONL",
      });
    }
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
    await this.#put(Buffer.concat([head, repetition, definition]));
    await this.#put(packed);
    uncompressed += head.length + front + bytes.length;
    return {
      start,
      dataStart,
      dictionary: dictionary !== null,
      entries,
      uncompressed,
      compressed: this.#at - start,
    };
  }

  async #put(bytes: Uint8Array): Promise<void> {
    try {
      if (this.#handle === null) {
        this.#handle = await fs.open(this.#path, "w");
        this.#at += (await this.#handle.write(magic)).bytesWritten;
      }
      for (let at = 0; at < bytes.length; ) at += (await this.#handle.write(bytes, at)).bytesWritten;
      this.#at += bytes.length;
    } catch (error) {
      throw fileError(error, this.#name);
    }
  }
}
