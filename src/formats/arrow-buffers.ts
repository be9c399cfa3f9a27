import { type Batch, type DataType, Type, UnionMode } from "@uwdata/flechette";

/** A column of one record batch, as the decoder gives it: views of buffers, not yet known to fit together. */
export type ArrowBatch = Batch<unknown>;

/** The buffers of a column do not fit together. */
export class BadColumn extends Error {
  override readonly name = "BadColumn";
}

/** A column of nothing but null takes no bytes: what it claims to hold has to be bounded somewhere. */
const mostNulls = 2 ** 24;

/** Bytes of one value in the values buffer; 0 for types that have none, or whose values lie behind offsets. */
function widthOf(type: DataType): number {
  if (type.typeId === Type.Bool) return 1 / 8;
  if (type.typeId === Type.Decimal) return (type as { bitWidth: number }).bitWidth / 8;
  if (type.typeId === Type.FixedSizeBinary) return (type as { stride: number }).stride;
  if (type.typeId === Type.Utf8View || type.typeId === Type.BinaryView) return 16;
  const indices = (type as { indices?: { values: { BYTES_PER_ELEMENT: number } } }).indices;
  const { values } = type as { values?: { BYTES_PER_ELEMENT: number } };
  return (indices?.values ?? values)?.BYTES_PER_ELEMENT ?? 0;
}

/** Checks that a column has rows up to `to`, and its values buffer too. */
export function checkRows(batch: ArrowBatch, to: number): void {
  if (!(batch.length >= to)) throw new BadColumn("a column has fewer rows than its table");
  const width = widthOf(batch.type);
  if (width > 0 && !((batch.values?.byteLength ?? 0) >= to * width)) throw new BadColumn("a buffer is too short");
}

/** Which of the rows [from, to) are not null; `null` when all are. */
export function marksOf(batch: ArrowBatch, from: number, to: number): Uint8Array | null {
  const { validity, nullCount } = batch;
  if (nullCount === 0 || validity === undefined || validity.length === 0) return null;
  if (validity.length * 8 < to) throw new BadColumn("a validity bitmap is too short");
  const marks = new Uint8Array(to - from);
  for (let k = from; k < to; k++) marks[k - from] = (validity[k >> 3] >> (k & 7)) & 1;
  return marks.includes(0) ? marks : null;
}

export interface Ranges {
  /** Where the ranges begin and end, counted from `base`. */
  offsets: Int32Array;
  base: number;
}

/** Ranges of the rows [from, to) in the `limit` values behind them: they must go up and stay within. */
export function offsetsOf(batch: ArrowBatch, from: number, to: number, limit: number): Ranges {
  const own = batch.offsets as Int32Array | BigInt64Array;
  const rows = to - from;
  if (rows === 0) return { offsets: new Int32Array(1), base: 0 };
  if (!(own.length > to)) throw new BadColumn("an offsets buffer is too short");
  const base = Number(own[from]);
  const end = Number(own[to]);
  if (base < 0 || end > limit) throw new BadColumn("an offset leads beyond the values");
  if (end - base > 2 ** 31 - 1) throw new BadColumn("a record batch has more than 2^31 values in one column");
  let offsets: Int32Array;
  if (base === 0 && own instanceof Int32Array) offsets = own.subarray(from, to + 1);
  else {
    offsets = new Int32Array(rows + 1);
    for (let i = 0; i <= rows; i++) offsets[i] = Number(own[from + i]) - base;
  }
  for (let i = 0; i < rows; i++) {
    if (offsets[i + 1] < offsets[i]) throw new BadColumn("offsets go down");
  }
  return { offsets, base };
}

/** Starts and lengths of the lists of a list view. */
export function viewsOf(batch: ArrowBatch, to: number): { starts: Float64Array; lengths: Int32Array } {
  const { offsets, sizes } = batch;
  const [child] = batch.children;
  const starts = new Float64Array(to);
  const lengths = new Int32Array(to);
  const marks = marksOf(batch, 0, to);
  if (offsets.length < to || sizes.length < to) throw new BadColumn("an offsets buffer is too short");
  for (let i = 0; i < to; i++) {
    if (marks !== null && marks[i] === 0) continue;
    starts[i] = Number(offsets[i]);
    lengths[i] = Number(sizes[i]);
    if (starts[i] < 0 || lengths[i] < 0 || starts[i] + lengths[i] > child.length) {
      throw new BadColumn("an offset leads beyond the values");
    }
  }
  return { starts, lengths };
}

interface UnionBatch {
  typeIds: Int8Array;
}

function checkUnion(batch: ArrowBatch, from: number, to: number): void {
  const { typeIds } = batch as ArrowBatch & UnionBatch;
  const { typeMap, mode } = batch.type as DataType & { typeMap: Record<number, number>; mode: number };
  if (typeIds.length < to) throw new BadColumn("a type ids buffer is too short");
  for (let k = from; k < to; k++) {
    const child = batch.children[typeMap[typeIds[k]]];
    const at = mode === UnionMode.Dense ? Number(batch.offsets[k]) : k;
    if (child === undefined || !(at >= 0 && at < child.length)) throw new BadColumn("a union leads beyond its values");
  }
  for (const child of batch.children) checkNested(child, 0, child.length);
}

/** Checks everything below a column, so that its cells can be taken out one by one whatever they are. */
export function checkNested(batch: ArrowBatch, from: number, to: number): void {
  checkRows(batch, to);
  const { type, children } = batch;
  const { typeId } = type;
  if (typeId === Type.Null && batch.length > mostNulls) throw new BadColumn(`more than ${mostNulls} nulls`);
  if (typeId === Type.List || typeId === Type.LargeList || typeId === Type.Map) {
    const { offsets, base } = offsetsOf(batch, from, to, children[0].length);
    checkNested(children[0], base, base + offsets[to - from]);
  } else if (typeId === Type.FixedSizeList) {
    const { stride } = type as { stride: number };
    checkNested(children[0], from * stride, to * stride);
  } else if (typeId === Type.ListView || typeId === Type.LargeListView) {
    viewsOf(batch, to);
    checkNested(children[0], 0, children[0].length);
  } else if (typeId === Type.Struct) {
    for (const child of children) checkNested(child, from, to);
  } else if (typeId === Type.Union) checkUnion(batch, from, to);
  else if (typeId === Type.RunEndEncoded) {
    for (const child of children) checkNested(child, 0, child.length);
  } else if (batch.offsets !== undefined) offsetsOf(batch, from, to, batch.values.length);
}
