import { NumberCells } from "./cells.ts";
import { describe, InputError } from "./errors.ts";
import { jaggedKeys } from "./levels.ts";

/** One rollout as it stands in JSON (wire format, version 1). */
export interface RolloutObject {
  id: string;
  group?: string | null;
  reward?: number | null;
  rewards?: Record<string, unknown>;
  signals?: Record<string, unknown>;
  tokens?: Record<string, readonly unknown[]>;
  steps?: Record<string, readonly unknown[]>;
  turns?: Record<string, readonly unknown[]>;
  reference?: Record<string, readonly unknown[]>;
  edges?: Record<string, readonly unknown[]>;
  messages?: readonly unknown[];
  meta?: Record<string, unknown>;
  /** Further rollout-level columns, such as `advantage`. */
  [column: string]: unknown;
}

/** How the values of a column are kept. */
export type Storage = "float" | "int" | "bit";

const storageByPath = new Map<string, Storage>([
  ["tokens.id", "int"],
  ["tokens.mask", "bit"],
  ["turns.end", "int"],
  ["steps.end", "int"],
  ["turns.parent", "int"],
  ["edges.src", "int"],
  ["edges.dst", "int"],
]);

/** `int` and `bit` columns are whole numbers without null; everything else is a float. */
export function storageOf(path: string): Storage {
  return storageByPath.get(path) ?? "float";
}

const knownPaths = new Map<string, Map<string, string>>();
const mostKnownPaths = 4096;

/** `key.name`. Paths that come again and again are kept, so that looking one up does not hash it anew. */
export function pathOf(key: string, name: string): string {
  let names = knownPaths.get(key);
  if (names === undefined) {
    names = new Map();
    knownPaths.set(key, names);
  }
  let path = names.get(name);
  if (path === undefined) {
    path = `${key}.${name}`;
    if (names.size < mostKnownPaths) names.set(name, path);
  }
  return path;
}

/** Columns that must hold numbers (or null) wherever they stand. */
export const numericPaths: ReadonlySet<string> = new Set([
  "rollout.reward",
  ...["logprob", "ref_logprob", "old_logprob", "value", "entropy"].map((name) => `tokens.${name}`),
  ...["reward", "value"].map((name) => `turns.${name}`),
  ...["reward", "prm"].map((name) => `steps.${name}`),
  ...["logprob", "base_logprob"].map((name) => `reference.${name}`),
]);

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function wrong(rollout: string, column: string, expected: string, value: unknown, hint?: string): InputError {
  return new InputError("wrong value", { rollout, column, expected, got: describe(value), hint });
}

function nameless(rollout: string, column: string): InputError {
  return new InputError("column without a name", {
    rollout,
    column,
    hint: "give the column a name of one letter or more",
  });
}

/** What a reward channel may hold, in words. */
export const rewardForm = "a number, a list of numbers or null";

/** Whether a reward channel may hold this: a number, null, or a list of finite numbers (a scorer with several outputs). */
export function isReward(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((x) => Number.isFinite(x));
  return value === null || typeof value === "number";
}

/** Checks one cell of a column; `row` is its row in the rollout, -1 for a column of the rollout itself. */
export function checkCell(rollout: string, path: string, value: unknown, row: number): void {
  const at = row < 0 ? "" : ` (row ${row})`;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw wrong(rollout, path, `a finite number${at}`, value);
    const storage = storageOf(path);
    if (storage === "int" && value !== (value | 0)) throw wrong(rollout, path, `a whole number below 2^31${at}`, value);
    if (storage === "bit" && value !== 0 && value !== 1) throw wrong(rollout, path, `0 or 1${at}`, value);
    return;
  }
  if (value === undefined) throw wrong(rollout, path, `a value${at}`, value);
  if (storageOf(path) !== "float") throw wrong(rollout, path, `a whole number${at}`, value);
  if (value !== null && numericPaths.has(path)) throw wrong(rollout, path, `a number or null${at}`, value);
}

/** Numbers that came as they are stored: what `checkCell` checks, without a call per cell. */
function checkNumbers(id: string, path: string, { values, valid }: NumberCells): void {
  const storage = storageOf(path);
  if (storage === "float") {
    for (let row = 0; row < values.length; row++) {
      if (values[row] - values[row] !== 0) checkCell(id, path, values[row], row);
    }
    return;
  }
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    const known = valid === null || valid[row] === 1;
    const fits = storage === "bit" ? value === 0 || value === 1 : value === (value | 0);
    if (!known || !fits) checkCell(id, path, known ? value : null, row);
  }
}

/** Length of a level of one rollout; checks that all of its lists agree. */
function checkLevel(id: string, key: string, level: unknown): number {
  if (!isObject(level)) throw wrong(id, key, "an object of lists", level);
  let length = -1;
  let first = "";
  for (const name in level) {
    const list = level[name];
    const path = pathOf(key, name);
    if (name === "") throw nameless(id, path);
    if (!Array.isArray(list) && !(list instanceof NumberCells)) throw wrong(id, path, "a list", list);
    if (length < 0) {
      length = list.length;
      first = path;
    } else if (list.length !== length) {
      throw new InputError("lists of one level differ in length", {
        rollout: id,
        column: path,
        expected: `${length} values as in ${first}`,
        got: `${list.length}`,
      });
    }
    if (list instanceof NumberCells) {
      checkNumbers(id, path, list);
      continue;
    }
    const float = storageOf(path) === "float";
    for (let row = 0; row < list.length; row++) {
      const value = list[row];
      // The common case of a float column is decided here, without a call.
      if (float && typeof value === "number" && value - value === 0) continue;
      checkCell(id, path, value, row);
    }
  }
  return Math.max(length, 0);
}

/** Checks exclusive ends: strictly increasing, the last one the number of tokens. */
export function checkEnds(id: string, path: string, ends: ArrayLike<number>, tokens: number | null): void {
  let before = 0;
  for (let row = 0; row < ends.length; row++) {
    if (ends[row] <= before) {
      throw new InputError(`ends must increase strictly (row ${row})`, {
        rollout: id,
        column: path,
        expected: `more than ${before}`,
        got: `${ends[row]}`,
        hint: "an end is the exclusive token offset of its row",
      });
    }
    before = ends[row];
  }
  if (tokens !== null && ends.length > 0 && before !== tokens) {
    throw new InputError("the last end must be the number of tokens", {
      rollout: id,
      column: path,
      expected: `${tokens}`,
      got: `${before}`,
    });
  }
}

function checkRowNumbers(
  id: string,
  path: string,
  list: ArrayLike<number>,
  from: number,
  below: (row: number) => number,
): void {
  for (let row = 0; row < list.length; row++) {
    if (list[row] < from || list[row] >= below(row)) {
      throw new InputError(`row number out of range (row ${row})`, {
        rollout: id,
        column: path,
        expected: `${from} to ${below(row) - 1}`,
        got: `${list[row]}`,
      });
    }
  }
}

/** Checks the numbers that point at rows: `turns.parent` (an earlier turn or -1) and both ends of `edges`. */
export function checkPointers(
  id: string,
  turns: number,
  parent: ArrayLike<number> | undefined,
  edges: Partial<Record<"src" | "dst", ArrayLike<number>>>,
): void {
  if (parent !== undefined) checkRowNumbers(id, "turns.parent", parent, -1, (row) => row);
  for (const end of ["src", "dst"] as const) {
    const list = edges[end];
    if (list !== undefined) checkRowNumbers(id, `edges.${end}`, list, 0, () => turns);
  }
}

/** A list of whole numbers, however it came. */
function numbersOf(list: unknown): ArrayLike<number> | undefined {
  return list instanceof NumberCells ? list.values : (list as number[] | undefined);
}

/**
 * Checks one rollout against the wire format before any of it is taken.
 * @returns the same object, typed.
 * @throws InputError with rollout, column, expected and got.
 */
export function checkRollout(value: unknown): RolloutObject {
  if (!isObject(value)) throw new InputError("not a rollout", { expected: "a JSON object", got: describe(value) });
  const { id, group } = value;
  if (typeof id !== "string" || id === "") {
    throw new InputError("rollout without an id", { expected: "a non-empty string under id", got: describe(id) });
  }
  if (group !== undefined && group !== null && typeof group !== "string") throw wrong(id, "group", "a string", group);
  if (value.messages !== undefined && !Array.isArray(value.messages))
    throw wrong(id, "messages", "a list", value.messages);
  if (value.meta !== undefined && !isObject(value.meta)) throw wrong(id, "meta", "an object", value.meta);
  const lengths: Record<string, number> = {};
  for (const key in value) {
    const cell = value[key];
    if (Object.hasOwn(jaggedKeys, key)) lengths[key] = checkLevel(id, key, cell);
    else if (key === "rewards" || key === "signals") {
      if (!isObject(cell)) throw wrong(id, key, "an object", cell);
      for (const name in cell) {
        const x = cell[name];
        if (key === "rewards" && !isReward(x)) throw wrong(id, `rewards.${name}`, rewardForm, x);
        if (name === "") throw nameless(id, `${key}.`);
        checkCell(id, pathOf(key, name), x, -1);
      }
    } else if (key === "") throw nameless(id, "rollout.");
    else if (!reservedKeys.has(key)) checkCell(id, pathOf("rollout", key), cell, -1);
  }
  const rollout = value as RolloutObject;
  const tokens = rollout.tokens === undefined ? null : lengths.tokens;
  for (const key of ["turns", "steps"] as const) {
    const ends = numbersOf(rollout[key]?.end);
    if (ends !== undefined) checkEnds(id, `${key}.end`, ends, tokens);
  }
  const { edges } = rollout;
  const pointers = { src: numbersOf(edges?.src), dst: numbersOf(edges?.dst) };
  checkPointers(id, lengths.turns ?? 0, numbersOf(rollout.turns?.parent), pointers);
  return rollout;
}

/** Keys of a rollout in JSON that are not rollout-level columns of their own. */
export const reservedKeys: ReadonlySet<string> = new Set([
  "id",
  "group",
  "rewards",
  "signals",
  "messages",
  "meta",
  ...Object.keys(jaggedKeys),
]);
