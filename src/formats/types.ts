import type { Batch } from "../rollouts/index.ts";

/** How rollouts lie in a file: one JSON object per line, a Parquet table, or a stream of Arrow record batches. */
export type Format = "jsonl" | "parquet" | "arrow";

/** How the bytes of a text file are packed. */
export type Compression = "none" | "gzip" | "zstd";

/** A line or rollout that was left out, and why. */
export interface Reject {
  file: string;
  /** 1-based line of a text file. */
  line?: number;
  /** Id of the rollout, where it could be read. */
  rollout?: string;
  /** The raw line, or the rollout in JSON form. */
  text: string;
  reason: string;
}

/** How far reading has come. */
export interface ReadProgress {
  file: string;
  /** Bytes read so far, as they lie on disk (compressed files count their compressed bytes). */
  bytes: number;
  /** Size of the file, `null` for streams. */
  total: number | null;
  /** Rollouts read so far from all files of this input. */
  rollouts: number;
}

export interface ReadOptions {
  /** Format of every file; by default it is told from the name, else from the first bytes. */
  format?: Format;
  /** What to do with a rollout that does not conform: `stop` (default) throws, `skip` leaves it out. */
  onError?: "stop" | "skip";
  /** Called with every rollout that `skip` leaves out. */
  onReject?: (reject: Reject) => void;
  /** About how many bytes of columns one batch may hold (default 64 MB); Infinity gives one batch for all. */
  chunkBytes?: number;
  signal?: AbortSignal;
  onProgress?: (progress: ReadProgress) => void;
}

/** Bytes of columns that one batch holds unless `chunkBytes` says otherwise. */
export const defaultChunkBytes = 64 * 2 ** 20;

/** Where batches are written. Nothing is visible under the final name before `close`. */
export interface RolloutSink {
  write(batch: Batch): Promise<void>;
  /** Ends the output and makes it visible under its name. */
  close(): Promise<void>;
  /** Gives up: leaves nothing behind. May be called after a failed `write` or `close`. */
  abort(): Promise<void>;
}
