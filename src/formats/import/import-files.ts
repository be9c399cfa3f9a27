import { promises as fs } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { errorCode, fileError } from "../file-errors.ts";
import { type OpenInput, openInput } from "../open-input.ts";
import { defaultChunkBytes } from "../types.ts";
import { type Importer, type ImportOptions, locateRecord, type RecordReader, stemOf } from "./importer.ts";
import { type LogFile, listLogs } from "./listing.ts";
import { RolloutPool } from "./pool.ts";
import { fileRecords, type TextRecord } from "./records.ts";
import { findImporter, recognise, unrecognised } from "./registry.ts";
import { WordTable, withWords } from "./words.ts";

/** What goes on over all files of one import. */
interface Run {
  asked: Importer | null;
  options: ImportOptions;
  several: boolean;
  readers: Map<Importer, RecordReader>;
  pool: RolloutPool;
  /** Words of the texts that have no token ids, where those are to be cut into words. */
  words: WordTable | null;
  /** Why the first file that was passed over was; said when nothing was imported at all. */
  passed: InputError | null;
}

/** Texts of the files beside a log that its importer wants; those that do not exist are left out. */
async function textsBeside(importer: Importer, path: string): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  for (const wanted of importer.beside ?? []) {
    const file = join(dirname(path), wanted);
    try {
      texts.set(wanted, await fs.readFile(file, "utf8"));
    } catch (error) {
      if (errorCode(error) !== "ENOENT" && errorCode(error) !== "ENOTDIR") throw fileError(error, file);
    }
  }
  return texts;
}

/** The importer for a file: the one asked for or the one that recognises its first record; null to pass the file over. */
function importerFor(run: Run, file: LogFile, record: unknown): Importer | null {
  const sample = { name: file.name, record };
  const importer = run.asked ?? recognise(sample);
  if (importer !== null && (file.named || importer.recognises(sample) > 0)) return importer;
  const fault = unrecognised({ name: file.path, record });
  if (file.named) throw fault;
  run.passed ??= fault;
  run.options.onSkip?.(file.path, run.asked === null ? fault.problem : `not a file for ${run.asked.id}`);
  return null;
}

/** A fault in one record: thrown, or with `skip` handed to `onReject`. */
function reject(run: Run, error: unknown, file: string, text: () => string, line?: number): void {
  if (run.options.onError !== "skip" || !(error instanceof InputError)) throw error;
  run.options.onReject?.({ file, line, rollout: error.at.rollout, text: text(), reason: error.message });
}

interface OpenLog {
  file: LogFile;
  stem: string;
  prefix: string;
  beside: ReadonlyMap<string, string>;
  read: RecordReader;
}

async function openLog(run: Run, file: LogFile, importer: Importer): Promise<OpenLog> {
  const read = run.readers.get(importer) ?? importer.start(run.options);
  run.readers.set(importer, read);
  const stem = stemOf(run.several ? file.name : basename(file.path));
  return { file, stem, prefix: run.several ? `${stem}/` : "", beside: await textsBeside(importer, file.path), read };
}

/** Takes the rollouts of one record; what is refused is thrown or rejected. */
function take(run: Run, log: OpenLog, { value, index, line, bytes }: TextRecord): void {
  const { stem, prefix, beside, file } = log;
  try {
    const rollouts = [...log.read(value, { stem, prefix, index, beside })];
    for (const rollout of rollouts) {
      const complete = run.words === null ? rollout : withWords(rollout, run.words);
      run.pool.add(complete, { file: file.path, line }, bytes / rollouts.length);
    }
  } catch (error) {
    reject(run, locateRecord(error, file.path, index, line), file.path, () => JSON.stringify(value), line);
  }
}

async function* importFile(run: Run, file: LogFile): AsyncGenerator<Batch> {
  const { options, pool } = run;
  const source: OpenInput = await openInput({ name: file.path, path: file.path, stream: null }, "jsonl");
  try {
    const fault = (error: unknown, text: string, line: number) => reject(run, error, file.path, () => text, line);
    let log: OpenLog | null = null;
    for await (const record of fileRecords(source.chunks, file.path, fault)) {
      options.signal?.throwIfAborted();
      if (log === null) {
        const importer = importerFor(run, file, record.value);
        if (importer === null) return;
        log = await openLog(run, file, importer);
      }
      take(run, log, record);
      const progress = { file: file.path, bytes: source.bytesRead(), total: source.total, rollouts: pool.rollouts };
      options.onProgress?.(progress);
      const batch = pool.bytes >= (options.chunkBytes ?? defaultChunkBytes) ? pool.take(false) : null;
      if (batch !== null) yield batch;
    }
  } finally {
    await source.close();
  }
}

/**
 * Imports logs of other tools: files, directories and globs, plain or packed with gzip or zstd. Rollouts come in
 * batches of whole groups, in order of the groups' first appearance. A group that is spread over more text than one
 * batch holds (`chunkBytes`) comes in several.
 * @param importer id of an importer, or `auto` to recognise the kind of every file by its first record.
 * @throws InputError for unknown importers, files of no known kind, and records that are not as expected; it names the
 * file, the line or number of the record, and the field. Nothing to import at all is an error too.
 */
export async function* importFiles(
  paths: readonly string[],
  importer: string,
  options: ImportOptions = {},
): AsyncGenerator<Batch> {
  const asked = importer === "auto" ? null : findImporter(importer);
  const files = await listLogs(paths);
  const run: Run = {
    asked,
    options,
    several: files.length > 1,
    readers: new Map(),
    pool: new RolloutPool(),
    words: options.words === true ? new WordTable() : null,
    passed: null,
  };
  for (const file of files) yield* importFile(run, file);
  const rest = run.pool.take(true);
  if (rest !== null) yield rest;
  if (run.pool.rollouts > 0) return;
  if (asked === null && run.passed !== null) throw run.passed;
  throw new InputError("there was nothing to import", {
    file: paths.join(", "),
    expected: asked === null ? "records of a kind that an importer knows" : asked.looksFor,
  });
}
