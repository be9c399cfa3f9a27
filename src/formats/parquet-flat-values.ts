import type { RawNumbers } from "./columnar-table.ts";
import type { LeafType } from "./parquet-flat-schema.ts";
import { decodeRuns } from "./parquet-levels.ts";
import { BadParquet } from "./parquet-thrift-read.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Texts, each behind its length. */
function plainTexts(bytes: Uint8Array, count: number): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  for (let k = 0, at = 0; k < count; k++) {
    const length = view.getUint32(at, true);
    at += 4 + length;
    if (at > bytes.length) throw new BadParquet("a text reaches beyond its page");
    texts.push(decoder.decode(bytes.subarray(at - length, at)));
  }
  return texts;
}

function bits(bytes: Uint8Array, count: number): Uint8Array {
  if (bytes.length * 8 < count) throw new BadParquet("a page is too short");
  const out = new Uint8Array(count);
  for (let k = 0; k < count; k++) out[k] = (bytes[k >> 3] >> (k & 7)) & 1;
  return out;
}

const physicalArrays = { int32: Int32Array, int64: BigInt64Array, float: Float32Array, double: Float64Array } as const;

/** Values of a page or of a dictionary. */
export type Values = RawNumbers | string[];

/** Values as they stand in a page. Numbers are copied where they do not lie as arrays have to. */
export function plainValues(bytes: Uint8Array, { physical, array }: LeafType, count: number): Values {
  if (physical === "text") return plainTexts(bytes, count);
  if (physical === "boolean") return bits(bytes, count);
  const Kind = physicalArrays[physical];
  const size = count * Kind.BYTES_PER_ELEMENT;
  if (bytes.length < size) throw new BadParquet("a page is too short");
  let own = bytes;
  if (bytes.byteOffset % Kind.BYTES_PER_ELEMENT !== 0) {
    own = new Uint8Array(size);
    own.set(bytes.subarray(0, size));
  }
  if (array === Uint8Array) return Uint8Array.from(new Int32Array(own.buffer, own.byteOffset, count));
  const Made = array as unknown as new (buffer: ArrayBufferLike, from: number, length: number) => RawNumbers;
  return new Made(own.buffer, own.byteOffset, count);
}

/** Whether each value of a dictionary is its own number, as the writer of this project makes them for bytes. */
function isCount(dictionary: Uint8Array): boolean {
  for (let k = 0; k < dictionary.length; k++) if (dictionary[k] !== k) return false;
  return true;
}

function notThere(): BadParquet {
  return new BadParquet("a value is not in its dictionary");
}

// One function per width of values, each of which sees one kind of array only: that is what makes them fast.
function chosenBytes(dictionary: Uint8Array, places: Uint8Array): Uint8Array {
  let highest = 0;
  for (let k = 0; k < places.length; k++) if (places[k] > highest) highest = places[k];
  if (highest >= dictionary.length) throw notThere();
  if (!isCount(dictionary)) for (let k = 0; k < places.length; k++) places[k] = dictionary[places[k]];
  return places;
}

function chosenWords(dictionary: Int32Array, places: Int32Array): Int32Array {
  const out = new Int32Array(places.length);
  const size = dictionary.length;
  for (let k = 0; k < places.length; k++) {
    const place = places[k];
    if (place >= size) throw notThere();
    out[k] = dictionary[place];
  }
  return out;
}

function chosenPairs(dictionary: Int32Array, places: Int32Array): Int32Array {
  const out = new Int32Array(2 * places.length);
  const size = dictionary.length / 2;
  for (let k = 0; k < places.length; k++) {
    const place = places[k];
    if (place >= size) throw notThere();
    out[2 * k] = dictionary[2 * place];
    out[2 * k + 1] = dictionary[2 * place + 1];
  }
  return out;
}

function chosenNumbers(dictionary: RawNumbers, places: Int32Array): RawNumbers {
  const { buffer, byteOffset, byteLength, BYTES_PER_ELEMENT: width } = dictionary;
  if (width === 1) return Uint8Array.from(chosenWords(Int32Array.from(dictionary as Uint8Array), places));
  const words = new Int32Array(buffer, byteOffset, byteLength / 4);
  const out = width === 4 ? chosenWords(words, places) : chosenPairs(words, places);
  return new (dictionary.constructor as new (buffer: ArrayBufferLike) => RawNumbers)(out.buffer);
}

function chosenValues(bytes: Uint8Array, dictionary: Values | null, count: number): Values {
  if (dictionary === null) throw new BadParquet("a dictionary is missing");
  if (count === 0) return dictionary.slice(0, 0) as Values;
  if (bytes.length === 0) throw new BadParquet("a page is too short");
  const [width] = bytes;
  const small = dictionary instanceof Uint8Array && width <= 8;
  const places = small ? new Uint8Array(count) : new Int32Array(count);
  if (width > 0) decodeRuns(bytes, 1, bytes.length, width, places);
  if (places instanceof Uint8Array) return chosenBytes(dictionary as Uint8Array, places);
  if (!Array.isArray(dictionary)) return chosenNumbers(dictionary, places);
  return Array.from(places, (place) => {
    if (place >= dictionary.length) throw notThere();
    return dictionary[place];
  });
}

const encodingIds = { plain: 0, plainDictionary: 2, runs: 3, dictionary: 8 };

/**
 * The values of a page in the encoding that it names.
 * @throws BadParquet when they are damaged.
 */
export function valuesOf(
  bytes: Uint8Array,
  encoding: number,
  type: LeafType,
  count: number,
  dictionary: Values | null,
): Values {
  if (encoding === encodingIds.plain) return plainValues(bytes, type, count);
  if (encoding === encodingIds.dictionary || encoding === encodingIds.plainDictionary) {
    return chosenValues(bytes, dictionary, count);
  }
  if (encoding !== encodingIds.runs || type.physical !== "boolean" || bytes.length < 4) {
    throw new BadParquet(`a page in encoding ${encoding}`);
  }
  const out = new Uint8Array(count);
  decodeRuns(bytes, 4, bytes.length, 1, out);
  return out;
}
