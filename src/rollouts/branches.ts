import { Batch, type LevelRows } from "./batch.ts";
import type { Column, NumericArray, NumericColumn } from "./column.ts";
import { InputError } from "./errors.ts";
import { type JaggedLevel, jaggedLevels, type Level } from "./levels.ts";

/**
 * How a tree of turns (`turns.parent`) is read by a method that understands lines only: every root-to-leaf path as a
 * line of its own (`paths`), or the path that ends in the last leaf alone (`trunk`).
 */
export type BranchReading = "paths" | "trunk";

/** A batch of lines made from a batch with trees, and where each of its rows came from. */
export interface Lines {
  readonly batch: Batch;
  /** Per level: the row of the original batch that each row was copied from. */
  readonly source: Readonly<Record<Level, Int32Array>>;
}

/**
 * The first rollout whose turns branch, -1 when all are lines: without `turns.parent`, or with each row's parent the row
 * above it and -1 for the first.
 * @throws InputError when a parent is neither -1 nor an earlier row.
 */
export function firstTree(batch: Batch): number {
  if (!batch.has("turns.parent")) return -1;
  for (let i = 0; i < batch.size; i++) if (isTree(batch, i)) return i;
  return -1;
}

function isTree(batch: Batch, i: number): boolean {
  if (!batch.hasIn("turns.parent", i)) return false;
  const parents = batch.numbers("turns.parent", { absent: 0 });
  const offsets = batch.offsets("turn");
  let branches = false;
  for (let row = offsets[i]; row < offsets[i + 1]; row++) {
    const at = row - offsets[i];
    if (parents[row] < -1 || parents[row] >= at) {
      throw batch.wrongValue("turns.parent", row, `-1 to ${at - 1}`, `${parents[row]}`);
    }
    branches ||= parents[row] !== at - 1;
  }
  return branches;
}

/** Turns of each path of a tree as row numbers of the batch, root first; paths in order of their leaves. */
function pathsOf(batch: Batch, i: number, reading: BranchReading): number[][] {
  const offsets = batch.offsets("turn");
  const from = offsets[i];
  const parents = batch.numbers("turns.parent", { absent: 0 }).subarray(from, offsets[i + 1]);
  const inner = new Uint8Array(parents.length);
  for (const parent of parents) if (parent >= 0) inner[parent] = 1;
  const leaves = Array.from(parents.keys()).filter((row) => inner[row] === 0);
  return (reading === "trunk" ? leaves.slice(-1) : leaves).map((leaf) => {
    const path: number[] = [];
    for (let row = leaf; row >= 0; row = parents[row]) path.push(from + row);
    return path.reverse();
  });
}

/** Rows of one level picked from a batch as ranges, line after line. */
class Picked {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #offsets: number[] = [0];
  #rows = 0;

  add(from: number, to: number): void {
    this.#starts.push(from);
    this.#ends.push(to);
    this.#rows += to - from;
  }

  endLine(): void {
    this.#offsets.push(this.#rows);
  }

  get offsets(): Int32Array {
    return Int32Array.from(this.#offsets);
  }

  get source(): Int32Array {
    const out = new Int32Array(this.#rows);
    let at = 0;
    this.#starts.forEach((from, k) => {
      for (let row = from; row < this.#ends[k]; row++) out[at++] = row;
    });
    return out;
  }
}

/** First and last token row (exclusive) of every row of a level of one rollout, by its `end`. */
function spansOf(batch: Batch, path: "turns.end" | "steps.end", i: number): [number, number][] {
  const level = path === "turns.end" ? "turn" : "step";
  const hint = `${path === "turns.end" ? "turns" : "steps"} of a tree need it to know their tokens`;
  if (!batch.hasIn(path, i)) throw batch.missing(path, i, hint);
  const ends = batch.numbers(path, { absent: 0 });
  const [from, to] = [batch.offsets(level)[i], batch.offsets(level)[i + 1]];
  const first = batch.offsets("token")[i];
  return Array.from({ length: to - from }, (_, k) => [
    first + (k === 0 ? 0 : ends[from + k - 1]),
    first + ends[from + k],
  ]);
}

/** Number within its rollout of the turn that holds each step of a tree. */
function turnsOfSteps(batch: Batch, i: number, turns: readonly [number, number][]): number[] {
  let turn = 0;
  return spansOf(batch, "steps.end", i).map(([start, end], k) => {
    while (turn < turns.length && turns[turn][1] <= start) turn++;
    if (turn < turns.length && end <= turns[turn][1]) return turn;
    const at = { rollout: batch.ids[i], column: "steps.end", hint: "a step of a tree must lie inside one turn" };
    throw new InputError(`step ${k} crosses the end of its turn`, at);
  });
}

/** Adds the paths of one tree, all levels of each. */
function addTree(batch: Batch, i: number, reading: BranchReading, picked: Record<JaggedLevel, Picked>): number {
  const has = (level: JaggedLevel) => batch.offsets(level)[i + 1] > batch.offsets(level)[i];
  const first = batch.offsets("turn")[i];
  const tokens = has("token") ? spansOf(batch, "turns.end", i) : null;
  if (has("step") && tokens === null)
    throw batch.missing("tokens", i, "steps of a tree need tokens to know their turn");
  const stepTurns = has("step") && tokens !== null ? turnsOfSteps(batch, i, tokens) : [];
  const edges = batch.offsets("edge");
  const src = batch.numbers("edges.src", { absent: 0 });
  const dst = batch.numbers("edges.dst", { absent: 0 });
  const paths = pathsOf(batch, i, reading);
  for (const path of paths) {
    const turns = new Set(path.map((row) => row - first));
    for (const row of path) {
      picked.turn.add(row, row + 1);
      if (tokens !== null) picked.token.add(...tokens[row - first]);
    }
    const firstStep = batch.offsets("step")[i];
    stepTurns.forEach((turn, k) => {
      if (turns.has(turn)) picked.step.add(firstStep + k, firstStep + k + 1);
    });
    for (let row = edges[i]; row < edges[i + 1]; row++) {
      if (turns.has(src[row]) && turns.has(dst[row])) picked.edge.add(row, row + 1);
    }
    picked.reference.add(batch.offsets("reference")[i], batch.offsets("reference")[i + 1]);
    for (const level of jaggedLevels) picked[level].endLine();
  }
  return paths.length;
}

/**
 * Reads every tree of a batch as lines: a path becomes a rollout of its own, with its turns and their tokens and steps in
 * order, the rollout-level columns and the group of its rollout (paths of a rollout without a group share one).
 * `turns.end`, `steps.end`, `turns.parent` and the rows that `edges` point at are renumbered; an edge that leaves the path
 * is dropped. Rollouts that are lines stay as they are. Paths are named `ID#1`, `ID#2`, …
 * @throws InputError when a tree has tokens but no `turns.end`, or a step that does not lie inside one turn.
 */
export function readAsLines(batch: Batch, reading: BranchReading): Lines {
  const picked = Object.fromEntries(jaggedLevels.map((level) => [level, new Picked()])) as Record<JaggedLevel, Picked>;
  const rollouts: number[] = [];
  const ids: string[] = [];
  const groupNames: (string | null)[] = [];
  const taken = new Set(batch.groupNames);
  for (let i = 0; i < batch.size; i++) {
    let lines = 1;
    if (isTree(batch, i)) lines = addTree(batch, i, reading, picked);
    else {
      for (const level of jaggedLevels) {
        picked[level].add(batch.offsets(level)[i], batch.offsets(level)[i + 1]);
        picked[level].endLine();
      }
    }
    let group = batch.groupNames[i];
    if (lines > 1 && group === null) {
      group = batch.ids[i];
      while (taken.has(group)) group += "#";
      taken.add(group);
    }
    for (let k = 0; k < lines; k++) {
      rollouts.push(i);
      ids.push(lines === 1 ? batch.ids[i] : `${batch.ids[i]}#${k + 1}`);
      groupNames.push(group);
    }
  }
  const source: Record<Level, Int32Array> = {
    rollout: Int32Array.from(rollouts),
    ...(Object.fromEntries(jaggedLevels.map((level) => [level, picked[level].source])) as Record<
      JaggedLevel,
      Int32Array
    >),
  };
  const levels: Partial<Record<JaggedLevel, LevelRows>> = {};
  for (const level of jaggedLevels) {
    if (!batch.hasLevel(level, "any")) continue;
    const { present } = batch.rows(level);
    levels[level] = { offsets: picked[level].offsets, present: present && gather(present, source.rollout) };
  }
  const columns = new Map<string, Column>();
  for (const path of batch.paths) columns.set(path, pickedColumn(batch.column(path), source));
  for (const path of ["turns.end", "steps.end"] as const) {
    const column = columns.get(path);
    if (column?.kind === "number") columns.set(path, { ...column, values: newEnds(batch, path, levels, source) });
  }
  const parents = columns.get("turns.parent");
  if (parents?.kind === "number") columns.set("turns.parent", { ...parents, values: lineParents(levels) });
  for (const path of ["edges.src", "edges.dst"]) {
    const column = columns.get(path);
    if (column?.kind === "number") columns.set(path, { ...column, values: newEdgeEnds(batch, column, levels, source) });
  }
  return { batch: new Batch({ ids, groupNames, levels, columns }), source };
}

function gather<T extends NumericArray>(values: T, source: Int32Array): T {
  const out = new (values.constructor as new (length: number) => T)(source.length);
  for (let k = 0; k < source.length; k++) out[k] = values[source[k]];
  return out;
}

function pickedColumn(column: Column, source: Lines["source"]): Column {
  const rows = source[column.level];
  const present = column.present && gather(column.present, source.rollout);
  if (column.kind === "number") {
    const { kind, level, valid } = column;
    return { kind, level, present, values: gather(column.values, rows), valid: valid && gather(valid, rows) };
  }
  const cells: unknown[] = Array.from(rows, (row) => column.values[row]);
  return { ...column, values: cells, present } as Column;
}

type Levels = Partial<Record<JaggedLevel, LevelRows>>;

/** Ends of the rows of each line: every row keeps its number of tokens. */
function newEnds(batch: Batch, path: "turns.end" | "steps.end", levels: Levels, source: Lines["source"]): Int32Array {
  const level = path === "turns.end" ? "turn" : "step";
  const ends = batch.numbers(path, { absent: 0 });
  const isFirst = new Uint8Array(ends.length + 1);
  for (const row of batch.offsets(level)) isFirst[row] = 1;
  const offsets = levels[level]?.offsets ?? new Int32Array(1);
  const out = new Int32Array(source[level].length);
  for (let line = 0; line + 1 < offsets.length; line++) {
    let end = 0;
    for (let k = offsets[line]; k < offsets[line + 1]; k++) {
      const row = source[level][k];
      end += ends[row] - (isFirst[row] === 1 ? 0 : ends[row - 1]);
      out[k] = end;
    }
  }
  return out;
}

function lineParents(levels: Levels): Int32Array {
  const { offsets } = levels.turn as LevelRows;
  const out = new Int32Array(offsets[offsets.length - 1]);
  for (let line = 0; line + 1 < offsets.length; line++) {
    for (let k = offsets[line]; k < offsets[line + 1]; k++) out[k] = k - offsets[line] - 1;
  }
  return out;
}

/** Turns that edges point at, as row numbers within their line. */
function newEdgeEnds(batch: Batch, column: NumericColumn, levels: Levels, source: Lines["source"]): Int32Array {
  const edges = (levels.edge as LevelRows).offsets;
  const turns = levels.turn?.offsets ?? new Int32Array(edges.length);
  const out = new Int32Array(column.values.length);
  for (let line = 0; line + 1 < edges.length; line++) {
    const first = batch.offsets("turn")[source.rollout[line]];
    const place = new Map<number, number>();
    for (let k = turns[line]; k < turns[line + 1]; k++) place.set(source.turn[k] - first, k - turns[line]);
    for (let k = edges[line]; k < edges[line + 1]; k++) out[k] = place.get(column.values[k]) ?? 0;
  }
  return out;
}
