import { Batch, type BatchParts, type Column, type JaggedLevel, type LevelRows } from "../rollouts/index.ts";
import type { Credited } from "./calls.ts";

/** A batch on its way to another thread: `parts` to be posted, `buffers` for the transfer list. */
export interface Packed {
  parts: BatchParts;
  buffers: ArrayBuffer[];
}

type Owned = <T extends ArrayBufferView | null>(array: T) => T;

/**
 * Gives every array a buffer of its own (a view on part of a buffer is copied out, since posting it would send the whole
 * buffer) and lists the buffers. Arrays that stand in several places stay one array.
 */
function owner(buffers: Set<ArrayBuffer>): Owned {
  const copies = new Map<ArrayBufferView, ArrayBufferView>();
  return (array) => {
    if (array === null) return array;
    const { buffer, byteLength } = array;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) {
      buffers.add(buffer);
      return array;
    }
    let copy = copies.get(array);
    if (copy === undefined) {
      copy = (array as unknown as Uint8Array).slice();
      copies.set(array, copy);
      buffers.add(copy.buffer as ArrayBuffer);
    }
    return copy as typeof array;
  };
}

function ownColumn(column: Column, own: Owned): Column {
  const present = own(column.present);
  if (column.kind !== "number") return { ...column, present };
  return { ...column, values: own(column.values), valid: own(column.valid), present };
}

/** Packs a batch for posting. Its arrays are gone here once it is posted. */
export function packBatch(parts: BatchParts): Packed {
  const buffers = new Set<ArrayBuffer>();
  const own = owner(buffers);
  const levels: Partial<Record<JaggedLevel, LevelRows>> = {};
  for (const [level, rows] of Object.entries(parts.levels)) {
    levels[level as JaggedLevel] = { offsets: own(rows.offsets), present: own(rows.present) };
  }
  const columns = new Map([...parts.columns].map(([path, column]) => [path, ownColumn(column, own)]));
  return { parts: { ids: parts.ids, groupNames: parts.groupNames, levels, columns }, buffers: [...buffers] };
}

/** Text of a batch that stays where it is while its numbers travel. */
export interface Stayed {
  ids: readonly string[];
  groupNames: readonly (string | null)[];
  columns: ReadonlyMap<string, Column>;
}

/**
 * What of a batch has to travel to a worker and what may stay. Numbers travel (they are handed over, not copied); text is
 * copied on its way, so it travels only one way, and `messages` and `meta` only where `reads` names them.
 */
export function divide(batch: Batch, reads: readonly string[]): { parts: BatchParts; stayed: Stayed } {
  const { ids, groupNames, levels, columns } = batch.parts;
  const named = (path: string) => reads.some((read) => read.includes(path));
  const heavy = (path: string) => (path === "messages" || path === "meta") && !named(path);
  const travelling = new Map([...columns].filter(([path]) => !heavy(path)));
  const staying = new Map<string, Column>();
  for (const [path, column] of columns) {
    // Its marks may be those of a column that travels, which are gone here once it is posted.
    if (column.kind !== "number") staying.set(path, { ...column, present: column.present?.slice() ?? null });
  }
  return { parts: { ids, groupNames, levels, columns: travelling }, stayed: { ids, groupNames, columns: staying } };
}

/** A worker's answer: all numbers, the text that it made, and the paths of the columns that the calls wrote. */
export interface Answer {
  levels: BatchParts["levels"];
  columns: ReadonlyMap<string, Column>;
  written: readonly string[];
}

/** What goes back: everything except the text that came and is unchanged. */
export function answerOf({ batch, written }: Credited): { answer: Answer; buffers: ArrayBuffer[] } {
  const { levels, columns } = batch.parts;
  const back = [...columns].filter(([path, column]) => column.kind === "number" || written.includes(path));
  const { parts, buffers } = packBatch({ ids: [], groupNames: [], levels, columns: new Map(back) });
  return { answer: { levels: parts.levels, columns: parts.columns, written }, buffers };
}

/** Puts an answer and the text that stayed together; columns stand in the order of `paths`, new ones at the end. */
export function reunite(answer: Answer, stayed: Stayed, paths: readonly string[]): Credited {
  const { ids, groupNames } = stayed;
  const columns = new Map<string, Column>();
  for (const path of paths) {
    const column = answer.columns.get(path) ?? stayed.columns.get(path);
    if (column !== undefined) columns.set(path, column);
  }
  for (const [path, column] of answer.columns) columns.set(path, column);
  return { batch: new Batch({ ids, groupNames, levels: answer.levels, columns }), written: answer.written };
}
