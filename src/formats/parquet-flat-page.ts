import { gunzipSync } from "node:zlib";
import type { Cells, RawNumbers } from "./columnar-table.ts";
import { codecIds, type Leaf } from "./parquet-flat-schema.ts";
import { plainValues, type Values, valuesOf } from "./parquet-flat-values.ts";
import { decodeLevels, rowStarts } from "./parquet-levels.ts";
import { BadParquet, intIn, structIn, type ThriftStruct } from "./parquet-thrift-read.ts";
import { unpackSnappy } from "./snappy.ts";

/** More values than any page has: a damaged count must not take all memory. */
const mostEntries = 2 ** 28;

/** Unpacks zstd; loaded before the first page that needs it. */
export type Unzstd = (bytes: Uint8Array) => Uint8Array;

/** A page that has been decoded. Its cells are those of its rows, one after another. */
export interface Page {
  /** Cells at the beginning that belong to the last row of the page before. */
  lead: number;
  /** Cells of each row that begins here, and which of these rows are null; `null` when none is. */
  lengths: Int32Array;
  present: Uint8Array | null;
  cells: Cells;
  /** Entries, as the file counts them. */
  entries: number;
}

function unpacked(bytes: Uint8Array, codec: number, length: number, unzstd: Unzstd): Uint8Array {
  if (codec === codecIds.none) return bytes;
  if (length === 0) return new Uint8Array(0);
  if (codec === codecIds.snappy) return unpackSnappy(bytes, length);
  const plain = codec === codecIds.gzip ? gunzipSync(bytes, { maxOutputLength: length }) : unzstd(bytes);
  if (plain.length !== length) throw new BadParquet("a page has another length than it says");
  return plain;
}

/**
 * The values of a dictionary page.
 * @throws BadParquet when they are damaged.
 */
export function dictionaryOf(head: ThriftStruct, body: Uint8Array, leaf: Leaf, codec: number, unzstd: Unzstd): Values {
  const about = structIn(head, 7);
  if (about === null) throw new BadParquet("a dictionary has no header");
  const count = intIn(about, 1);
  if (count < 0 || count > mostEntries) throw new BadParquet(`a dictionary of ${count} values`);
  return plainValues(unpacked(body, codec, intIn(head, 2), unzstd), leaf.type, count);
}

/** The parts of a data page, whichever version it has. */
interface Parts {
  entries: number;
  encoding: number;
  /** Lists only: the entries at which rows begin. */
  starts: Int32Array | null;
  definition: Uint8Array | null;
  values: Uint8Array;
}

function sectionEnd(bytes: Uint8Array, at: number): number {
  if (at + 4 > bytes.length) throw new BadParquet("a page is too short");
  const end = at + 4 + new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, true);
  if (end > bytes.length) throw new BadParquet("a page is too short");
  return end;
}

function entriesIn(about: ThriftStruct): number {
  const entries = intIn(about, 1);
  if (entries < 0 || entries > mostEntries) throw new BadParquet(`a page of ${entries} values`);
  return entries;
}

function firstVersion(about: ThriftStruct, page: Uint8Array, leaf: Leaf): Parts {
  const entries = entriesIn(about);
  let at = 0;
  let starts: Int32Array | null = null;
  let definition: Uint8Array | null = null;
  if (leaf.list) {
    const end = sectionEnd(page, at);
    starts = rowStarts(page, at + 4, end, entries);
    at = end;
  }
  if (leaf.highest > 0) {
    const end = sectionEnd(page, at);
    definition = decodeLevels(page, at + 4, end, leaf.highest, entries);
    at = end;
  }
  return { entries, encoding: intIn(about, 2), starts, definition, values: page.subarray(at) };
}

function secondVersion(
  about: ThriftStruct,
  head: ThriftStruct,
  body: Uint8Array,
  leaf: Leaf,
  codec: number,
  unzstd: Unzstd,
): Parts {
  const entries = entriesIn(about);
  const definitionEnd = intIn(about, 6) + intIn(about, 5);
  const repetitionEnd = intIn(about, 6);
  if (repetitionEnd < 0 || definitionEnd < repetitionEnd || definitionEnd > body.length) {
    throw new BadParquet("a page is too short");
  }
  const length = intIn(head, 2) - definitionEnd;
  const packed = about.get(7) !== false;
  const rest = body.subarray(definitionEnd);
  return {
    entries,
    encoding: intIn(about, 4),
    starts: leaf.list ? rowStarts(body, 0, repetitionEnd, entries) : null,
    definition: decodeLevels(body, repetitionEnd, definitionEnd, leaf.highest, entries),
    values: packed ? unpacked(rest, codec, length, unzstd) : rest,
  };
}

/** Cells with 0 (or null) put in where the marks say that there is no value. */
function withGaps(values: Values, marks: Uint8Array): Cells {
  let at = 0;
  if (Array.isArray(values)) {
    return { kind: "string", values: Array.from(marks, (mark) => (mark === 1 ? values[at++] : null)) };
  }
  const out = new (values.constructor as new (length: number) => RawNumbers)(marks.length) as Float64Array;
  const from = values as Float64Array;
  for (let k = 0; k < marks.length; k++) if (marks[k] === 1) out[k] = from[at++];
  return { kind: "number", values: out, valid: marks };
}

function whole(values: Values): Cells {
  return Array.isArray(values) ? { kind: "string", values } : { kind: "number", values, valid: null };
}

function countOf(levels: Uint8Array, level: number): number {
  let count = 0;
  for (let k = 0; k < levels.length; k++) if (levels[k] === level) count++;
  return count;
}

function flatPage({ definition, entries }: Parts, values: Values): Page {
  // Levels of flat columns are 0 and 1: they are the marks.
  const cells = definition === null ? whole(values) : withGaps(values, definition);
  return { lead: 0, lengths: new Int32Array(entries).fill(1), present: null, cells, entries };
}

function listPage({ definition, entries, ...parts }: Parts, leaf: Leaf, values: Values): Page {
  const starts = parts.starts as Int32Array;
  const rows = starts.length;
  const lead = rows === 0 ? entries : starts[0];
  const lengths = new Int32Array(rows);
  for (let i = 0; i < rows; i++) lengths[i] = (i + 1 < rows ? starts[i + 1] : entries) - starts[i];
  if (definition === null) return { lead, lengths, present: null, cells: whole(values), entries };
  const present = new Uint8Array(rows).fill(1);
  let missing = 0;
  for (let i = 0; i < rows; i++) {
    const level = definition[starts[i]];
    if (level > leaf.empty) continue;
    lengths[i]--;
    missing++;
    if (level < leaf.empty) present[i] = 0;
  }
  const marks = new Uint8Array(entries - missing);
  let nulls = 0;
  for (let k = 0, at = 0; k < entries; k++) {
    if (definition[k] <= leaf.empty) continue;
    const there = definition[k] === leaf.highest ? 1 : 0;
    marks[at++] = there;
    nulls += 1 - there;
  }
  const cells = nulls === 0 ? whole(values) : withGaps(values, marks);
  return { lead, lengths, present: present.includes(0) ? present : null, cells, entries };
}

/**
 * Decodes a data page of either version.
 * @throws BadParquet when it is damaged.
 */
export function pageOf(
  head: ThriftStruct,
  body: Uint8Array,
  leaf: Leaf,
  codec: number,
  dictionary: Values | null,
  unzstd: Unzstd,
): Page {
  const first = structIn(head, 5);
  const second = structIn(head, 8);
  let parts: Parts;
  if (second !== null) parts = secondVersion(second, head, body, leaf, codec, unzstd);
  else if (first !== null) parts = firstVersion(first, unpacked(body, codec, intIn(head, 2), unzstd), leaf);
  else throw new BadParquet("a page has no header");
  const { definition, entries } = parts;
  const count = definition === null ? entries : countOf(definition, leaf.highest);
  const values = valuesOf(parts.values, parts.encoding, leaf.type, count, dictionary);
  return leaf.list ? listPage(parts, leaf, values) : flatPage(parts, values);
}
