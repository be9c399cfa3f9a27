import { promises as fs } from "node:fs";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { Batch, type BatchParts, InputError, selectRollouts } from "../rollouts/index.ts";
import { errorCode } from "./file-errors.ts";
import { removeFolder, temporaryFolder } from "./temporary.ts";

const bucketCount = 32;

/** FNV-1a over the UTF-16 units of a name; the salt makes the buckets of a bucket other ones. */
function bucketOf(name: string, salt: number): number {
  let hash = 0x811c9dc5 ^ Math.imul(salt, 0x9e3779b1);
  for (let k = 0; k < name.length; k++) hash = Math.imul(hash ^ name.charCodeAt(k), 0x01000193);
  return ((hash ^ (hash >>> 15)) >>> 0) % bucketCount;
}

function spillError(error: unknown, folder: string): unknown {
  if (errorCode(error) === undefined) return error;
  return new InputError("groups that are spread over the input do not fit in memory, and could not be kept on disk", {
    file: folder,
    got: error instanceof Error ? error.message : undefined,
    hint: "set TMPDIR to a place with room, raise --memory, or sort the input by group",
  });
}

/** Rollouts on disk, in files by the hash of their group's name, so that a group is in one file. */
export class Spill {
  readonly #salt: number;
  #folder: string | null = null;
  readonly #files = new Map<number, fs.FileHandle>();

  constructor(salt: number) {
    this.#salt = salt;
  }

  /** Adds the rollouts of a batch with the given numbers; each must have a group. */
  async add(batch: Batch, rollouts: readonly number[]): Promise<void> {
    const byBucket = new Map<number, number[]>();
    for (const i of rollouts) {
      const bucket = bucketOf(batch.groupNames[i] as string, this.#salt);
      const members = byBucket.get(bucket);
      if (members === undefined) byBucket.set(bucket, [i]);
      else members.push(i);
    }
    for (const [bucket, members] of byBucket) await this.#append(bucket, selectRollouts(batch, members));
  }

  async #append(bucket: number, batch: Batch): Promise<void> {
    this.#folder ??= await temporaryFolder();
    try {
      let file = this.#files.get(bucket);
      if (file === undefined) {
        file = await fs.open(join(this.#folder, `${bucket}`), "w+");
        this.#files.set(bucket, file);
      }
      const bytes = serialize(batch.parts);
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(bytes.length));
      for (const piece of [length, bytes]) {
        for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten;
      }
    } catch (error) {
      throw spillError(error, this.#folder);
    }
  }

  /** The files one after another; each gives what was added to it. A file is gone once it has been read. */
  async *buckets(): AsyncGenerator<AsyncGenerator<Batch>> {
    for (const [bucket, file] of [...this.#files].sort(([a], [b]) => a - b)) {
      yield this.#read(file);
      await file.close();
      this.#files.delete(bucket);
      await fs.rm(join(this.#folder as string, `${bucket}`), { force: true });
    }
  }

  async *#read(file: fs.FileHandle): AsyncGenerator<Batch> {
    let at = 0;
    const read = async (length: number) => {
      const bytes = Buffer.allocUnsafeSlow(length);
      for (let have = 0; have < length; ) {
        const { bytesRead } = await file.read(bytes, have, length - have, at + have);
        if (bytesRead === 0) throw new Error("a temporary file has become shorter");
        have += bytesRead;
      }
      at += length;
      return bytes;
    };
    const { size } = await file.stat();
    while (at < size) yield new Batch(deserialize(await read(Number((await read(8)).readBigUInt64LE()))) as BatchParts);
  }

  /** Removes everything. */
  async close(): Promise<void> {
    for (const file of this.#files.values()) await file.close();
    this.#files.clear();
    if (this.#folder !== null) await removeFolder(this.#folder);
  }
}
