import { type Batch, type Column, firstNonFinite, InputError, jaggedKeys } from "../rollouts/index.ts";
import { ByteText, longestNumber } from "./byte-text.ts";

/** Bytes handed on in one piece. */
const pieceBytes = 2 ** 20;
/** Rows written between two looks at how much there is. */
const rowsAtOnce = 2 ** 13;

interface Field {
  path: string;
  column: Column;
  /** `"NAME":` in bytes. */
  key: Buffer;
}

interface Section {
  key: Buffer;
  fields: readonly Field[];
  /** First row of each rollout, and which rollouts have the level. */
  offsets: Int32Array;
  present: Uint8Array | null;
  jagged: boolean;
}

interface Layout {
  /** Columns that stand in the rollout itself: `reward`, … */
  own: readonly Field[];
  /** `rewards`, `signals`, and the levels. */
  sections: readonly Section[];
  messages: Field | undefined;
  meta: Field | undefined;
  /** Columns `meta.NAME`, written into the meta object. */
  metaFields: readonly Field[];
}

function keyBytes(name: string): Buffer {
  return Buffer.from(`${JSON.stringify(name)}:`);
}

/** Sorts the columns of a batch by the object that they stand in. */
function layoutOf(batch: Batch): Layout {
  const byKey = new Map<string, Field[]>();
  for (const path of batch.paths) {
    const column = batch.column(path);
    const dot = path.indexOf(".");
    const key = dot < 0 ? path : path.slice(0, dot);
    const fields = byKey.get(key) ?? [];
    fields.push({ path, column, key: keyBytes(path.slice(dot + 1)) });
    byKey.set(key, fields);
    if (column.kind !== "number") continue;
    const row = firstNonFinite(column.values);
    if (row >= 0) throw batch.wrongValue(path, row, "a finite number", String(column.values[row]));
  }
  const none = { present: null, offsets: batch.offsets("rollout"), jagged: false };
  const sections: Section[] = [];
  for (const key of ["rewards", "signals"]) {
    const fields = byKey.get(key);
    if (fields !== undefined) sections.push({ key: keyBytes(key), fields, ...none });
  }
  for (const [key, level] of Object.entries(jaggedKeys)) {
    if (!batch.hasLevel(level, "any")) continue;
    sections.push({ key: keyBytes(key), fields: byKey.get(key) ?? [], ...batch.rows(level), jagged: true });
  }
  const meta = byKey.get("meta") ?? [];
  return {
    own: byKey.get("rollout") ?? [],
    sections,
    messages: byKey.get("messages")?.[0],
    meta: meta.find((field) => field.path === "meta"),
    metaFields: meta.filter((field) => field.path !== "meta"),
  };
}

function has({ column }: Field, rollout: number): boolean {
  return column.present === null || column.present[rollout] === 1;
}

const comma = 44;
const bracket = 91;
const bracketEnd = 93;
const brace = 123;
const braceEnd = 125;
const lineFeed = 10;
const nullBytes = Buffer.from("null");

/** Writes batches as rollout JSONL, in pieces of bytes. No object is made per token. */
export class JsonlText {
  readonly #text = new ByteText(pieceBytes + 2 ** 16);

  /**
   * The lines of a batch.
   * @throws InputError for NaN and Infinity, naming rollout and column, before anything of the batch is written.
   */
  *pieces(batch: Batch): Generator<Buffer> {
    const layout = layoutOf(batch);
    for (let rollout = 0; rollout < batch.size; rollout++) {
      yield* this.#rollout(batch, layout, rollout);
      this.#text.byte(lineFeed);
      if (this.#text.length >= pieceBytes) yield this.#text.take();
    }
    if (this.#text.length > 0) yield this.#text.take();
  }

  *#rollout(batch: Batch, layout: Layout, rollout: number): Generator<Buffer> {
    const text = this.#text;
    text.text(`{"id":${JSON.stringify(batch.ids[rollout])}`);
    const group = batch.groupNames[rollout];
    if (group !== null) text.text(`,"group":${JSON.stringify(group)}`);
    for (const field of layout.own) {
      if (!has(field, rollout)) continue;
      text.byte(comma);
      text.raw(field.key);
      this.#cell(batch, field, rollout);
    }
    for (const section of layout.sections) yield* this.#section(batch, section, rollout);
    if (layout.messages !== undefined && has(layout.messages, rollout)) {
      text.byte(comma);
      text.raw(layout.messages.key);
      this.#cell(batch, layout.messages, rollout);
    }
    this.#meta(batch, layout, rollout);
    text.byte(braceEnd);
  }

  *#section(batch: Batch, section: Section, rollout: number): Generator<Buffer> {
    const { key, fields, offsets, present, jagged } = section;
    const text = this.#text;
    const there = fields.filter((field) => has(field, rollout));
    const whole = jagged && (present === null || present[rollout] === 1);
    if (there.length === 0 && !whole) return;
    text.byte(comma);
    text.raw(key);
    text.byte(brace);
    for (let k = 0; k < there.length; k++) {
      const field = there[k];
      if (k > 0) text.byte(comma);
      text.raw(field.key);
      if (!jagged) {
        this.#cell(batch, field, rollout);
        continue;
      }
      text.byte(bracket);
      const end = offsets[rollout + 1];
      for (let from = offsets[rollout]; from < end; from += rowsAtOnce) {
        this.#rows(batch, field, from, Math.min(from + rowsAtOnce, end), from > offsets[rollout]);
        if (text.length >= pieceBytes) yield text.take();
      }
      text.byte(bracketEnd);
    }
    text.byte(braceEnd);
  }

  /** Rows of a column, separated by commas; `more` puts one before the first. */
  #rows(batch: Batch, field: Field, from: number, to: number, more: boolean): void {
    const text = this.#text;
    const { column } = field;
    if (column.kind !== "number") {
      for (let row = from; row < to; row++) {
        if (more || row > from) text.byte(comma);
        this.#cell(batch, field, row);
      }
      return;
    }
    text.reserve((to - from) * longestNumber);
    const { values, valid } = column;
    const kind = values instanceof Float32Array ? 1 : values instanceof Float64Array ? 2 : 0;
    for (let row = from; row < to; row++) {
      if (more || row > from) text.bytes[text.length++] = comma;
      if (valid !== null && valid[row] === 0) text.raw(nullBytes);
      else if (kind === 0) text.int(values[row]);
      else if (kind === 1) text.single(values[row]);
      else text.double(values[row]);
    }
  }

  /** One cell of any column. */
  #cell(batch: Batch, { path, column }: Field, row: number): void {
    const text = this.#text;
    if (column.kind !== "number") {
      text.text(this.#json(batch, path, row, column.values[row]));
      return;
    }
    text.reserve(longestNumber);
    if (column.valid !== null && column.valid[row] === 0) text.raw(nullBytes);
    else if (column.values instanceof Float32Array) text.single(column.values[row]);
    else text.double(column.values[row]);
  }

  #json(batch: Batch, path: string, row: number, cell: unknown): string {
    try {
      return JSON.stringify(cell) ?? "null";
    } catch (error) {
      const { at } = batch.wrongValue(path, row, "a value that JSON can hold", "one that it cannot");
      const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
      throw new InputError("this cell cannot be written", { ...at, hint: reason });
    }
  }

  #meta(batch: Batch, layout: Layout, rollout: number): void {
    const { meta, metaFields } = layout;
    const text = this.#text;
    const fields = metaFields.filter((field) => has(field, rollout));
    const there = meta !== undefined && has(meta, rollout);
    if (!there && fields.length === 0) return;
    text.text(',"meta":');
    if (fields.length === 0) {
      if (meta !== undefined) this.#cell(batch, meta, rollout);
      return;
    }
    const known = there && meta?.column.kind !== "number" ? (meta?.column.values[rollout] as object | null) : null;
    const cells: Record<string, unknown> = { ...known };
    for (const { path, column } of fields) {
      const missing = column.kind === "number" && column.valid !== null && column.valid[rollout] === 0;
      cells[path.slice("meta.".length)] = missing ? null : column.values[rollout];
    }
    text.text(this.#json(batch, "meta", rollout, cells));
  }
}
