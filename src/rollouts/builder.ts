import { Batch, type LevelRows } from "./batch.ts";
import { cellBytes, NumberCells } from "./cells.ts";
import type { Column } from "./column.ts";
import { type FaultPlace, InputError } from "./errors.ts";
import { GrowingBytes, NumberBlocks } from "./grow.ts";
import { type JaggedLevel, jaggedKeys, jaggedLevels, type Level, levelOf } from "./levels.ts";
import { checkRollout, pathOf, type RolloutObject, reservedKeys, storageOf } from "./schema.ts";

/** Rows of one column as they come in; rollouts that lack it are padded when it shows up again or at the end. */
class ColumnBuilder {
  readonly level: Level;
  readonly #present = new GrowingBytes();
  #numbers: NumberBlocks;
  /** 1 where a row holds a number; kept from the first row that does not. */
  #valid: GrowingBytes | null = null;
  /** Cells as objects, from the moment that one of them is neither number nor null. */
  #cells: unknown[] | null = null;
  #anyNull = false;
  /** About how many bytes the cells take beyond those of their rows. */
  #cellBytes = 0;

  constructor(path: string) {
    this.level = levelOf(path);
    this.#numbers = new NumberBlocks(storageOf(path));
  }

  get #rows(): number {
    return this.#cells === null ? this.#numbers.length : this.#cells.length;
  }

  /** About how many bytes the column takes so far. */
  get bytes(): number {
    return this.#numbers.bytes + this.#cellBytes + (this.#valid?.length ?? 0);
  }

  /** Fills in rollouts that lacked the column: up to `rollouts` rollouts and `rows` rows. */
  pad(rollouts: number, rows: number): void {
    this.#present.fill(0, rollouts - this.#present.length);
    const more = rows - this.#rows;
    if (more > 0) this.#nulls(more);
  }

  add(cells: readonly unknown[] | NumberCells): void {
    this.#present.fill(1, 1);
    if (this.#cells !== null) {
      const list = cells instanceof NumberCells ? plainCells(cells) : cells;
      for (const cell of list) this.#push(cell);
    } else if (cells instanceof NumberCells) this.#addNumbers(cells);
    else {
      const other = cells.findIndex((cell) => typeof cell !== "number");
      const count = other < 0 ? cells.length : other;
      this.#numbers.append(cells as readonly number[], count);
      this.#valid?.fill(1, count);
      for (let row = count; row < cells.length; row++) this.#addCell(cells[row]);
    }
  }

  #addNumbers({ values, valid }: NumberCells): void {
    if (valid !== null) {
      this.#anyNull = true;
      this.#marks().append(valid);
    } else this.#valid?.fill(1, values.length);
    this.#numbers.append(values);
  }

  #addCell(cell: unknown): void {
    if (this.#cells === null && typeof cell !== "number" && cell !== null) {
      this.#cells = this.#asCells();
      this.#cellBytes += 8 * this.#cells.length;
      this.#numbers = new NumberBlocks("float");
      this.#valid = null;
    }
    if (this.#cells !== null) this.#push(cell);
    else if (cell === null) {
      this.#anyNull = true;
      this.#nulls(1);
    } else {
      this.#numbers.fill(cell as number, 1);
      this.#valid?.fill(1, 1);
    }
  }

  #push(cell: unknown): void {
    this.#cells?.push(cell);
    this.#cellBytes += 8 + cellBytes(cell);
  }

  #nulls(count: number): void {
    if (this.#cells !== null) {
      for (let k = 0; k < count; k++) this.#cells.push(null);
      this.#cellBytes += 8 * count;
      return;
    }
    this.#marks().fill(0, count);
    this.#numbers.fill(0, count);
  }

  /** The list of marks; made when the first row without a number comes. */
  #marks(): GrowingBytes {
    if (this.#valid === null) {
      this.#valid = new GrowingBytes(this.#rows + 64);
      this.#valid.fill(1, this.#rows);
    }
    return this.#valid;
  }

  #asCells(): unknown[] {
    const cells: unknown[] = [];
    for (const block of this.#numbers.blocks()) {
      for (const value of block) cells.push(this.#valid?.values[cells.length] === 0 ? null : value);
    }
    return cells;
  }

  /** The column; the builder is empty afterwards. */
  finish(): Column {
    const { level } = this;
    const marks = this.#present.values.slice(0, this.#present.length);
    const present = marks.includes(0) ? marks : null;
    const cells = this.#cells;
    if (cells !== null) {
      const text = cells.every((cell) => cell === null || typeof cell === "string");
      if (text) return { kind: "string", level, values: cells as (string | null)[], present };
      return { kind: "json", level, values: cells, present };
    }
    const valid = this.#anyNull ? (this.#valid?.values.slice(0, this.#valid.length) ?? null) : null;
    this.#valid = null;
    return { kind: "number", level, values: this.#numbers.joined(), valid, present };
  }
}

function plainCells({ values, valid }: NumberCells): unknown[] {
  return Array.from(values, (value, row) => (valid !== null && valid[row] === 0 ? null : value));
}

const levelKeys = Object.entries(jaggedKeys);

/** Offsets are 32-bit: no level of one batch may have more rows. */
const mostRows = 2 ** 31 - 1;

export interface BuilderOptions {
  /** Ids already used, shared by the builders of one input; ids of rollouts that are added join it. */
  seen?: Set<string>;
}

/** Collects rollouts into a `Batch`. A rollout that does not conform is refused whole: nothing of it is taken. */
export class BatchBuilder {
  readonly #ids: string[] = [];
  readonly #seen: Set<string>;
  readonly #groups: (string | null)[] = [];
  readonly #columns = new Map<string, ColumnBuilder>();
  readonly #offsets = new Map<JaggedLevel, NumberBlocks>();
  readonly #rows = new Map<JaggedLevel, number>();
  readonly #present = new Map<JaggedLevel, GrowingBytes>();

  constructor(options: BuilderOptions = {}) {
    this.#seen = options.seen ?? new Set();
    for (const level of jaggedLevels) {
      const offsets = new NumberBlocks("int");
      offsets.fill(0, 1);
      this.#offsets.set(level, offsets);
      this.#rows.set(level, 0);
      this.#present.set(level, new GrowingBytes());
    }
  }

  get size(): number {
    return this.#ids.length;
  }

  /** About how many bytes the columns take so far. */
  get bytes(): number {
    let bytes = 64 * this.size;
    for (const column of this.#columns.values()) bytes += column.bytes;
    return bytes;
  }

  /**
   * Adds one rollout in JSON form. Lists of numbers may come as `NumberCells` in the place of plain lists.
   * @throws InputError when it does not conform to the wire format, or when its id was already there.
   */
  add(value: unknown, place: FaultPlace = {}): void {
    let rollout: RolloutObject;
    try {
      rollout = checkRollout(value);
    } catch (error) {
      throw error instanceof InputError ? error.located(place) : error;
    }
    const at = { ...place, rollout: rollout.id };
    if (this.#seen.has(rollout.id)) {
      throw new InputError("this id was already used", { ...at, hint: "ids must be unique in all files of one input" });
    }
    for (const [key, level] of levelKeys) {
      if (this.#rowsOf(level) + rowCount(rollout[key]) > mostRows) {
        throw new InputError(`more than ${mostRows} rows of ${key} in one batch`, {
          ...at,
          hint: "read the input in smaller batches",
        });
      }
    }
    this.#take(rollout);
  }

  #rowsOf(level: JaggedLevel): number {
    return this.#rows.get(level) as number;
  }

  #take(rollout: RolloutObject): void {
    const index = this.#ids.length;
    this.#ids.push(rollout.id);
    this.#seen.add(rollout.id);
    this.#groups.push(rollout.group ?? null);
    for (const [key, level] of levelKeys) {
      const table = rollout[key] as Record<string, readonly unknown[] | NumberCells> | undefined;
      const start = this.#rowsOf(level);
      for (const name in table) this.#column(pathOf(key, name), index, start).add(table[name]);
      const end = start + rowCount(table);
      this.#rows.set(level, end);
      this.#offsets.get(level)?.fill(end, 1);
      this.#present.get(level)?.fill(table === undefined ? 0 : 1, 1);
    }
    for (const key of ["rewards", "signals"] as const) {
      const cells = rollout[key];
      for (const name in cells) this.#column(pathOf(key, name), index, index).add([cells[name]]);
    }
    for (const key in rollout) {
      if (key === "messages" || key === "meta") this.#column(key, index, index).add([rollout[key]]);
      else if (!reservedKeys.has(key)) this.#column(pathOf("rollout", key), index, index).add([rollout[key]]);
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

  /** The batch of all rollouts added. The builder gives its columns away: it is of no use afterwards. */
  finish(): Batch {
    const levels: Partial<Record<JaggedLevel, LevelRows>> = {};
    for (const level of jaggedLevels) {
      const marks = (this.#present.get(level) as GrowingBytes).values.slice(0, this.size);
      if (!marks.includes(1) && this.size > 0) continue;
      const offsets = (this.#offsets.get(level) as NumberBlocks).joined() as Int32Array;
      levels[level] = { offsets, present: marks.includes(0) ? marks : null };
    }
    const columns = new Map<string, Column>();
    for (const [path, column] of this.#columns) {
      column.pad(this.size, column.level === "rollout" ? this.size : this.#rowsOf(column.level));
      columns.set(path, column.finish());
    }
    this.#columns.clear();
    return new Batch({ ids: this.#ids, groupNames: this.#groups, levels, columns });
  }
}

/** Rows of a level of one rollout: the length of any of its lists. */
function rowCount(table: unknown): number {
  for (const name in table as Record<string, readonly unknown[]> | undefined) {
    return (table as Record<string, readonly unknown[]>)[name].length;
  }
  return 0;
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
