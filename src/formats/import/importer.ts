import { InputError, type RolloutObject } from "../../rollouts/index.ts";
import type { Reject } from "../types.ts";

export interface ImportOptions {
  /** Field of a record that names its group; `prompt` groups records whose prompts are the same. */
  group?: string;
  /** Field of a record that holds its reward. */
  reward?: string;
  /** Cut the text of turns without token ids into words, so that token-level methods have tokens (default: no). */
  words?: boolean;
  /** A record that cannot be read: `stop` (default) throws, `skip` leaves it out. */
  onError?: "stop" | "skip";
  /** Called with every record that `skip` leaves out. */
  onReject?: (reject: Reject) => void;
  /** Called with every file of a directory that holds nothing to import. */
  onSkip?: (file: string, reason: string) => void;
  /** About how many bytes of text go into one batch; groups stay whole within it (default 64 MB). */
  chunkBytes?: number;
  /** Called now and then with how far the import has come. */
  onProgress?: (progress: { file: string; bytes: number; total: number | null; rollouts: number }) => void;
  signal?: AbortSignal;
}

/** What an importer sees of a file to tell whether it can read it. */
export interface Sample {
  /** Name of the file, with the folders below what was asked for. */
  name: string;
  /** The first record: first line of a JSON-lines file, first item of a list, or the document itself. */
  record: unknown;
}

/** Where a record comes from. */
export interface RecordSource {
  /** Name of the file without its endings, for ids of records that have none. */
  stem: string;
  /** Put before ids and groups that are only unique within their file; empty when one file is imported. */
  prefix: string;
  /** Number of the record in its file, from 0. */
  index: number;
  /** Texts of the neighbouring files that the importer asked for with `beside`, by the path it gave. */
  beside: ReadonlyMap<string, string>;
}

/** Turns one record into rollouts. */
export type RecordReader = (record: unknown, source: RecordSource) => Iterable<RolloutObject>;

/** How one kind of log becomes rollouts. */
export interface Importer {
  id: string;
  title: string;
  /** How records map to rollouts, in a few sentences. */
  describe: string;
  /** What tells this kind of file from others. */
  looksFor: string;
  /** How sure the importer is that it can read the file, 0 to 1. */
  recognises(sample: Sample): number;
  /** Files beside the one imported that belong to it, as relative paths; those that exist are read. */
  beside?: readonly string[];
  /** Begins an import; what has to be remembered from record to record lives in the reader. */
  start(options: ImportOptions): RecordReader;
}

/** Name of a file without its endings: `runs/a.jsonl.gz` → `runs/a`. */
export function stemOf(name: string): string {
  return name.replace(/\\/g, "/").replace(/(\.(json|jsonl|ndjson|gz|zst|traj))+$/i, "");
}

/** Names the record in an error, unless its line is known and names it better. */
export function locateRecord(error: unknown, file: string, index: number, line: number | undefined): unknown {
  if (!(error instanceof InputError)) return error;
  if (line !== undefined) return error.located({ file, line });
  return new InputError(`record ${index + 1}: ${error.problem}`, { ...error.at, file });
}
