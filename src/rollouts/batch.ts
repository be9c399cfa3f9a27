import type { Column, ColumnValues, FloatArray, NumericArray, NumericColumn } from "./column.ts";
import { firstNonFinite, LaterColumn, rolloutOfRow } from "./column.ts";
import { describe, InputError } from "./errors.ts";
import { type JaggedLevel, type Level, levelKey, levelOf } from "./levels.ts";
import type { ResultMemory } from "./memory.ts";

/** Rows of a jagged level: rollout i has rows [offsets[i], offsets[i + 1]). */
export interface LevelRows {
  readonly offsets: Int32Array;
  /** Per rollout: 1 where the rollout has this level (an empty list counts as having it); `null` when all have. */
  readonly present: Uint8Array | null;
}

/** Rollouts by group: members[offsets[g]] … members[offsets[g + 1] - 1] are the rollouts of group g, in file order. */
export interface Groups {
  readonly count: number;
  readonly offsets: Int32Array;
  readonly members: Int32Array;
}

export interface BatchParts {
  readonly ids: readonly string[];
  /** Per rollout the name of its group, `null` for a rollout that is alone. */
  readonly groupNames: readonly (string | null)[];
  readonly levels: Partial<Readonly<Record<JaggedLevel, LevelRows>>>;
  readonly columns: ReadonlyMap<string, Column>;
}

export interface NumbersOptions {
  /** Value for rows of rollouts that lack the column (default: that is an error). */
  absent?: number;
  /** Value for null (default: that is an error). */
  missing?: number;
}

/**
 * A set of rollouts as columns. Immutable: `with` gives a new batch that shares every column it does not change.
 * Levels are jagged (offsets), never padded. Rows of all rollouts of a level stand one after another in one array.
 */
export class Batch {
  readonly ids: readonly string[];
  readonly groupNames: readonly (string | null)[];
  /** Group number of each rollout; groups are numbered by first appearance. */
  readonly groupOf: Int32Array;
  readonly groupCount: number;
  readonly #levels: Partial<Readonly<Record<JaggedLevel, LevelRows>>>;
  readonly #columns: ReadonlyMap<string, Column>;
  #memory: ResultMemory | null = null;
  #memo = new Map<string, { value: unknown; reads: readonly string[] | null }>();

  constructor(parts: BatchParts) {
    this.ids = parts.ids;
    this.groupNames = parts.groupNames;
    this.#levels = parts.levels;
    this.#columns = parts.columns;
    const byName = new Map<string, number>();
    const groupOf = new Int32Array(parts.ids.length);
    let count = 0;
    for (let i = 0; i < groupOf.length; i++) {
      const name = parts.groupNames[i];
      let group = name === null ? undefined : byName.get(name);
      if (group === undefined) {
        group = count++;
        if (name !== null) byName.set(name, group);
      }
      groupOf[i] = group;
    }
    this.groupOf = groupOf;
    this.groupCount = count;
  }

  /** Number of rollouts. */
  get size(): number {
    return this.ids.length;
  }

  /** Paths of all columns, in the order in which they came. */
  get paths(): string[] {
    return [...this.#columns.keys()];
  }

  /** What the batch is made of; for readers and writers. */
  get parts(): BatchParts {
    return { ids: this.ids, groupNames: this.groupNames, levels: this.#levels, columns: this.#columns };
  }

  /**
   * Computes a value derived from this batch once. The key must say everything that the value depends on.
   * @param reads columns that the value depends on besides ids, groups and levels: batches made by `with` keep the value
   * unless they replace one of them. Default: unknown, not kept.
   */
  memo<T>(key: string, make: () => T, reads: readonly string[] | null = null): T {
    const known = this.#memo.get(key);
    if (known !== undefined) return known.value as T;
    const value = make();
    this.#memo.set(key, { value, reads });
    return value;
  }

  /** The rollouts of each group. */
  groups(): Groups {
    return this.memo("groups", () => {
      const offsets = new Int32Array(this.groupCount + 1);
      for (const group of this.groupOf) offsets[group + 1]++;
      for (let g = 0; g < this.groupCount; g++) offsets[g + 1] += offsets[g];
      const next = offsets.slice(0, this.groupCount);
      const members = new Int32Array(this.size);
      for (let i = 0; i < this.size; i++) members[next[this.groupOf[i]]++] = i;
      return { count: this.groupCount, offsets, members };
    }, []);
  }

  /** Rows of a level; a level that no rollout has is empty in each. */
  rows(level: JaggedLevel): LevelRows {
    return (
      this.#levels[level] ??
      this.memo(
        `rows ${level}`,
        () => ({
          offsets: new Int32Array(this.size + 1),
          present: new Uint8Array(this.size),
        }),
        [],
      )
    );
  }

  /** Number of rows of a level in the whole batch. */
  count(level: Level): number {
    return level === "rollout" ? this.size : this.rows(level).offsets[this.size];
  }

  /** First row of each rollout at a level (length size + 1), for `rollout` the identity. */
  offsets(level: Level): Int32Array {
    if (level !== "rollout") return this.rows(level).offsets;
    return this.memo("offsets rollout", () => Int32Array.from({ length: this.size + 1 }, (_, i) => i), []);
  }

  /** Whether at least one rollout (`any`) or every rollout has the level. An empty batch has every level. */
  hasLevel(level: JaggedLevel, quantifier: "any" | "every" = "every"): boolean {
    const { present } = this.rows(level);
    if (present === null) return true;
    return quantifier === "any" ? present.includes(1) : !present.includes(0);
  }

  /** Whether at least one rollout (`any`, the default) or every rollout has the column. */
  has(path: string, quantifier: "any" | "every" = "any"): boolean {
    const column = this.#columns.get(path);
    if (column === undefined) return false;
    return quantifier === "any" || column.present === null || !column.present.includes(0);
  }

  /** Whether rollout i has the column. */
  hasIn(path: string, rollout: number): boolean {
    const column = this.#columns.get(path);
    return column !== undefined && (column.present === null || column.present[rollout] === 1);
  }

  /** The column, or undefined when no rollout has it. */
  find(path: string): Column | undefined {
    return this.#columns.get(path);
  }

  /**
   * The column at a path.
   * @throws InputError naming the path (and the first rollout) when no rollout has it.
   */
  column(path: string): Column {
    const column = this.#columns.get(path);
    if (column !== undefined) return column;
    const level = levelOf(path);
    // Nobody lacks anything in a batch without rollouts.
    if (this.size === 0) return { kind: "number", level, values: new Float64Array(0), valid: null, present: null };
    throw this.missing(path, 0);
  }

  /**
   * Numbers of a column, one per row of its level, as they are stored (no copy unless something has to be filled in).
   * @throws InputError naming column and rollout: missing column, null, text where numbers are expected, NaN, Infinity.
   */
  numbers(path: string, options: NumbersOptions = {}): NumericArray {
    const found = this.#columns.get(path);
    if (found === undefined && options.absent !== undefined) {
      return this.memo(`constant ${levelOf(path)} ${options.absent}`, () =>
        new Float64Array(this.count(levelOf(path))).fill(options.absent as number),
      );
    }
    const column = this.#numeric(path);
    const lacking = column.present?.indexOf(0) ?? -1;
    if (lacking >= 0 && options.absent === undefined) throw this.missing(path, lacking);
    if (lacking < 0 && column.valid === null) return column.values;
    if (options.missing === undefined) {
      const row = this.#firstNull(column);
      if (row >= 0) throw this.wrongValue(path, row, "a number", "null");
    }
    if (lacking < 0 && options.missing === 0) return column.values;
    if (options.absent === 0 && (column.valid === null || options.missing === 0)) return column.values;
    return this.memo(`filled ${path} ${options.absent} ${options.missing}`, () => this.#filled(column, options));
  }

  /** Which rows of a numeric column hold a number (1) or are null or absent (0); `null` when all hold one. */
  validity(path: string): Uint8Array | null {
    const column = this.#columns.get(path);
    if (column === undefined)
      return this.memo(`none ${levelOf(path)}`, () => new Uint8Array(this.count(levelOf(path))));
    const numeric = this.#numeric(path);
    if (numeric.present === null) return numeric.valid;
    return this.memo(`validity ${path}`, () => {
      const valid = numeric.valid?.slice() ?? new Uint8Array(numeric.values.length).fill(1);
      this.#eachAbsent(numeric, (from, to) => valid.fill(0, from, to));
      return valid;
    });
  }

  /** Strings of a column, `null` where a row has none; numbers are written out (a state may be either). */
  strings(path: string): readonly (string | null)[] {
    const column = this.column(path);
    const lacking = column.present?.indexOf(0) ?? -1;
    if (lacking >= 0) throw this.missing(path, lacking);
    if (column.kind === "string") return column.values;
    const row = column.kind === "json" ? column.values.findIndex((x) => x !== null && typeof x === "object") : -1;
    if (row >= 0) throw this.wrongValue(path, row, "text", describe(this.cells(path)[row]));
    return this.memo(`strings ${path}`, () =>
      this.cells(path).map((x) => (x === null || x === undefined ? null : String(x))),
    );
  }

  /**
   * Cells of a column as plain values (numbers, strings, null, any JSON); `undefined` in rollouts without the column.
   * `meta.NAME` looks into the `meta` object. Makes one object per row: not for token columns.
   */
  cells(path: string): readonly unknown[] {
    return this.memo(`cells ${path}`, () => this.#cells(path));
  }

  /** A new batch with these columns added or replaced; a validity list marks null. */
  with(columns: Readonly<Record<string, ColumnValues>>): Batch {
    const next = new Map(this.#columns);
    for (const [path, values] of Object.entries(columns)) next.set(path, this.#made(path, values));
    const made = new Batch({ ...this.parts, columns: next });
    made.#memory = this.#memory;
    for (const [key, entry] of this.#memo) {
      if (entry.reads?.every((path) => !(path in columns))) made.#memo.set(key, entry);
    }
    return made;
  }

  /** A new batch without the named columns. */
  without(paths: readonly string[]): Batch {
    const next = new Map(this.#columns);
    for (const path of paths) next.delete(path);
    return new Batch({ ...this.parts, columns: next });
  }

  /** The same batch, whose `zeros` and `floats` (and those of batches made from it) come from `memory`. */
  writingTo(memory: ResultMemory): Batch {
    const made = new Batch(this.parts);
    made.#memo = this.#memo;
    made.#memory = memory;
    return made;
  }

  /** A zeroed array for a new column of a level, as wide as the floats of `like` (a Float32Array gives float32). */
  zeros(level: Level, like?: NumericArray): FloatArray {
    return this.#memory === null ? this.floats(level, like) : this.floats(level, like).fill(0);
  }

  /** As `zeros`, but with arbitrary content: for callers that write every row. */
  floats(level: Level, like?: NumericArray): FloatArray {
    const length = this.count(level);
    const single = like === undefined ? this.single : like instanceof Float32Array;
    if (this.#memory !== null) return this.#memory.floats(length, single);
    return single ? new Float32Array(length) : new Float64Array(length);
  }

  /**
   * Whether signals come in single precision: some float column is float32 and no token, turn or step column float64.
   * New columns are then float32 too. Decided once: batches made by `with` keep it.
   */
  get single(): boolean {
    return this.memo("single", () => {
      let narrow = false;
      for (const column of this.#columns.values()) {
        if (column.kind !== "number" || column instanceof LaterColumn) continue;
        if (column.values instanceof Float32Array) narrow = true;
        else if (column.values instanceof Float64Array && column.level !== "rollout") return false;
      }
      return narrow;
    }, []);
  }

  /** Error for a column that rollout i lacks. */
  missing(path: string, rollout: number, hint?: string): InputError {
    return new InputError("column is missing", { rollout: this.ids[rollout], column: path, hint });
  }

  /** Error for a row of a column; names the rollout and the row within it. */
  wrongValue(path: string, row: number, expected: string, got: string): InputError {
    const level = levelOf(path);
    if (level === "rollout")
      return new InputError("wrong value", { rollout: this.ids[row], column: path, expected, got });
    const offsets = this.offsets(level);
    const rollout = rolloutOfRow(offsets, row);
    const problem = `wrong value in ${levelKey(level)} row ${row - offsets[rollout]}`;
    return new InputError(problem, { rollout: this.ids[rollout], column: path, expected, got });
  }

  #numeric(path: string): NumericColumn {
    const column = this.column(path);
    if (column.kind !== "number") {
      const row = column.values.findIndex((x) => x !== null && typeof x !== "number");
      throw this.wrongValue(path, Math.max(row, 0), "a number", describe(column.values[Math.max(row, 0)]));
    }
    const row = firstNonFinite(column.values);
    if (row >= 0) throw this.wrongValue(path, row, "a finite number", String(column.values[row]));
    return column;
  }

  #firstNull(column: NumericColumn): number {
    const { valid } = column;
    if (valid === null) return -1;
    if (column.present === null) return valid.indexOf(0);
    const offsets = this.offsets(column.level);
    for (let i = 0; i < this.size; i++) {
      if (column.present[i] === 0) continue;
      for (let row = offsets[i]; row < offsets[i + 1]; row++) if (valid[row] === 0) return row;
    }
    return -1;
  }

  #eachAbsent(column: Column, visit: (from: number, to: number) => void): void {
    const { present } = column;
    if (present === null) return;
    const offsets = this.offsets(column.level);
    for (let i = 0; i < this.size; i++) if (present[i] === 0) visit(offsets[i], offsets[i + 1]);
  }

  #filled(column: NumericColumn, options: NumbersOptions): NumericArray {
    const values = column.values instanceof Float32Array ? column.values.slice() : Float64Array.from(column.values);
    const { missing, absent } = options;
    if (missing !== undefined && column.valid !== null) {
      for (let row = 0; row < values.length; row++) if (column.valid[row] === 0) values[row] = missing;
    }
    if (absent !== undefined) this.#eachAbsent(column, (from, to) => values.fill(absent, from, to));
    return values;
  }

  #cells(path: string): readonly unknown[] {
    if (path.startsWith("meta.") && !this.#columns.has(path)) {
      const key = path.slice("meta.".length);
      const meta = this.#columns.get("meta");
      if (meta === undefined || meta.kind !== "json") return new Array(this.size).fill(undefined);
      return meta.values.map((x) =>
        x !== null && typeof x === "object" ? (x as Record<string, unknown>)[key] : undefined,
      );
    }
    const column = this.column(path);
    const cells: unknown[] =
      column.kind === "number"
        ? Array.from(column.values, (x, row) => (column.valid !== null && column.valid[row] === 0 ? null : x))
        : [...column.values];
    this.#eachAbsent(column, (from, to) => cells.fill(undefined, from, to));
    return cells;
  }

  #made(path: string, values: ColumnValues): Column {
    const level = levelOf(path);
    const rows = this.count(level);
    const present = level === "rollout" ? null : this.rows(level).present;
    const checked = <T extends { length: number }>(given: T): T => {
      if (given.length === rows) return given;
      const at = { column: path, expected: `${rows} rows`, got: `${given.length}` };
      throw new InputError("new column has the wrong length", at);
    };
    if (ArrayBuffer.isView(values)) {
      return { kind: "number", level, values: checked(values as NumericArray), valid: null, present };
    }
    if (Array.isArray(values)) return { kind: "string", level, values: checked(values), present };
    if ("later" in values) return new LaterColumn(level, present, () => checked(values.later()));
    if ("json" in values) return { kind: "json", level, values: checked(values.json), present };
    const pair = values as { values: NumericArray; valid: Uint8Array | null };
    return { kind: "number", level, values: checked(pair.values), valid: pair.valid, present };
  }
}
