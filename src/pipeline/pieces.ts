import { type GroupExtents, wholeGroups } from "../formats/chunks.ts";
import type { Batch } from "../rollouts/index.ts";
import { piecesScope, type SettledCall } from "./calls.ts";
import { garbageWatch, type MemoryPlan } from "./memory.ts";

/** What is asked of a source that can be read from the start. */
export interface ReadRequest {
  /** About how many bytes of columns one batch may hold. */
  chunkBytes: number;
  /** 1, or 2 when the input is read again. */
  pass: 1 | 2;
}

/** Where batches come from: a function that reads from the start each time it is called, or something read once. */
export type BatchSource = ((request: ReadRequest) => AsyncIterable<Batch>) | AsyncIterable<Batch>;

/** How groups lie in the input. */
export interface GroupOptions {
  /** How many members each group has; asked for once, and only when groups may span batches. */
  extents?: () => Promise<GroupExtents | null>;
  /** The members of each group stand together. */
  contiguous?: boolean;
  /** Bytes of the input on disk, where known: groups of a large one are looked at before reading begins. */
  inputBytes?: number;
}

/** Starts reading a source; looks after garbage before every batch. */
export async function* openSource(
  source: BatchSource,
  plan: MemoryPlan,
  chunkBytes: number,
  pass: 1 | 2,
): AsyncGenerator<Batch> {
  const tidy = garbageWatch(plan.limit);
  for await (const batch of typeof source === "function" ? source({ chunkBytes, pass }) : source) {
    yield batch;
    tidy();
  }
}

/** The batches of a source, regrouped where a call needs whole groups. */
export function openPieces(
  source: BatchSource,
  calls: readonly SettledCall[],
  plan: MemoryPlan,
  groups: GroupOptions,
  pass: 1 | 2,
): AsyncIterable<Batch> {
  const batches = openSource(source, plan, plan.chunkBytes, pass);
  return calls.some((call) => piecesScope(call) === "group") ? grouped(batches, plan, groups) : batches;
}

/** Whole groups. An input that fits in one batch needs no look at its groups. */
async function* grouped(
  batches: AsyncIterable<Batch>,
  plan: MemoryPlan,
  { extents, contiguous, inputBytes = 0 }: GroupOptions,
): AsyncGenerator<Batch> {
  const look = async () => (contiguous === true ? null : await extents?.());
  // Before the first batch stands in memory, where it is clear that there will be more.
  const early = inputBytes > plan.chunkBytes ? await look() : undefined;
  const iterator = batches[Symbol.asyncIterator]();
  try {
    const first = await iterator.next();
    if (first.done === true) return;
    const second = await iterator.next();
    if (second.done === true) {
      yield first.value;
      return;
    }
    const known = early ?? (await look());
    const all = resumed([first.value, second.value], iterator);
    const options = { maxBytes: plan.waitBytes, pieceBytes: plan.chunkBytes, extents: known, contiguous };
    // Groups that were put aside come when nothing is read any more: garbage has to be looked after here, too.
    const tidy = garbageWatch(plan.limit);
    for await (const piece of wholeGroups(all, options)) {
      yield piece;
      tidy();
    }
  } finally {
    await iterator.return?.();
  }
}

async function* resumed(taken: Batch[], iterator: AsyncIterator<Batch>): AsyncGenerator<Batch> {
  for (let batch = taken.shift(); batch !== undefined; batch = taken.shift()) yield batch;
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
}
