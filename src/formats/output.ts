import { randomBytes } from "node:crypto";
import { constants, promises as fs } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Writable } from "node:stream";
import { InputError } from "../rollouts/index.ts";
import { errorCode, fileError } from "./file-errors.ts";
import { forget, remember } from "./temporary.ts";

/** The reader of standard output has gone away (`… | head`). Not a fault: stop quietly. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
  readonly code = "EPIPE";

  constructor() {
    super("the reader of the output has closed it");
  }
}

/** Where bytes go. */
export interface ByteOutput {
  /** Takes the bytes over: they must not change any more. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the output; a file then appears under its name. */
  close(): Promise<void>;
  abort(): Promise<void>;
}

/** What a system says when nobody reads any more. */
const closedCodes = new Set(["EPIPE", "EOF", "ECONNRESET", "ERR_STREAM_DESTROYED", "ERR_STREAM_PREMATURE_CLOSE"]);

function writeError(error: unknown, name: string): unknown {
  return closedCodes.has(errorCode(error) ?? "") ? new OutputClosed() : fileError(error, name);
}

/** A file in the making: a temporary name beside the final one. */
export interface Draft {
  /** Where to write. */
  path: string;
  /** Writes what the system still holds to the disk and gives the file its name. */
  publish(): Promise<void>;
  discard(): Promise<void>;
}

/**
 * A draft of a file. Links are followed, and a file that was there keeps its mode.
 * @throws InputError when the name is a directory, or its directory is missing or not writable.
 */
export async function draftOf(file: string): Promise<Draft> {
  const before = await fs.stat(file).catch(() => null);
  if (before?.isDirectory()) {
    throw new InputError("the output is a directory", { file, hint: "name a file in it" });
  }
  const final = before === null ? file : await fs.realpath(file);
  const unwritable = (error: unknown) => Promise.reject(fileError(error, file));
  if (before !== null) await fs.access(final, constants.W_OK).catch(unwritable);
  const folder = dirname(final);
  const place = await fs.stat(folder).catch(() => null);
  if (place === null) {
    throw new InputError("the directory of the output does not exist", {
      file,
      hint: `make it first: mkdir -p ${folder}`,
    });
  }
  await fs.access(folder, constants.W_OK).catch(unwritable);
  const path = join(folder, `.${basename(final).slice(0, 200)}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`);
  remember(path);
  const discard = async () => {
    await fs.rm(path, { force: true });
    forget(path);
  };
  const publish = async () => {
    try {
      const handle = await fs.open(path, "r+");
      try {
        if (before !== null) await handle.chmod(before.mode & 0o7777);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await fs.rename(path, final);
      forget(path);
    } catch (error) {
      await discard();
      throw fileError(error, file);
    }
  };
  return { path, publish, discard };
}

/** Whether a path is something else than a file or a free name: a pipe, a terminal, `/dev/null`. */
async function isDevice(path: string): Promise<boolean> {
  const found = await fs.stat(path).catch(() => null);
  return found !== null && !found.isFile() && !found.isDirectory();
}

/** Bytes into a file that appears under its name when it is complete. */
export async function fileOutput(file: string): Promise<ByteOutput> {
  const device = await isDevice(file);
  const draft = device ? null : await draftOf(file);
  let handle: fs.FileHandle | null;
  try {
    handle = await fs.open(draft?.path ?? file, "w");
  } catch (error) {
    await draft?.discard();
    throw fileError(error, file);
  }
  const end = async () => {
    await handle?.close();
    handle = null;
  };
  return {
    async write(bytes) {
      try {
        for (let at = 0; at < bytes.length; ) at += (await (handle as fs.FileHandle).write(bytes, at)).bytesWritten;
      } catch (error) {
        throw writeError(error, file);
      }
    },
    async close() {
      await end();
      await draft?.publish();
    },
    async abort() {
      await end();
      await draft?.discard();
    },
  };
}

/** Bytes into a stream that somebody else owns, such as standard output: it is not ended. */
export function streamOutput(stream: Writable, name: string): ByteOutput {
  let failure: unknown = null;
  const note = (error: unknown) => {
    failure ??= writeError(error, name);
  };
  // The callback of `write` says the same; without a listener the error would end the process.
  stream.on("error", note);
  return {
    write(bytes) {
      return new Promise((resolve, reject) => {
        if (failure !== null) reject(failure);
        else {
          stream.write(bytes, (error) => {
            if (error) note(error);
            if (failure === null) resolve();
            else reject(failure);
          });
        }
      });
    },
    async close() {
      if (failure !== null) throw failure;
      stream.off("error", note);
    },
    async abort() {},
  };
}
