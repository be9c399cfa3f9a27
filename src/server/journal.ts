import { createReadStream, promises as fs } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { syncFolder } from "../workspace/durable.ts";

const segmentPattern = /^(\d{8})\.jsonl$/;
const segmentBytes = 64 * 2 ** 20;

interface Waiting {
  text: string;
  resolve: (segment: number) => void;
  reject: (error: unknown) => void;
}

/**
 * Lines on disk in segments. `append` resolves when its lines are on the disk; lines that come in while others are being
 * written go out together, with one sync for all of them. A last line that a kill has cut is not read.
 */
export class Journal {
  readonly #folder: string;
  #number: number;
  #handle: fs.FileHandle | null = null;
  #bytes = 0;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;

  private constructor(folder: string, number: number) {
    this.#folder = folder;
    this.#number = number;
  }

  static async open(folder: string): Promise<Journal> {
    await fs.mkdir(folder, { recursive: true });
    const journal = new Journal(folder, 0);
    journal.#number = Math.max(0, ...(await journal.segments()));
    return journal;
  }

  /** Numbers of the segments on disk, ascending. */
  async segments(): Promise<number[]> {
    const names = await fs.readdir(this.#folder);
    return names
      .flatMap((name) => segmentPattern.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  #path(number: number): string {
    return join(this.#folder, `${String(number).padStart(8, "0")}.jsonl`);
  }

  /** Values of a segment, one per line. */
  async *read(number: number): AsyncGenerator<unknown> {
    const lines = createInterface({ input: createReadStream(this.#path(number)), crlfDelay: Number.POSITIVE_INFINITY });
    for await (const line of lines) {
      try {
        yield JSON.parse(line);
      } catch {
        // the line that was being written when the process was killed: never acknowledged
      }
    }
  }

  /** @returns the segment that the lines went to. */
  append(values: readonly unknown[]): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text: values.map((value) => `${JSON.stringify(value)}\n`).join(""), resolve, reject });
      this.#writing ??= this.#write().finally(() => {
        this.#writing = null;
      });
    });
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        const handle = await this.#open();
        const bytes = Buffer.from(group.map(({ text }) => text).join(""));
        await handle.appendFile(bytes);
        await handle.datasync();
        this.#bytes += bytes.length;
        for (const { resolve } of group) resolve(this.#number);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
  }

  /** The segment that is written: a new one for every process, so that no cut line is ever written on. */
  async #open(): Promise<fs.FileHandle> {
    if (this.#handle !== null && this.#bytes < segmentBytes) return this.#handle;
    await this.#handle?.close();
    this.#handle = null;
    this.#number++;
    this.#bytes = 0;
    this.#handle = await fs.open(this.#path(this.#number), "ax");
    await syncFolder(this.#folder);
    return this.#handle;
  }

  /** The segment that lines go to now; -1 when none is open. */
  get current(): number {
    return this.#handle === null ? -1 : this.#number;
  }

  /** Removes a segment whose lines nobody needs any more. */
  async remove(number: number): Promise<void> {
    await fs.rm(this.#path(number), { force: true });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#handle?.close();
    this.#handle = null;
  }
}
