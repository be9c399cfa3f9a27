/** A value in Thrift's compact protocol, which Parquet's headers and footer are written in. */
export type Thrift =
  | { i32: number }
  | { i64: number }
  | { bool: boolean }
  | { text: string }
  | { list: readonly Thrift[] }
  | { struct: ThriftFields };

/** Fields of a struct by id, in rising order. */
export type ThriftFields = readonly (readonly [id: number, value: Thrift])[];

const typeIds = { bool: 1, i32: 5, i64: 6, text: 8, list: 9, struct: 12 } as const;

function typeOf(value: Thrift): number {
  if ("bool" in value) return value.bool ? 1 : 2;
  for (const [kind, id] of Object.entries(typeIds)) if (kind in value) return id;
  throw new TypeError("not a Thrift value");
}

/** A whole number from 0 to 2^53 in groups of 7 bits. */
export function pushVarint(out: number[], value: number): void {
  let rest = value;
  while (rest > 127) {
    out.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
}

function pushValue(out: number[], value: Thrift): void {
  if ("i32" in value) pushVarint(out, 2 * value.i32);
  else if ("i64" in value) pushVarint(out, 2 * value.i64);
  else if ("text" in value) {
    const bytes = Buffer.from(value.text);
    pushVarint(out, bytes.length);
    for (const byte of bytes) out.push(byte);
  } else if ("list" in value) {
    const { list } = value;
    const type = list.length === 0 ? typeIds.struct : typeOf(list[0]);
    if (list.length < 15) out.push((list.length << 4) | type);
    else {
      out.push(0xf0 | type);
      pushVarint(out, list.length);
    }
    for (const item of list) pushValue(out, item);
  } else if ("struct" in value) pushStruct(out, value.struct);
}

function pushStruct(out: number[], fields: ThriftFields): void {
  let before = 0;
  for (const [id, value] of fields) {
    // Ids of Parquet's structs lie close together: the short form of a field's head is enough.
    out.push(((id - before) << 4) | typeOf(value));
    before = id;
    // A boolean is told by its type alone.
    if (!("bool" in value)) pushValue(out, value);
  }
  out.push(0);
}

/** A struct as bytes. Numbers must not be negative, ids must be at most 15 apart. */
export function thriftBytes(fields: ThriftFields): Uint8Array {
  const out: number[] = [];
  pushStruct(out, fields);
  return Uint8Array.from(out);
}
