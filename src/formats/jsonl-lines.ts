import { InputError } from "../rollouts/index.ts";

/** A line: bytes [from, to) of `bytes`, whose byte at `to` is a line feed. */
export interface Line {
  bytes: Buffer;
  from: number;
  to: number;
}

const lineFeed = 10;
/** Longer than any list of numbers that a rollout may hold; a text of that size is something else. */
const longestLine = 2 ** 31 - 2;

/** Passes over the byte order mark that some programs put before the first line. */
export function passMark(line: Line): void {
  const { bytes, from } = line;
  if (bytes[from] === 0xef && bytes[from + 1] === 0xbb && bytes[from + 2] === 0xbf) line.from += 3;
}

/** Cuts chunks of bytes into lines. A line within a chunk is not copied. */
export class LineCutter {
  /** Number of the line given last, 1-based. */
  number = 0;
  readonly #file: string;
  /** The beginning of a line whose end has not come yet. */
  #kept: Buffer[] = [];
  #keptBytes = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Lines that end in this chunk. */
  *lines(chunk: Buffer): Generator<Line> {
    let from = 0;
    for (let to = chunk.indexOf(lineFeed); to >= 0; to = chunk.indexOf(lineFeed, from)) {
      this.number++;
      if (this.#kept.length === 0) yield { bytes: chunk, from, to };
      else yield this.#joined(chunk.subarray(0, to + 1));
      from = to + 1;
    }
    if (from === chunk.length) return;
    this.#keptBytes += chunk.length - from;
    if (this.#keptBytes > longestLine) {
      const at = { file: this.#file, line: this.number + 1, hint: "rollout JSONL is one rollout per line" };
      throw new InputError("the line is longer than 2 GB", at);
    }
    this.#kept.push(from === 0 ? chunk : chunk.subarray(from));
  }

  /** The last line, where it has no line feed. */
  *rest(): Generator<Line> {
    if (this.#kept.length === 0) return;
    this.number++;
    yield this.#joined(Buffer.of(lineFeed));
  }

  #joined(end: Buffer): Line {
    const bytes = Buffer.concat([...this.#kept, end]);
    this.#kept = [];
    this.#keptBytes = 0;
    return { bytes, from: 0, to: bytes.length - 1 };
  }
}
