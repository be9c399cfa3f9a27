import { type Batch, concatBatches } from "../rollouts/index.ts";
import { batchOfTable, type TableContext } from "./columnar-batch.ts";
import { cutBySize, type FileTable } from "./columnar-table.ts";
import { defaultChunkBytes } from "./types.ts";

/** A batch of this size is passed on as it is: putting it together with others would only copy it. */
const largeBytes = 8 * 2 ** 20;

/**
 * Batches of about `chunkBytes` from the tables that a file comes in: large tables are cut (numbers stay where they are),
 * small ones are put together. Infinity gives one batch for all.
 */
export async function* batchesOfTables(
  tables: AsyncIterable<FileTable>,
  context: TableContext,
  chunkBytes = defaultChunkBytes,
): AsyncGenerator<Batch> {
  const enough = chunkBytes === Number.POSITIVE_INFINITY ? chunkBytes : Math.min(chunkBytes / 4, largeBytes);
  let held: Batch[] = [];
  let heldBytes = 0;
  for await (const table of tables) {
    if (table.rows === 0) continue;
    for (const { piece, bytes } of cutBySize(table, chunkBytes)) {
      const batch = batchOfTable(piece, context);
      if (batch.size === 0) continue;
      if (heldBytes + bytes > chunkBytes && held.length > 0) {
        yield concatBatches(held);
        held = [];
        heldBytes = 0;
      }
      held.push(batch);
      heldBytes += bytes;
      if (heldBytes < enough) continue;
      yield concatBatches(held);
      held = [];
      heldBytes = 0;
    }
  }
  if (held.length > 0) yield concatBatches(held);
}
