import type { Row } from "./exporter.ts";

/** Where rows go; nothing is visible under the name of the file before `close`. */
export interface RowSink {
  write(row: Row): Promise<void>;
  close(): Promise<void>;
  abort(): Promise<void>;
}

/** Text is handed on in pieces of about this many characters. */
const pieceLength = 2 ** 18;

/** Gathers lines of JSON into pieces of bytes. */
export class RowText {
  #lines: string[] = [];
  #length = 0;
  /** Characters of the longest line so far. */
  longest = 0;

  /** Takes a row; gives a piece when there is enough for one. */
  add(row: Row): Buffer | null {
    const line = JSON.stringify(row);
    this.longest = Math.max(this.longest, line.length);
    this.#lines.push(line, "\n");
    this.#length += line.length + 1;
    return this.#length < pieceLength ? null : this.rest();
  }

  /** What has not been given yet. */
  rest(): Buffer {
    const piece = Buffer.from(this.#lines.join(""));
    this.#lines = [];
    this.#length = 0;
    return piece;
  }
}
