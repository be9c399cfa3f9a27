import { type Batch, batchBytes, concatBatches, InputError, selectRollouts, sliceRollouts } from "../rollouts/index.ts";
import { type Input, resolveInputs } from "./inputs.ts";
import { type Line, LineCutter, passMark } from "./jsonl-lines.ts";
import { NotJson, RolloutScanner } from "./jsonl-scanner.ts";
import { openInput } from "./open-input.ts";
import { readBatches } from "./read.ts";
import { Spill } from "./spill.ts";
import type { ReadOptions } from "./types.ts";

/** Members of each group of an input, learnt in a first pass. */
export type GroupExtents = ReadonlyMap<string, number>;

export interface WholeGroupsOptions {
  /** About how many bytes of rollouts may wait for the rest of their groups (default 256 MB). */
  maxBytes?: number;
  /** About how many bytes one batch may hold where the order of the input is given up; a group stays whole all the same. */
  pieceBytes?: number;
  /** How many members each group has: a group is then given as soon as its last member has come. See `groupExtents`. */
  extents?: GroupExtents | null;
  /**
   * The members of each group stand together: a group is then given as soon as another one begins, without a first pass.
   * A group that comes back is an error.
   */
  contiguous?: boolean;
}

const defaultMaxBytes = 256 * 2 ** 20;
/** Buckets of buckets of buckets: beyond that the groups themselves are too large, and memory has to hold them. */
const deepest = 3;

/** How many members a group has, as far as that is known. */
type Expected = (name: string) => number;

function expectedFrom(extents: GroupExtents | null | undefined): Expected {
  return (name) => extents?.get(name) ?? Number.POSITIVE_INFINITY;
}

function addMembers(members: Map<string, number>, names: readonly (string | null)[]): void {
  for (const name of names) if (name !== null) members.set(name, (members.get(name) ?? 0) + 1);
}

/** Cuts a sequence of batches where no group is open; keeps what comes after the last cut. */
class Regrouper {
  held: Batch[] = [];
  heldBytes = 0;
  readonly #expected: Expected;
  /** Open groups, and how many members are still to come. */
  readonly #left = new Map<string, number>();
  /** Groups that have ended, where the members of each stand together. */
  readonly #ended: Set<string> | null;
  #current: string | null = null;

  constructor(expected: Expected, contiguous = false) {
    this.#expected = expected;
    this.#ended = contiguous ? new Set() : null;
  }

  isOpen(name: string | null): boolean {
    return name !== null && this.#left.has(name);
  }

  /** What is whole with this batch, in the order of the input. */
  *take(batch: Batch): Generator<Batch> {
    let first = -1;
    let last = 0;
    const cut = (at: number) => {
      if (first < 0) first = at;
      last = at;
    };
    for (let i = 0; i < batch.size; i++) {
      const name = batch.groupNames[i];
      if (this.#ended !== null && this.#current !== null && name !== this.#current) {
        this.#end(this.#ended, this.#current);
        cut(i);
      }
      this.#current = name;
      if (name !== null) this.#count(batch, i, name);
      if (this.#left.size === 0) cut(i + 1);
    }
    if (first < 0) {
      this.#hold(batch);
      return;
    }
    // The rest is copied, and before anything is given: whoever takes a batch may hand its memory on to a thread.
    const rest = last < batch.size ? selectRollouts(batch, rowNumbers(batch.size).slice(last)) : null;
    const waited = this.held.length > 0;
    const parts = first > 0 ? [...this.held, sliceRollouts(batch, 0, first)] : this.held;
    this.held = [];
    this.heldBytes = 0;
    if (rest !== null) this.#hold(rest);
    if (waited) yield concatBatches(parts);
    const from = waited ? first : 0;
    if (last > from) yield sliceRollouts(batch, from, last);
  }

  #count(batch: Batch, i: number, name: string): void {
    if (this.#ended?.has(name)) {
      throw new InputError(`group ${JSON.stringify(name)} comes back after another one began`, {
        rollout: batch.ids[i],
        hint: "sort the input by group, or read it from a file",
      });
    }
    const left = (this.#left.get(name) ?? this.#expected(name)) - 1;
    if (left > 0) this.#left.set(name, left);
    else this.#left.delete(name);
  }

  #end(ended: Set<string>, name: string): void {
    ended.add(name);
    this.#left.delete(name);
  }

  #hold(batch: Batch): void {
    this.held.push(batch);
    this.heldBytes += batchBytes(batch);
  }

  /** Gives everything held; its groups are not waited for any more. */
  releaseAll(): Batch[] {
    const all = this.held;
    this.held = [];
    this.heldBytes = 0;
    this.#left.clear();
    return all;
  }

  /** Gives the rollouts held that `wanted` names, and keeps the others. */
  release(wanted: (name: string | null) => boolean): Batch[] {
    const given: Batch[] = [];
    const kept: Batch[] = [];
    for (const batch of this.held) {
      const numbers = rowNumbers(batch.size);
      const chosen = numbers.filter((i) => wanted(batch.groupNames[i]));
      if (chosen.length > 0) given.push(selectRollouts(batch, chosen));
      if (chosen.length === batch.size) continue;
      kept.push(
        selectRollouts(
          batch,
          numbers.filter((i) => !wanted(batch.groupNames[i])),
        ),
      );
    }
    this.held = kept;
    this.heldBytes = kept.reduce((sum, batch) => sum + batchBytes(batch), 0);
    return given;
  }
}

function rowNumbers(size: number): number[] {
  return Array.from({ length: size }, (_, i) => i);
}

/** The rest of an input: every group that is in these batches is whole in them. */
function* flush(batches: readonly Batch[]): Generator<Batch> {
  const members = new Map<string, number>();
  for (const batch of batches) addMembers(members, batch.groupNames);
  const regrouper = new Regrouper(expectedFrom(members));
  for (const batch of batches) yield* regrouper.take(batch);
}

/** Batches in which every group is whole, as pieces of a few groups each. */
function* pieces(batches: readonly Batch[], pieceBytes: number): Generator<Batch> {
  const pieceOfGroup = new Map<string, number>();
  let last = 0;
  let filled = 0;
  const pieceOf = (name: string | null, bytes: number) => {
    const known = name === null ? undefined : pieceOfGroup.get(name);
    if (known !== undefined) return known;
    if (filled > 0 && filled + bytes > pieceBytes) {
      last++;
      filled = 0;
    }
    filled += bytes;
    if (name !== null) pieceOfGroup.set(name, last);
    return last;
  };
  const sizes = new Map<string, number>();
  const each = batches.map((batch) => batchBytes(batch) / Math.max(batch.size, 1));
  batches.forEach(({ groupNames }, k) => {
    for (const name of groupNames) if (name !== null) sizes.set(name, (sizes.get(name) ?? 0) + each[k]);
  });
  const places = batches.map(({ groupNames }, k) =>
    groupNames.map((name) => pieceOf(name, name === null ? each[k] : (sizes.get(name) as number))),
  );
  for (let piece = 0; piece <= last; piece++) {
    const parts: Batch[] = [];
    batches.forEach((batch, k) => {
      const chosen = rowNumbers(batch.size).filter((i) => places[k][i] === piece);
      if (chosen.length === batch.size) parts.push(batch);
      else if (chosen.length > 0) parts.push(selectRollouts(batch, chosen));
    });
    if (parts.length > 0) yield concatBatches(parts);
  }
}

/**
 * Regroups batches so that every group is whole in one of them, for methods that look at one group at a time.
 *
 * Memory: rollouts wait until the last member of every group among them has come; without `extents` or `contiguous` that is
 * known only at the end of the input. When more than `maxBytes` wait, groups that are whole are given ahead of their turn,
 * and if that is not enough the open ones go to temporary files by the hash of their name and come last.
 *
 * Order: that of the input as long as `maxBytes` is enough. Beyond it rollouts of one group keep their order, and groups
 * that were put aside come after the others. A single group larger than `maxBytes` is held all the same.
 */
export async function* wholeGroups(
  batches: AsyncIterable<Batch> | Iterable<Batch>,
  options: WholeGroupsOptions = {},
): AsyncGenerator<Batch> {
  yield* regrouped(batches, options, 0);
}

async function* regrouped(
  batches: AsyncIterable<Batch> | Iterable<Batch>,
  options: WholeGroupsOptions,
  depth: number,
): AsyncGenerator<Batch> {
  const { maxBytes = defaultMaxBytes, pieceBytes = maxBytes, extents, contiguous } = options;
  const regrouper = new Regrouper(expectedFrom(extents), contiguous);
  const spill = new Spill(depth);
  /** Groups whose members are on disk. */
  const aside = new Set<string>();
  const isAside = (name: string | null) => name !== null && aside.has(name);
  try {
    for await (const batch of batches) {
      let rest = batch;
      const gone = aside.size === 0 ? [] : rowNumbers(batch.size).filter((i) => isAside(batch.groupNames[i]));
      if (gone.length > 0) {
        await spill.add(batch, gone);
        rest = selectRollouts(
          batch,
          rowNumbers(batch.size).filter((i) => !isAside(batch.groupNames[i])),
        );
      }
      if (rest.size > 0) yield* regrouper.take(rest);
      if (regrouper.heldBytes <= maxBytes || depth > deepest) continue;
      const whole = regrouper.release((name) => !regrouper.isOpen(name));
      yield* pieces(whole, pieceBytes);
      if (regrouper.heldBytes <= maxBytes / 2 || contiguous) continue;
      for (const held of regrouper.releaseAll()) {
        for (const name of held.groupNames) aside.add(name as string);
        await spill.add(held, rowNumbers(held.size));
      }
    }
    const inOrder = depth === 0 && aside.size === 0;
    const rest = regrouper.releaseAll();
    yield* inOrder ? flush(rest) : pieces(rest, pieceBytes);
    for await (const bucket of spill.buckets()) yield* regrouped(bucket, { maxBytes, pieceBytes }, depth + 1);
  } finally {
    await spill.close();
  }
}

/**
 * First pass over files: how many members each group has. JSONL is only looked at for `group`, which is about twice as
 * fast as reading it; lines that are not JSON count for nothing.
 * @returns null when the input cannot be read twice (standard input, a stream, a pipe).
 */
export async function groupExtents(input: Input, options: ReadOptions = {}): Promise<GroupExtents | null> {
  const sources = await resolveInputs(input);
  if (sources.some((source) => source.path === null)) return null;
  const members = new Map<string, number>();
  for (const source of sources) {
    const opened = await openInput(source, options.format, options.signal);
    try {
      if (opened.total === null) return null;
      if (opened.format === "jsonl") await countLines(opened.name, opened.chunks, members);
      else {
        await opened.close();
        for await (const batch of readBatches(source.path as string, {
          ...options,
          onError: "skip",
          onReject: undefined,
        })) {
          addMembers(members, batch.groupNames);
        }
      }
    } finally {
      await opened.close();
    }
  }
  return members;
}

async function countLines(file: string, chunks: AsyncIterable<Buffer>, members: Map<string, number>): Promise<void> {
  const cutter = new LineCutter(file);
  const scanner = new RolloutScanner();
  const count = (line: Line) => {
    try {
      if (cutter.number === 1) passMark(line);
      const group = scanner.group(line.bytes, line.from, line.to);
      if (group !== null) members.set(group, (members.get(group) ?? 0) + 1);
    } catch (error) {
      if (!(error instanceof NotJson)) throw error;
    }
  };
  for await (const chunk of chunks) for (const line of cutter.lines(chunk)) count(line);
  for (const line of cutter.rest()) count(line);
}
