import type { RawNumbers } from "./columnar-table.ts";
import {
  BadParquet,
  intIn,
  listIn,
  readStruct,
  structIn,
  structsIn,
  type ThriftStruct,
  textIn,
} from "./parquet-thrift-read.ts";

type Numbers = new (length: number) => RawNumbers;

/** What the values of a column are. */
export interface LeafType {
  /** What the file calls it. */
  name: string;
  physical: "boolean" | "int32" | "int64" | "float" | "double" | "text";
  /** Array of the values; of text there is none. */
  array: Numbers | null;
  json: boolean;
}

/** A column that is flat, or a list of values. */
export interface Leaf {
  name: string;
  type: LeafType;
  list: boolean;
  /** Definition level of a value, and of an empty list. */
  highest: number;
  empty: number;
}

/** Where a column of a row group stands in the file. */
export interface LeafChunk {
  start: number;
  length: number;
  codec: number;
  entries: number;
}

export interface FlatGroup {
  rows: number;
  bytes: number;
  /** One per leaf. */
  chunks: readonly LeafChunk[];
}

/** A file of flat columns and lists of them. */
export interface FlatSchema {
  leaves: readonly Leaf[];
  groups: readonly FlatGroup[];
  metadata: ReadonlyMap<string, string>;
}

/** The file holds something that is left to DuckDB: structs, dates, decimals, rare encodings and codecs. */
export class NotFlat extends Error {
  override readonly name = "NotFlat";
}

const optional = 1;
const repeated = 2;

/** Annotations in the older and the newer form (ConvertedType, LogicalType) by one name. */
function annotationOf(element: ThriftStruct): string {
  const converted = element.get(6);
  if (converted !== undefined) {
    const names: Record<number, string> = {
      0: "text",
      3: "list",
      4: "text",
      11: "uint8",
      12: "uint16",
      13: "uint32",
      14: "uint64",
      15: "int8",
      16: "int16",
      17: "int32",
      18: "int64",
      19: "json",
    };
    return names[converted as number] ?? "other";
  }
  const logical = structIn(element, 10);
  if (logical === null) return "none";
  if (logical.has(1) || logical.has(4)) return "text";
  if (logical.has(3)) return "list";
  if (logical.has(12)) return "json";
  const integer = structIn(logical, 10);
  return integer === null ? "other" : `${integer.get(2) === true ? "int" : "uint"}${intIn(integer, 1)}`;
}

const leafTypes: Readonly<Record<string, LeafType>> = {
  "0 none": { name: "BOOLEAN", physical: "boolean", array: Uint8Array, json: false },
  "1 none": { name: "INTEGER", physical: "int32", array: Int32Array, json: false },
  "1 int8": { name: "INT8", physical: "int32", array: Int32Array, json: false },
  "1 int16": { name: "INT16", physical: "int32", array: Int32Array, json: false },
  "1 int32": { name: "INTEGER", physical: "int32", array: Int32Array, json: false },
  "1 uint8": { name: "UINT8", physical: "int32", array: Uint8Array, json: false },
  "1 uint16": { name: "UINT16", physical: "int32", array: Int32Array, json: false },
  "1 uint32": { name: "UINT32", physical: "int32", array: Uint32Array, json: false },
  "2 none": { name: "BIGINT", physical: "int64", array: BigInt64Array, json: false },
  "2 int64": { name: "BIGINT", physical: "int64", array: BigInt64Array, json: false },
  "2 uint64": { name: "UINT64", physical: "int64", array: BigUint64Array, json: false },
  "4 none": { name: "FLOAT", physical: "float", array: Float32Array, json: false },
  "5 none": { name: "DOUBLE", physical: "double", array: Float64Array, json: false },
  "6 none": { name: "VARCHAR", physical: "text", array: null, json: false },
  "6 text": { name: "VARCHAR", physical: "text", array: null, json: false },
  "6 json": { name: "JSON", physical: "text", array: null, json: true },
};

function typeOf(element: ThriftStruct): LeafType {
  const type = leafTypes[`${intIn(element, 1)} ${annotationOf(element)}`];
  if (type === undefined) throw new NotFlat();
  return type;
}

function childrenOf(element: ThriftStruct): number {
  return intIn(element, 5, 0);
}

/** Reads the elements of the schema, which stand in the order of a walk through their tree. */
function leavesOf(elements: readonly ThriftStruct[]): Leaf[] {
  const leaves: Leaf[] = [];
  const root = elements[0];
  if (root === undefined) throw new BadParquet("the file has no schema");
  let at = 1;
  for (let k = 0; k < childrenOf(root); k++) {
    const outer = elements[at++];
    if (outer === undefined) throw new BadParquet("the schema is cut short");
    const name = textIn(outer, 4);
    const repetition = intIn(outer, 3, 0);
    if (repetition === repeated) throw new NotFlat();
    const there = repetition === optional ? 1 : 0;
    if (childrenOf(outer) === 0) {
      leaves.push({ name, type: typeOf(outer), list: false, highest: there, empty: 0 });
      continue;
    }
    const middle = elements[at++];
    const inner = elements[at++];
    if (middle === undefined || inner === undefined) throw new NotFlat();
    const isList = annotationOf(outer) === "list" && childrenOf(outer) === 1 && intIn(middle, 3, 0) === repeated;
    const middleName = textIn(middle, 4);
    // In the older forms the repeated group is the element itself.
    const older = middleName === "array" || middleName === `${name}_tuple`;
    if (!isList || older || childrenOf(middle) !== 1 || childrenOf(inner) !== 0) throw new NotFlat();
    const nullable = intIn(inner, 3, 0) === optional ? 1 : 0;
    if (intIn(inner, 3, 0) === repeated) throw new NotFlat();
    leaves.push({ name, type: typeOf(inner), list: true, highest: there + 1 + nullable, empty: there });
  }
  if (at !== elements.length) throw new NotFlat();
  return leaves;
}

/** PLAIN, PLAIN_DICTIONARY, RLE, RLE_DICTIONARY. */
const knownEncodings: ReadonlySet<unknown> = new Set([0, 2, 3, 8]);
export const codecIds = { none: 0, snappy: 1, gzip: 2, zstd: 6 } as const;
const knownCodecs: ReadonlySet<number> = new Set(Object.values(codecIds));

function chunkOf(column: ThriftStruct, fileSize: number): LeafChunk {
  const metadata = structIn(column, 3);
  if (metadata === null || column.has(1) || column.has(8)) throw new NotFlat();
  const codec = intIn(metadata, 4);
  if (!knownCodecs.has(codec) || !listIn(metadata, 2).every((id) => knownEncodings.has(id))) throw new NotFlat();
  const data = intIn(metadata, 9);
  const dictionary = intIn(metadata, 11, 0);
  const start = dictionary > 0 && dictionary < data ? dictionary : data;
  const length = intIn(metadata, 7);
  const entries = intIn(metadata, 5);
  if (start < 4 || length < 0 || start + length > fileSize || entries < 0) {
    throw new BadParquet("a column reaches beyond the file");
  }
  return { start, length, codec, entries };
}

/**
 * Reads the footer.
 * @throws NotFlat when the file has to be read by DuckDB, BadParquet when it is damaged.
 */
export function readFooter(footer: Uint8Array, fileSize: number): FlatSchema {
  const { struct: file } = readStruct(footer);
  const leaves = leavesOf(structsIn(file, 2));
  const groups = structsIn(file, 4).map((group): FlatGroup => {
    const chunks = structsIn(group, 1).map((column) => chunkOf(column, fileSize));
    const rows = intIn(group, 3);
    if (chunks.length !== leaves.length || rows < 0) throw new BadParquet("a row group lacks columns");
    return { rows, bytes: intIn(group, 2, 0), chunks };
  });
  const metadata = new Map(structsIn(file, 5).map((pair) => [textIn(pair, 1), pair.has(2) ? textIn(pair, 2) : ""]));
  return { leaves, groups, metadata };
}
