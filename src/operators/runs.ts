import type { Batch, FloatArray } from "../rollouts/index.ts";
import { policyMask } from "./mask.ts";

/** Runs of consecutive rows that count: chain i has runs [offsets[i], offsets[i + 1]), run k covers rows [starts[k], ends[k]). */
export interface Runs {
  readonly offsets: Int32Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/**
 * The policy tokens of all rollouts as runs of consecutive tokens, so that operators walk ranges instead of asking the
 * mask token by token. Linear in tokens.
 */
export function policyRuns(batch: Batch): Runs {
  return batch.memo("policy runs", () => maskRuns(batch.offsets("token"), policyMask(batch)), ["tokens.mask"]);
}

/** Runs of mask 1 inside every chain of rows; without a mask every chain that is not empty is one run. */
export function maskRuns(offsets: Int32Array, mask: Uint8Array | null): Runs {
  const edges = new Edges(2 * offsets.length);
  const runs = new Int32Array(offsets.length);
  for (let chain = 0; chain + 1 < offsets.length; chain++) {
    const from = offsets[chain];
    const to = offsets[chain + 1];
    if (mask !== null) addEdges(edges, mask, from, to);
    else if (to > from) {
      edges.push(from);
      edges.push(to);
    }
    runs[chain + 1] = edges.length >> 1;
  }
  const starts = new Int32Array(edges.length >> 1);
  const ends = new Int32Array(edges.length >> 1);
  for (let run = 0; run < starts.length; run++) {
    starts[run] = edges.rows[2 * run];
    ends[run] = edges.rows[2 * run + 1];
  }
  return { offsets: runs, starts, ends };
}

/** Sets all rows outside the runs to 0; runs must be in row order. */
export function clearGaps(values: FloatArray, { starts, ends }: Runs): void {
  let row = 0;
  for (let run = 0; run < starts.length; run++) {
    if (starts[run] > row) values.fill(0, row, starts[run]);
    row = ends[run];
  }
  values.fill(0, row);
}

/** Adds the rows where the mask changes; equal bytes are passed over four at a time. */
function addEdges(edges: Edges, mask: Uint8Array, from: number, to: number): void {
  const words = mask.byteOffset % 4 === 0 ? new Uint32Array(mask.buffer, mask.byteOffset, mask.length >> 2) : null;
  let inside = 0;
  let t = from;
  while (t < to) {
    if (words !== null && (t & 3) === 0) {
      const same = inside === 0 ? 0 : 0x01010101;
      while (t + 4 <= to && words[t >> 2] === same) t += 4;
      if (t === to) break;
    }
    if (mask[t] !== inside) {
      edges.push(t);
      inside = 1 - inside;
    }
    t++;
  }
  if (inside === 1) edges.push(to);
}

class Edges {
  rows: Int32Array;
  length = 0;

  constructor(capacity: number) {
    this.rows = new Int32Array(capacity);
  }

  push(row: number): void {
    if (this.length === this.rows.length) {
      const more = new Int32Array(this.rows.length * 2);
      more.set(this.rows);
      this.rows = more;
    }
    this.rows[this.length++] = row;
  }
}
