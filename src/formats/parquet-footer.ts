import type { CellType, Field } from "./columnar-layout.ts";
import { type Thrift, type ThriftFields, thriftBytes } from "./parquet-thrift.ts";

// Numbers of Parquet's own enumerations.
const physical: Readonly<Record<CellType, number>> = {
  uint8: 1,
  int32: 1,
  float32: 4,
  float64: 5,
  empty: 5,
  text: 6,
  json: 6,
};
const converted: Readonly<Partial<Record<CellType, number>>> = { text: 0, json: 0, uint8: 11 };
const convertedList = 3;
const optional = 1;
const repeated = 2;
export const encodings = { plain: 0, runs: 3, dictionary: 8 } as const;
export const codecs = { none: 0, gzip: 2, zstd: 6 } as const;

/** A column of one row group that has been written. */
export interface Chunk {
  /** Where its first page begins, and its first data page. */
  start: number;
  dataStart: number;
  dictionary: boolean;
  entries: number;
  uncompressed: number;
  compressed: number;
  codec: number;
}

export interface RowGroup {
  rows: number;
  chunks: Map<string, Chunk>;
}

function leaf(name: string, type: CellType): ThriftFields {
  const kind = converted[type];
  return [
    [1, { i32: physical[type] }],
    [3, { i32: optional }],
    [4, { text: name }],
    ...(kind === undefined ? [] : [[6, { i32: kind }] as const]),
  ];
}

function schemaOf(fields: readonly Field[]): Thrift[] {
  const root: ThriftFields = [
    [4, { text: "rollouts" }],
    [5, { i32: fields.length }],
  ];
  const elements = fields.flatMap(({ name, type, list }): ThriftFields[] => {
    if (!list) return [leaf(name, type)];
    const outer: ThriftFields = [
      [3, { i32: optional }],
      [4, { text: name }],
      [5, { i32: 1 }],
      [6, { i32: convertedList }],
    ];
    const middle: ThriftFields = [
      [3, { i32: repeated }],
      [4, { text: "list" }],
      [5, { i32: 1 }],
    ];
    return [outer, middle, leaf("element", type)];
  });
  return [root, ...elements].map((struct) => ({ struct }));
}

function chunkOf({ name, type, list }: Field, chunk: Chunk): Thrift {
  const used = chunk.dictionary ? [encodings.plain, encodings.runs, encodings.dictionary] : [0, encodings.runs];
  const path = list ? [name, "list", "element"] : [name];
  const metadata: ThriftFields = [
    [1, { i32: physical[type] }],
    [2, { list: used.map((i32) => ({ i32 })) }],
    [3, { list: path.map((text) => ({ text })) }],
    [4, { i32: chunk.codec }],
    [5, { i64: chunk.entries }],
    [6, { i64: chunk.uncompressed }],
    [7, { i64: chunk.compressed }],
    [9, { i64: chunk.dataStart }],
    ...(chunk.dictionary ? [[11, { i64: chunk.start }] as const] : []),
  ];
  return {
    struct: [
      [2, { i64: chunk.start }],
      [3, { struct: metadata }],
    ],
  };
}

function groupOf(group: RowGroup, fields: readonly Field[]): Thrift {
  const chunks = fields.map((field) => [field, group.chunks.get(field.name) as Chunk] as const);
  return {
    struct: [
      [1, { list: chunks.map(([field, chunk]) => chunkOf(field, chunk)) }],
      [2, { i64: chunks.reduce((sum, [, chunk]) => sum + chunk.uncompressed, 0) }],
      [3, { i64: group.rows }],
    ],
  };
}

/** The end of a Parquet file: schema, places of all pages, metadata. */
export function footerBytes(
  fields: readonly Field[],
  groups: readonly RowGroup[],
  metadata: ReadonlyMap<string, string>,
): Uint8Array {
  const pairs = Array.from(metadata, ([key, value]): Thrift => {
    return {
      struct: [
        [1, { text: key }],
        [2, { text: value }],
      ],
    };
  });
  return thriftBytes([
    [1, { i32: 2 }],
    [2, { list: schemaOf(fields) }],
    [3, { i64: groups.reduce((sum, { rows }) => sum + rows, 0) }],
    [4, { list: groups.map((group) => groupOf(group, fields)) }],
    [5, { list: pairs }],
    [6, { text: "apportion" }],
  ]);
}

/** Head of a data page (version 2: levels stand before the values and are never compressed). */
export function dataPageHead(page: {
  entries: number;
  nulls: number;
  rows: number;
  encoding: number;
  repetition: number;
  definition: number;
  uncompressed: number;
  compressed: number;
  packed: boolean;
}): Uint8Array {
  return thriftBytes([
    [1, { i32: 3 }],
    [2, { i32: page.uncompressed }],
    [3, { i32: page.compressed }],
    [
      8,
      {
        struct: [
          [1, { i32: page.entries }],
          [2, { i32: page.nulls }],
          [3, { i32: page.rows }],
          [4, { i32: page.encoding }],
          [5, { i32: page.definition }],
          [6, { i32: page.repetition }],
          [7, { bool: page.packed }],
        ],
      },
    ],
  ]);
}

export function dictionaryPageHead(entries: number, uncompressed: number, compressed: number): Uint8Array {
  return thriftBytes([
    [1, { i32: 2 }],
    [2, { i32: uncompressed }],
    [3, { i32: compressed }],
    [
      7,
      {
        struct: [
          [1, { i32: entries }],
          [2, { i32: encodings.plain }],
        ],
      },
    ],
  ]);
}
