import { Batch, type LevelRows } from "./batch.ts";
import type { Column, NumericArray } from "./column.ts";
import { type FaultPlace, InputError } from "./errors.ts";
import { GrowingBytes, GrowingFloats } from "./grow.ts";
import { type JaggedLevel, jaggedKeys, jaggedLevels, type Level, levelOf } from "./levels.ts";
import { checkRollout, type RolloutObject, reservedKeys, storageOf } from "./schema.ts";

/** Rows of one column as they come in; rollouts that lack it are padded when it shows up again or at the end. */
class ColumnBuilder {
  readonly level: Level;
  readonly #path: string;
  readonly #numbers = new GrowingFloats();
  readonly #valid = new GrowingBytes();
  readonly #present = new GrowingBytes(64);
  /** Cells as objects, from the moment that one of them is neither number nor null. */
  #cells: unknown[] | null = null;
  #anyNull = false;

  constructor(path: string) {
    this.#path = path;
    this.level = levelOf(path);
  }

  /** Fills in rollouts that lacked the column: up to `rollouts` rollouts and `rows` rows. */
  pad(rollouts: number, rows: number): void {
    this.#present.fill(0, rollouts - this.#present.length);
    const more = rows - this.#valid.length;
    if (more > 0) this.#nulls(more);
  }

  add(cells: readonly unknown[]): void {
    this.#present.fill(1, 1);
    const start = this.#numbers.length;
    if (this.#cells === null) {
      const values = this.#numbers.reserve(cells.length);
      let row = 0;
      for (; row < cells.length; row++) {
        const cell = cells[row];
        if (typeof cell !== "number") break;
        values[start + row] = cell;
      }
      this.#numbers.length += row;
      this.#valid.fill(1, row);
      if (row === cells.length) return;
      for (const cell of cells.slice(row)) this.#addCell(cell);
      return;
    }
    for (const cell of cells) this.#addCell(cell);
  }

  #addCell(cell: unknown): void {
    if (cell === null) {
      this.#anyNull = true;
      this.#nulls(1);
      return;
    }
    if (typeof cell !== "number" && this.#cells === null) this.#cells = this.#asCells();
    this.#numbers.fill(typeof cell === "number" ? cell : 0, 1);
    this.#valid.fill(1, 1);
    this.#cells?.push(cell);
  }

  #nulls(count: number): void {
    this.#numbers.fill(0, count);
    this.#valid.fill(0, count);
    if (this.#cells !== null) for (let k = 0; k < count; k++) this.#cells.push(null);
  }

  #asCells(): unknown[] {
    const cells: unknown[] = new Array(this.#numbers.length);
    for (let row = 0; row < cells.length; row++)
      cells[row] = this.#valid.values[row] === 1 ? this.#numbers.values[row] : null;
    return cells;
  }

  finish(): Column {
    const { level } = this;
    const marks = this.#present.values.slice(0, this.#present.length);
    const present = marks.includes(0) ? marks : null;
    if (this.#cells !== null) {
      const text = this.#cells.every((cell) => cell === null || typeof cell === "string");
      if (text) return { kind: "string", level, values: this.#cells as (string | null)[], present };
      return { kind: "json", level, values: this.#cells, present };
    }
    const valid = this.#anyNull ? this.#valid.values.slice(0, this.#valid.length) : null;
    return { kind: "number", level, values: this.#stored(), valid, present };
  }

  #stored(): NumericArray {
    const values = this.#numbers.values.subarray(0, this.#numbers.length);
    const storage = storageOf(this.#path);
    if (storage === "int") return Int32Array.from(values);
    return storage === "bit" ? Uint8Array.from(values) : values.slice();
  }
}

/** Collects rollouts into a `Batch`. A rollout that does not conform is refused whole: nothing of it is taken. */
export class BatchBuilder {
  readonly #ids: string[] = [];
  readonly #seen = new Set<string>();
  readonly #groups: (string | null)[] = [];
  readonly #columns = new Map<string, ColumnBuilder>();
  readonly #offsets = new Map<JaggedLevel, GrowingFloats>();
  readonly #present = new Map<JaggedLevel, GrowingBytes>();

  constructor() {
    for (const level of jaggedLevels) {
      const offsets = new GrowingFloats(64);
      offsets.fill(0, 1);
      this.#offsets.set(level, offsets);
      this.#present.set(level, new GrowingBytes(64));
    }
  }

  get size(): number {
    return this.#ids.length;
  }

  /**
   * Adds one rollout in JSON form.
   * @throws InputError when it does not conform to the wire format, or when its id was already there.
   */
  add(value: unknown, place: FaultPlace = {}): void {
    let rollout: RolloutObject;
    try {
      rollout = checkRollout(value);
    } catch (error) {
      throw error instanceof InputError ? error.located(place) : error;
    }
    if (this.#seen.has(rollout.id)) {
      throw new InputError("this id was already used", {
        ...place,
        rollout: rollout.id,
        hint: "ids must be unique in a file",
      });
    }
    this.#take(rollout);
  }

  #take(rollout: RolloutObject): void {
    const index = this.#ids.length;
    this.#ids.push(rollout.id);
    this.#seen.add(rollout.id);
    this.#groups.push(rollout.group ?? null);
    for (const [key, level] of Object.entries(jaggedKeys)) {
      const table = rollout[key] as Record<string, readonly unknown[]> | undefined;
      const offsets = this.#offsets.get(level) as GrowingFloats;
      const start = offsets.values[offsets.length - 1];
      let length = 0;
      for (const name in table) {
        const list = table[name];
        length = list.length;
        this.#column(`${key}.${name}`, index, start).add(list);
      }
      offsets.fill(start + length, 1);
      this.#present.get(level)?.fill(table === undefined ? 0 : 1, 1);
    }
    for (const key of ["rewards", "signals"] as const) {
      const cells = rollout[key];
      for (const name in cells) this.#column(`${key}.${name}`, index, index).add([cells[name]]);
    }
    for (const key in rollout) {
      if (key === "messages" || key === "meta") this.#column(key, index, index).add([rollout[key]]);
      else if (!reservedKeys.has(key)) this.#column(`rollout.${key}`, index, index).add([rollout[key]]);
    }
  }

  #column(path: string, rollouts: number, rows: number): ColumnBuilder {
    let column = this.#columns.get(path);
    if (column === undefined) {
      column = new ColumnBuilder(path);
      this.#columns.set(path, column);
    }
    column.pad(rollouts, rows);
    return column;
  }

  /** The batch of all rollouts added. */
  finish(): Batch {
    const levels: Partial<Record<JaggedLevel, LevelRows>> = {};
    const rows: Record<string, number> = { rollout: this.size };
    for (const level of jaggedLevels) {
      const offsets = this.#offsets.get(level) as GrowingFloats;
      rows[level] = offsets.values[offsets.length - 1];
      const marks = (this.#present.get(level) as GrowingBytes).values.slice(0, this.size);
      if (!marks.includes(1) && this.size > 0) continue;
      levels[level] = {
        offsets: Int32Array.from(offsets.values.subarray(0, offsets.length)),
        present: marks.includes(0) ? marks : null,
      };
    }
    const columns = new Map<string, Column>();
    for (const [path, column] of this.#columns) {
      column.pad(this.size, rows[column.level]);
      columns.set(path, column.finish());
    }
    return new Batch({ ids: this.#ids, groupNames: this.#groups, levels, columns });
  }
}

/**
 * A batch from rollouts in JSON form (the objects of the wire format).
 * @throws InputError on the first rollout that does not conform.
 */
export function batchFromObjects(rollouts: Iterable<unknown>): Batch {
  const builder = new BatchBuilder();
  for (const rollout of rollouts) builder.add(rollout);
  return builder.finish();
}
