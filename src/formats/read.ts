import { type Batch, concatBatches, InputError, rolloutObject, selectRollouts } from "../rollouts/index.ts";
import { RolloutCollector } from "./collector.ts";
import { type Input, resolveInputs } from "./inputs.ts";
import { readJsonl, reasonOf } from "./jsonl-read.ts";
import { type OpenInput, openInput } from "./open-input.ts";
import type { ReadOptions } from "./types.ts";

export type { Input } from "./inputs.ts";

async function* readTable(input: OpenInput, collector: RolloutCollector, options: ReadOptions): AsyncGenerator<Batch> {
  const place = { name: input.name };
  let read = 0;
  const onBytes = (bytes: number) => {
    read = bytes;
  };
  const batches =
    input.format === "parquet"
      ? (await import("./parquet-read.ts")).readParquet(await input.asFile(), { ...options, ...place, onBytes })
      : (await import("./arrow-read.ts")).readArrowStream(input.chunks, { ...options, ...place });
  for await (const batch of batches) {
    const fresh = withoutKnown(batch, input.name, collector, options);
    collector.rollouts += fresh.size;
    const bytes = input.format === "parquet" ? read : input.bytesRead();
    options.onProgress?.({ file: input.name, bytes, total: input.total, rollouts: collector.rollouts });
    if (fresh.size > 0) yield fresh;
  }
}

/** Holds a batch to ids that no rollout before it had. */
function withoutKnown(batch: Batch, file: string, { seen }: RolloutCollector, options: ReadOptions): Batch {
  const fresh: number[] = [];
  for (let i = 0; i < batch.size; i++) {
    const rollout = batch.ids[i];
    if (!seen.has(rollout)) {
      seen.add(rollout);
      fresh.push(i);
      continue;
    }
    const hint = "ids must be unique in all files of one input";
    const error = new InputError("this id was already used", { file, rollout, hint });
    if (options.onError !== "skip") throw error;
    options.onReject?.({ file, rollout, text: JSON.stringify(rolloutObject(batch, i)), reason: reasonOf(error) });
  }
  return fresh.length === batch.size ? batch : selectRollouts(batch, fresh);
}

/**
 * Reads rollouts, batch by batch. Batches hold about `chunkBytes` bytes of columns each; groups may be cut by them
 * (`wholeGroups` mends that). Small text files that follow one another share a batch.
 * @param input files, directories (all rollout files in them, sorted), globs, `-` for standard input, or a stream.
 * @throws InputError with file, line, rollout and column as far as they are known; with `onError: "skip"` only where reading
 * cannot go on: missing files, broken compression, a file that is something else.
 */
export async function* readBatches(input: Input, options: ReadOptions = {}): AsyncGenerator<Batch> {
  const collector = new RolloutCollector(options.chunkBytes);
  for (const source of await resolveInputs(input)) {
    options.signal?.throwIfAborted();
    const opened = await openInput(source, options.format, options.signal);
    try {
      if (opened.format === "jsonl") yield* readJsonl(opened, collector, options);
      else {
        const before = collector.take();
        if (before !== null) yield before;
        yield* readTable(opened, collector, options);
      }
    } finally {
      await opened.close();
    }
  }
  const rest = collector.take();
  if (rest !== null) yield rest;
}

/** Reads all rollouts of an input into one batch; see `readBatches`. */
export async function readRollouts(input: Input, options: ReadOptions = {}): Promise<Batch> {
  const batches: Batch[] = [];
  for await (const batch of readBatches(input, { ...options, chunkBytes: Number.POSITIVE_INFINITY }))
    batches.push(batch);
  return concatBatches(batches);
}
