import type { promises as fs } from "node:fs";
import { type Cells, cutCells, type FileColumn, type RawNumbers } from "./columnar-table.ts";
import { dictionaryOf, type Page, pageOf, type Unzstd } from "./parquet-flat-page.ts";
import type { Leaf, LeafChunk } from "./parquet-flat-schema.ts";
import type { Values } from "./parquet-flat-values.ts";
import { BadParquet, intIn, readStruct, structIn, type ThriftStruct } from "./parquet-thrift-read.ts";

/** Bytes read in one go where pages are smaller. */
const windowBytes = 2 ** 18;
/** Heads of pages are longer only when they hold long texts as statistics. */
const headBytes = 2 ** 12;

/** The bytes of one column of one row group, from front to back. */
class ChunkBytes {
  readonly #handle: fs.FileHandle;
  readonly #end: number;
  #window: Uint8Array = new Uint8Array(0);
  #from: number;

  constructor(handle: fs.FileHandle, start: number, length: number) {
    this.#handle = handle;
    this.#from = start;
    this.#end = start + length;
  }

  /**
   * Bytes from a place on: `least` of them or more, but not beyond the end.
   * @param align what comes after so many of them lies at a multiple of 8 where they are read anew.
   */
  async at(place: number, least: number, align = 0): Promise<Uint8Array> {
    const known = place - this.#from;
    const left = this.#end - place;
    if (known < 0 || this.#window.length - known < Math.min(least, left)) {
      const shift = -align & 7;
      const memory = new Uint8Array(shift + Math.min(Math.max(least, windowBytes), left)).subarray(shift);
      const { bytesRead } = await this.#handle.read(memory, 0, memory.length, place);
      if (bytesRead < memory.length) throw new BadParquet("the file ends too early");
      this.#window = memory;
      this.#from = place;
      return memory;
    }
    return this.#window.subarray(known);
  }
}

function joined(pieces: readonly Cells[]): Cells {
  if (pieces.length === 1) return pieces[0];
  const length = pieces.reduce((sum, { values }) => sum + values.length, 0);
  const [first] = pieces;
  if (first === undefined || first.kind !== "number") {
    return { kind: "string", values: pieces.flatMap(({ values }) => values as (string | null)[]) };
  }
  const values = new (first.values.constructor as new (length: number) => RawNumbers)(length);
  const marked = pieces.some((piece) => piece.kind === "number" && piece.valid !== null);
  const valid = marked ? new Uint8Array(length).fill(1) : null;
  let at = 0;
  for (const piece of pieces) {
    values.set(piece.values as never, at);
    if (piece.kind === "number" && piece.valid !== null) valid?.set(piece.valid, at);
    at += piece.values.length;
  }
  return { kind: "number", values, valid };
}

/** Bytes of levels before the values of a page of version 2. */
function levelBytes(head: ThriftStruct): number {
  const about = structIn(head, 8);
  return about === null ? 0 : intIn(about, 5) + intIn(about, 6);
}

/** Reads the rows of one column of one row group, so many at a time. */
export class ColumnReader {
  readonly #leaf: Leaf;
  readonly #chunk: LeafChunk;
  readonly #unzstd: Unzstd;
  readonly #bytes: ChunkBytes;
  #place: number;
  #entries = 0;
  #dictionary: Values | null = null;
  #page: Page | null = null;
  /** Rows and cells of the page that have been taken. */
  #row = 0;
  #cell = 0;

  constructor(handle: fs.FileHandle, leaf: Leaf, chunk: LeafChunk, unzstd: Unzstd) {
    this.#leaf = leaf;
    this.#chunk = chunk;
    this.#unzstd = unzstd;
    this.#place = chunk.start;
    this.#bytes = new ChunkBytes(handle, chunk.start, chunk.length);
  }

  /**
   * The next rows.
   * @throws BadParquet when there are none, or the pages are damaged.
   */
  async take(rows: number): Promise<FileColumn> {
    const lengths = new Int32Array(rows);
    const present = new Uint8Array(rows).fill(1);
    const pieces: Cells[] = [];
    for (let got = 0; got < rows; ) {
      const page = await this.#rest();
      if (page === null) throw new BadParquet("a column has fewer rows than its row group");
      const count = Math.min(rows - got, page.lengths.length - this.#row);
      const own = page.lengths.subarray(this.#row, this.#row + count);
      lengths.set(own, got);
      if (page.present !== null) present.set(page.present.subarray(this.#row, this.#row + count), got);
      pieces.push(this.#cells(own.reduce((sum, length) => sum + length, 0)));
      this.#row += count;
      got += count;
    }
    if (this.#leaf.list) lengths[rows - 1] += await this.#leading(pieces);
    return this.#column(lengths, present, joined(pieces));
  }

  #column(lengths: Int32Array, present: Uint8Array, cells: Cells): FileColumn {
    const { name, list, type } = this.#leaf;
    if (!list) return { name, type: type.name, offsets: null, present: null, cells, json: type.json };
    const offsets = new Int32Array(lengths.length + 1);
    for (let i = 0; i < lengths.length; i++) offsets[i + 1] = offsets[i] + lengths[i];
    const marks = present.includes(0) ? present : null;
    return { name, type: `${type.name}[]`, offsets, present: marks, cells, json: type.json };
  }

  /** The page at hand, or the next one when all of its rows are taken. */
  async #rest(): Promise<Page | null> {
    while (this.#page === null || this.#row === this.#page.lengths.length) {
      const fresh = this.#page === null;
      if (!(await this.#next())) return null;
      if ((this.#page?.lead ?? 0) > 0 && (fresh || this.#cell === 0)) {
        throw new BadParquet("a row begins before its row group");
      }
    }
    return this.#page;
  }

  /** Takes what further pages hold of the last row taken. */
  async #leading(pieces: Cells[]): Promise<number> {
    let cells = 0;
    while (this.#page !== null && this.#row === this.#page.lengths.length && (await this.#next())) {
      const { lead } = this.#page;
      pieces.push(this.#cells(lead));
      cells += lead;
    }
    return cells;
  }

  #cells(count: number): Cells {
    const { cells } = this.#page as Page;
    if (this.#cell + count > cells.values.length) throw new BadParquet("a page has fewer values than it says");
    this.#cell += count;
    return cutCells(cells, this.#cell - count, this.#cell);
  }

  /** Decodes the next data page. */
  async #next(): Promise<boolean> {
    const { start, length, entries, codec } = this.#chunk;
    while (this.#entries < entries && this.#place < start + length) {
      const { struct: head, size } = await this.#head();
      const body = (await this.#bytes.at(this.#place, size, levelBytes(head))).subarray(0, size);
      if (body.length < size) throw new BadParquet("a page reaches beyond its column");
      this.#place += size;
      const kind = intIn(head, 1);
      if (kind === 2) this.#dictionary = dictionaryOf(head, body, this.#leaf, codec, this.#unzstd);
      if (kind !== 0 && kind !== 3) continue;
      this.#page = pageOf(head, body, this.#leaf, codec, this.#dictionary, this.#unzstd);
      this.#entries += this.#page.entries;
      this.#row = 0;
      this.#cell = 0;
      return true;
    }
    return false;
  }

  /** The head of the page that begins here, and the size of what follows it. */
  async #head() {
    for (let least = headBytes; ; least *= 16) {
      const bytes = await this.#bytes.at(this.#place, least);
      try {
        const { struct, end } = readStruct(bytes);
        const size = intIn(struct, 3);
        if (size < 0) throw new BadParquet("a page has no size");
        this.#place += end;
        return { struct, size };
      } catch (error) {
        // It may be longer than what was looked at.
        if (!(error instanceof BadParquet) || bytes.length < least) throw error;
      }
    }
  }
}
