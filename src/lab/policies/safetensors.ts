import { describe, InputError } from "../../rollouts/index.ts";

export type TensorData = Float32Array | Float64Array | Int32Array;

/** An array with a shape, row-major. */
export interface Tensor {
  shape: readonly number[];
  data: TensorData;
}

export interface Tensors {
  tensors: Record<string, Tensor>;
  /** Texts beside the tensors. */
  metadata: Record<string, string>;
}

const types = {
  F32: { bytes: 4, make: (length: number) => new Float32Array(length) },
  F64: { bytes: 8, make: (length: number) => new Float64Array(length) },
  I32: { bytes: 4, make: (length: number) => new Int32Array(length) },
} as const;
type TypeName = keyof typeof types;

/** Headers beyond this are refused, as the format's own reader does. */
const longestHeader = 100_000_000;
const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function typeOf(data: TensorData): TypeName {
  return data instanceof Float32Array ? "F32" : data instanceof Float64Array ? "F64" : "I32";
}

const bytesOf = (data: TensorData) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function swapBytes(bytes: Uint8Array, width: number): void {
  for (let k = 0; k < bytes.length; k += width) bytes.subarray(k, k + width).reverse();
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Tensors as one file of the safetensors format (version of huggingface/safetensors 0.4): eight bytes with the length
 * of the header, the header as JSON padded with spaces to a multiple of eight, then the numbers, little-endian, one
 * tensor after another in the given order. Equal input gives equal bytes.
 * @throws InputError when a shape does not fit its data, or a tensor is called `__metadata__`.
 */
export function writeSafetensors({ tensors, metadata = {} }: Partial<Tensors> & Pick<Tensors, "tensors">): Uint8Array {
  const header: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let end = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    if (name === "__metadata__") throw new InputError("no tensor may have this name", { column: name });
    if (elements(shape) !== data.length) {
      const place = { column: name, expected: `${data.length} numbers`, got: `the shape [${shape.join(", ")}]` };
      throw new InputError("the shape of a tensor does not fit its data", place);
    }
    header[name] = { dtype: typeOf(data), shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(8 + padded + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(json, 8);
  file.fill(0x20, 8 + json.length, 8 + padded);
  let at = 8 + padded;
  for (const { data } of Object.values(tensors)) {
    const place = file.subarray(at, at + data.byteLength);
    place.set(bytesOf(data));
    if (!isLittleEndian) swapBytes(place, data.BYTES_PER_ELEMENT);
    at += data.byteLength;
  }
  return file;
}

/**
 * Reads a safetensors file with tensors of the types F32, F64 and I32.
 * @param name name of the file, for messages.
 * @throws InputError when it is cut off or malformed: header, types, shapes, offsets that overlap, leave gaps or run
 * over the end.
 */
export function readSafetensors(file: Uint8Array, name?: string): Tensors {
  const place = name === undefined ? {} : { file: name };
  const fault = (problem: string, at: Record<string, string> = {}) => new InputError(problem, { ...place, ...at });
  if (file.length < 8) throw fault("too short for a safetensors file", { expected: "8 bytes", got: `${file.length}` });
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  if (length > Math.min(longestHeader, file.length - 8)) {
    throw fault("the header runs over the end of the file", { expected: `${file.length - 8} bytes`, got: `${length}` });
  }
  const header = parseHeader(file.subarray(8, 8 + length));
  if (header === undefined) throw fault("the header of a safetensors file is not a JSON object");
  const { __metadata__: metadata = {}, ...entries } = header;
  if (!isTexts(metadata)) throw fault("the metadata is not an object of texts", { column: "__metadata__" });
  const body = file.subarray(8 + length);
  const read = new Map<string, Tensor>();
  const spans: [number, number, string][] = [];
  for (const [column, entry] of Object.entries(entries)) {
    const found = parseEntry(entry);
    if (typeof found === "string") throw fault(found, { column, got: describe(JSON.stringify(entry)) });
    const { type, shape, from, to } = found;
    if (to > body.length) {
      throw fault("a tensor runs over the end of the file", { column, expected: `${body.length} bytes`, got: `${to}` });
    }
    read.set(column, { shape, data: copyOf(type, body.subarray(from, to)) });
    spans.push([from, to, column]);
  }
  spans.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let end = 0;
  for (const [from, to, column] of spans) {
    if (from !== end) {
      throw fault("tensors overlap or leave a gap", { column, expected: `a start at ${end}`, got: `${from}` });
    }
    end = to;
  }
  if (end !== body.length) {
    throw fault("bytes are left after the last tensor", { expected: `${end} bytes of data`, got: `${body.length}` });
  }
  return { tensors: Object.fromEntries(read), metadata: { ...metadata } };
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const value: unknown = text.startsWith("{") ? JSON.parse(text) : undefined;
    return value as Record<string, unknown> | undefined;
  } catch {
    return undefined;
  }
}

function isTexts(value: unknown): value is Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((text) => typeof text === "string");
}

interface Entry {
  type: TypeName;
  shape: number[];
  from: number;
  to: number;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** What an entry of the header says, or what is wrong with it. */
function parseEntry(entry: unknown): Entry | string {
  if (typeof entry !== "object" || entry === null) return "an entry of the header is not an object";
  const { dtype, shape, data_offsets: offsets } = entry as Record<string, unknown>;
  if (typeof dtype !== "string" || !Object.hasOwn(types, dtype)) return "the type of a tensor is not F32, F64 or I32";
  if (!Array.isArray(shape) || !shape.every(isCount)) return "the shape of a tensor is not a list of sizes";
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount) || offsets[0] > offsets[1]) {
    return "the offsets of a tensor are not two places in order";
  }
  const type = dtype as TypeName;
  const [from, to] = offsets as [number, number];
  if (elements(shape) * types[type].bytes !== to - from) return "the offsets of a tensor do not fit its shape and type";
  return { type, shape, from, to };
}

/** A copy: the file need not keep the numbers at multiples of their size. */
function copyOf(type: TypeName, bytes: Uint8Array): TensorData {
  const { bytes: width, make } = types[type];
  const data = make(bytes.length / width);
  const own = bytesOf(data);
  own.set(bytes);
  if (!isLittleEndian) swapBytes(own, width);
  return data;
}
