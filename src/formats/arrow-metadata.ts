/**
 * Checks the metadata of Arrow messages (flatbuffers) before they are decoded: the decoder trusts counts and offsets, so that
 * a damaged byte could make it build lists of billions. Nothing is checked here that would only give a wrong value.
 */

const unionType = 14;
const timestampType = 10;
const decimalType = 7;
const strideTypes: ReadonlySet<number> = new Set([15, 16]);

/** More fields than any table has; a schema whose offsets go in circles reaches it soon. */
const mostFields = 2 ** 16;
const deepest = 64;

export const messageKinds = { schema: 1, dictionary: 2, batch: 3 } as const;

/** What the framing has to know of a message. */
export interface MessageInfo {
  kind: number;
  bodyLength: number;
  /** Dictionary messages: which one, and whether it adds to what was there. */
  dictionary?: { id: bigint; isDelta: boolean };
  /** Record batches: number of rows. */
  rows?: number;
  /** Codec of a compressed body: 0 is LZ4, 1 is zstd. */
  codec?: number;
}

/** The metadata are not what Arrow writes. */
export class BadMetadata extends Error {
  override readonly name = "BadMetadata";
}

function bad(problem: string): BadMetadata {
  return new BadMetadata(problem);
}

type Slots = (slot: number) => number;

/** Positions of the fields of a table whose offset is at `index`; 0 where one is absent. */
function table(view: DataView, index: number): Slots {
  const at = index + view.getInt32(index, true);
  const vtable = at - view.getInt32(at, true);
  const size = view.getInt16(vtable, true);
  if (size < 4) throw bad("a table has no fields");
  return (slot) => {
    const offset = slot < size ? view.getInt16(vtable + slot, true) : 0;
    if (offset < 0) throw bad("a field has a negative offset");
    return offset === 0 ? 0 : at + offset;
  };
}

interface Vector {
  start: number;
  length: number;
}

function vector(view: DataView, index: number, stride: number): Vector {
  if (index === 0) return { start: 0, length: 0 };
  const base = index + view.getInt32(index, true);
  const length = view.getInt32(base, true);
  if (length < 0 || base + 4 + length * stride > view.byteLength) throw bad("a list reaches beyond the metadata");
  return { start: base + 4, length };
}

function checkKeyValues(view: DataView, index: number): void {
  const { start, length } = vector(view, index, 4);
  for (let k = 0; k < length; k++) {
    const pair = table(view, start + 4 * k);
    if (pair(4) === 0 || pair(6) === 0) throw bad("a metadata entry lacks its key or value");
    vector(view, pair(4), 1);
    vector(view, pair(6), 1);
  }
}

function checkType(view: DataView, type: number, index: number): void {
  if (index === 0) throw bad("a field has no type");
  const slots = table(view, index);
  const number = (slot: number) => (slots(slot) === 0 ? 0 : view.getInt32(slots(slot), true));
  if (type === unionType) vector(view, slots(6), 4);
  if (type === timestampType && slots(6) !== 0) vector(view, slots(6), 1);
  if (type === decimalType && Math.abs(number(6)) > 100) throw bad("a decimal has more than 100 places");
  if (strideTypes.has(type) && number(4) < 0) throw bad("a list has a negative size");
}

function checkField(view: DataView, index: number, budget: { fields: number }, depth: number): void {
  if (--budget.fields < 0 || depth > deepest) throw bad("the schema has too many fields");
  const field = table(view, index);
  if (field(4) !== 0) vector(view, field(4), 1);
  checkType(view, field(8) === 0 ? 0 : view.getUint8(field(8)), field(10));
  if (field(12) !== 0) {
    const dictionary = table(view, field(12));
    if (dictionary(6) !== 0) table(view, dictionary(6));
  }
  const children = vector(view, field(14), 4);
  for (let k = 0; k < children.length; k++) checkField(view, children.start + 4 * k, budget, depth + 1);
  checkKeyValues(view, field(16));
}

function checkSchema(view: DataView, index: number): void {
  const schema = table(view, index);
  if (schema(4) !== 0 && view.getInt16(schema(4), true) !== 0) throw bad("the numbers are big-endian");
  const fields = vector(view, schema(6), 4);
  const budget = { fields: mostFields };
  for (let k = 0; k < fields.length; k++) checkField(view, fields.start + 4 * k, budget, 0);
  checkKeyValues(view, schema(8));
}

function count(view: DataView, at: number): number {
  return at === 0 ? 0 : Number(view.getBigInt64(at, true));
}

function checkBatch(view: DataView, index: number, bodyLength: number): Pick<MessageInfo, "rows" | "codec"> {
  const batch = table(view, index);
  vector(view, batch(6), 16);
  const buffers = vector(view, batch(8), 16);
  for (let k = 0; k < buffers.length; k++) {
    const offset = count(view, buffers.start + 16 * k);
    const length = count(view, buffers.start + 16 * k + 8);
    if (offset < 0 || length < 0 || offset + length > bodyLength) throw bad("a buffer reaches beyond its message");
  }
  const variadic = vector(view, batch(12), 8);
  for (let k = 0; k < variadic.length; k++) {
    const many = count(view, variadic.start + 8 * k);
    if (many < 0 || many > buffers.length) throw bad("a column has more buffers than its message");
  }
  const rows = count(view, batch(4));
  if (batch(10) === 0) return { rows };
  const compression = table(view, batch(10));
  return { rows, codec: compression(4) === 0 ? 0 : view.getInt8(compression(4)) };
}

/**
 * Checks the metadata of one message.
 * @throws BadMetadata, or RangeError where an offset leads out of the metadata.
 */
export function checkMetadata(bytes: Uint8Array): MessageInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const message = table(view, 0);
  const version = message(4) === 0 ? 0 : view.getInt16(message(4), true);
  if (version < 3) throw bad("the stream was written before Arrow 0.8");
  const kind = message(6) === 0 ? 0 : view.getUint8(message(6));
  const header = message(8);
  const bodyLength = count(view, message(10));
  if (header === 0 || bodyLength < 0 || !Number.isSafeInteger(bodyLength)) throw bad("a message has no content");
  if (kind === messageKinds.schema) {
    checkSchema(view, header);
    return { kind, bodyLength };
  }
  if (kind === messageKinds.batch) return { kind, bodyLength, ...checkBatch(view, header, bodyLength) };
  if (kind !== messageKinds.dictionary) throw bad("a message is neither schema nor data");
  const dictionary = table(view, header);
  if (dictionary(6) === 0) throw bad("a dictionary has no values");
  const { codec } = checkBatch(view, dictionary(6), bodyLength);
  const id = dictionary(4) === 0 ? 0n : view.getBigInt64(dictionary(4), true);
  const isDelta = dictionary(8) !== 0 && view.getUint8(dictionary(8)) !== 0;
  return { kind, bodyLength, codec, dictionary: { id, isDelta } };
}
