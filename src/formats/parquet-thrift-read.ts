/** A struct in Thrift's compact protocol: its fields by id. Integers are numbers, bytes views of what was read. */
export type ThriftStruct = ReadonlyMap<number, ThriftValue>;
export type ThriftValue = number | boolean | Uint8Array | readonly ThriftValue[] | ThriftStruct;

/** The bytes are not what Parquet writes. */
export class BadParquet extends Error {
  override readonly name = "BadParquet";
}

const deepest = 16;

class ThriftReader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  #byte(): number {
    if (this.at >= this.#bytes.length) throw new BadParquet("a header ends too early");
    return this.#bytes[this.at++];
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 64; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new BadParquet("a header holds a number of more than 64 bits");
  }

  /** Signs alternate: 0, -1, 1, -2, … */
  #integer(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.at) throw new BadParquet("a header ends too early");
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  #list(depth: number): ThriftValue[] {
    const head = this.#byte();
    const type = head & 15;
    const size = head >> 4 === 15 ? this.#varint() : head >> 4;
    const values: ThriftValue[] = [];
    while (values.length < size) values.push(type < 3 ? this.#byte() === 1 : this.#value(type, depth));
    return values;
  }

  #value(type: number, depth: number): ThriftValue {
    if (type === 1 || type === 2) return type === 1;
    if (type === 3) return (this.#byte() << 24) >> 24;
    if (type >= 4 && type <= 6) return this.#integer();
    if (type === 7) return this.#take(8);
    if (type === 8) return this.#take(this.#varint());
    if (type === 9) return this.#list(depth);
    if (type === 12) return this.struct(depth + 1);
    throw new BadParquet("a header holds a value of no known type");
  }

  struct(depth = 0): ThriftStruct {
    if (depth > deepest) throw new BadParquet("a header is nested too deep");
    const fields = new Map<number, ThriftValue>();
    let id = 0;
    for (let head = this.#byte(); head !== 0; head = this.#byte()) {
      id = head >> 4 === 0 ? this.#integer() : id + (head >> 4);
      fields.set(id, this.#value(head & 15, depth));
    }
    return fields;
  }
}

/**
 * Reads the struct that begins at a place, and where it ends.
 * @throws BadParquet when there is none.
 */
export function readStruct(bytes: Uint8Array, from = 0): { struct: ThriftStruct; end: number } {
  const reader = new ThriftReader(bytes, from);
  const struct = reader.struct();
  return { struct, end: reader.at };
}

export function intIn(struct: ThriftStruct, id: number, fallback?: number): number {
  const value = struct.get(id) ?? fallback;
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new BadParquet(`a header lacks number ${id}`);
  return value;
}

export function textIn(struct: ThriftStruct, id: number): string {
  const value = struct.get(id);
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length).toString("utf8");
  throw new BadParquet(`a header lacks text ${id}`);
}

export function listIn(struct: ThriftStruct, id: number): readonly ThriftValue[] {
  const value = struct.get(id) ?? [];
  if (Array.isArray(value)) return value;
  throw new BadParquet(`a header lacks list ${id}`);
}

export function structIn(struct: ThriftStruct, id: number): ThriftStruct | null {
  const value = struct.get(id);
  if (value === undefined) return null;
  if (value instanceof Map) return value;
  throw new BadParquet(`a header lacks struct ${id}`);
}

export function structsIn(struct: ThriftStruct, id: number): ThriftStruct[] {
  return listIn(struct, id).map((value) => {
    if (value instanceof Map) return value;
    throw new BadParquet(`a header lacks structs ${id}`);
  });
}
