import { type DataType, Type } from "@uwdata/flechette";
import { InputError } from "../rollouts/index.ts";
import { type ArrowBatch, BadColumn, checkNested, checkRows, marksOf, offsetsOf } from "./arrow-buffers.ts";
import type { Cells, RawNumbers } from "./columnar-table.ts";

/** What a type is called in messages. */
export function typeName(type: DataType): string {
  const known = Object.entries(Type).find(([, id]) => id === type.typeId)?.[0] ?? "unknown";
  const name = known.toLowerCase();
  if ("bitWidth" in type && type.typeId === Type.Int) return `${type.signed ? "int" : "uint"}${type.bitWidth}`;
  if (type.typeId === Type.Float) return `float${[16, 32, 64][(type as { precision: number }).precision]}`;
  if (type.typeId === Type.Dictionary)
    return `dictionary of ${typeName((type as { dictionary: DataType }).dictionary)}`;
  const children = (type as { children?: { type: DataType }[] }).children;
  const lists: readonly number[] = listTypes;
  return lists.includes(type.typeId) && children !== undefined ? `list of ${typeName(children[0].type)}` : name;
}

export const listTypes: readonly number[] = [
  Type.List,
  Type.LargeList,
  Type.FixedSizeList,
  Type.ListView,
  Type.LargeListView,
];

function float16(half: number): number {
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  const sign = half & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function floatsOf(halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  for (let k = 0; k < halves.length; k++) out[k] = float16(halves[k]);
  return out;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Text is decoded in one go up to this many bytes; JavaScript's strings end at 512 MB. */
const mostText = 2 ** 27;

/** Text of cells [from, to). */
function texts(batch: ArrowBatch, from: number, to: number, valid: Uint8Array | null): (string | null)[] {
  const bytes = batch.values as Uint8Array;
  const { offsets, base } = offsetsOf(batch, from, to, bytes.length);
  const end = base + offsets[to - from];
  const whole = end - base <= mostText ? decoder.decode(bytes.subarray(base, end)) : null;
  // As many characters as bytes: all ASCII, and places in the bytes are places in the text.
  const ascii = whole !== null && whole.length === end - base ? whole : null;
  const out: (string | null)[] = new Array(to - from).fill(null);
  for (let k = 0; k < out.length; k++) {
    if (valid !== null && valid[k] === 0) continue;
    if (ascii !== null) out[k] = ascii.slice(offsets[k], offsets[k + 1]);
    else out[k] = decoder.decode(bytes.subarray(base + offsets[k], base + offsets[k + 1]));
  }
  return out;
}

function bitsOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const out = new Uint8Array(to - from);
  for (let k = from; k < to; k++) out[k - from] = (bytes[k >> 3] >> (k & 7)) & 1;
  return out;
}

/** Any value of the decoder as JSON has it. */
function plain(value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new InputError("wrong value", { expected: "finite numbers", got: String(value) });
  }
  if (typeof value !== "object") return value;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Map) return Object.fromEntries(Array.from(value, ([key, cell]) => [String(key), plain(cell)]));
  if (Symbol.iterator in value) return Array.from(value as Iterable<unknown>, plain);
  return Object.fromEntries(Object.entries(value).map(([key, cell]) => [key, plain(cell)]));
}

const numberTypes: readonly number[] = [Type.Int, Type.Float, Type.Decimal];
const textTypes: readonly number[] = [Type.Utf8, Type.LargeUtf8, Type.Utf8View];

/** Cells of a column whose values stand in a dictionary. */
function chosen(batch: ArrowBatch, from: number, to: number, valid: Uint8Array | null): Cells {
  const cells: unknown[] = new Array(to - from).fill(null);
  for (let k = from; k < to; k++) {
    if (valid !== null && valid[k - from] === 0) continue;
    const cell = batch.value(k);
    if (cell === undefined) throw new BadColumn("an index leads out of its dictionary");
    cells[k - from] = plain(cell);
  }
  const { dictionary } = batch.type as { dictionary: DataType };
  if (textTypes.includes(dictionary.typeId)) return { kind: "string", values: cells as (string | null)[] };
  if (!numberTypes.includes(dictionary.typeId)) return { kind: "json", values: cells };
  const marks = Uint8Array.from(cells, (cell) => (cell === null ? 0 : 1));
  const values = Float64Array.from(cells, (cell) => Number(cell ?? 0));
  return { kind: "number", values, valid: marks.includes(0) ? marks : null };
}

function decimals(batch: ArrowBatch, from: number, to: number): Float64Array {
  const out = new Float64Array(to - from);
  for (let k = from; k < to; k++) out[k - from] = Number(batch.value(k));
  return out;
}

const timeTypes: readonly number[] = [Type.Date, Type.Timestamp];

/**
 * Cells [from, to) of a column of one record batch. Numbers are views of the message wherever they lie there as they are
 * needed.
 */
export function cellsOf(batch: ArrowBatch, from: number, to: number): Cells {
  const { typeId } = batch.type;
  checkRows(batch, to);
  if (typeId === Type.Null)
    return { kind: "number", values: new Float64Array(to - from), valid: new Uint8Array(to - from) };
  const valid = marksOf(batch, from, to);
  const numbers = (values: RawNumbers): Cells => ({ kind: "number", values, valid });
  if (typeId === Type.Int) return numbers((batch.values as RawNumbers).subarray(from, to));
  if (typeId === Type.Float) {
    const values = (batch.values as RawNumbers | Uint16Array).subarray(from, to);
    return numbers(values instanceof Uint16Array ? floatsOf(values) : values);
  }
  if (typeId === Type.Bool) return numbers(bitsOf(batch.values as Uint8Array, from, to));
  if (typeId === Type.Decimal) return numbers(decimals(batch, from, to));
  if (typeId === Type.Utf8 || typeId === Type.LargeUtf8) {
    return { kind: "string", values: texts(batch, from, to, valid) };
  }
  if (typeId === Type.Dictionary) return chosen(batch, from, to, valid);
  checkNested(batch, from, to);
  const cells: unknown[] = new Array(to - from).fill(null);
  for (let k = from; k < to; k++) if (valid === null || valid[k - from] === 1) cells[k - from] = plain(batch.value(k));
  if (typeId === Type.Utf8View || timeTypes.includes(typeId))
    return { kind: "string", values: cells as (string | null)[] };
  return { kind: "json", values: cells };
}
