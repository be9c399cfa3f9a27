import { jaggedKeys, type NumberCells, setOwn } from "../rollouts/index.ts";
import { NumberScanner } from "./number-scanner.ts";

const quote = 34;
const backslash = 92;
const colon = 58;
const comma = 44;
const opening = 123;
const closing = 125;
const list = 91;
const listEnd = 93;
const lineFeed = 10;

/** 2 for the bytes that matter wherever the end of a value is looked for, 1 for those that matter outside brackets only. */
const marks = new Uint8Array(256);
for (const byte of [quote, opening, closing, list, listEnd, lineFeed]) marks[byte] = 2;
marks[comma] = 1;

/** Thrown where a line is not JSON; `findFault` then says where and why. */
export class NotJson extends Error {
  override readonly name = "NotJson";
}

/** Names seen before, so that a key that every line has is made a string once. */
class KnownNames {
  readonly #bytes: Uint8Array[] = new Array(512).fill(new Uint8Array(0));
  readonly #names: string[] = new Array(512).fill("");

  /** The ASCII text in bytes [from, to), whose hash is given. */
  get(bytes: Buffer, from: number, to: number, hash: number): string {
    const slot = hash & 511;
    const known = this.#bytes[slot];
    if (known.length === to - from) {
      let k = 0;
      while (k < known.length && known[k] === bytes[from + k]) k++;
      if (k === known.length) return this.#names[slot];
    }
    this.#bytes[slot] = Uint8Array.prototype.slice.call(bytes, from, to);
    this.#names[slot] = bytes.toString("latin1", from, to);
    return this.#names[slot];
  }
}

/**
 * Reads one line of rollout JSONL into the object that JSON.parse would give, with one difference: lists of numbers and
 * nulls at the jagged levels come as `NumberCells`, without an object per number. Only the frame of a rollout (its keys and
 * the columns of its levels) is read here; every other value is cut out and handed to JSON.parse.
 */
export class RolloutScanner {
  readonly #numbers = new NumberScanner();
  readonly #names = new KnownNames();
  #bytes: Buffer = Buffer.alloc(0);
  /** Position of the next byte. */
  #at = 0;

  /**
   * The value in bytes [from, to). The byte at `to` must be a line feed. Lists of numbers are good until the next call.
   * @throws NotJson when it is not one JSON value.
   */
  read(bytes: Buffer, from: number, to: number): unknown {
    this.#bytes = bytes;
    this.#at = from;
    this.#numbers.reset();
    const value = this.#space() === opening ? this.#object((key) => this.#field(key)) : this.#value();
    this.#space();
    if (this.#at !== to) throw new NotJson();
    return value;
  }

  /**
   * The group of the rollout in bytes [from, to), `null` where it has none; everything else is passed over.
   * @throws NotJson when that shows that the line is not an object.
   */
  group(bytes: Buffer, from: number, to: number): string | null {
    this.#bytes = bytes;
    this.#at = from;
    if (this.#space() === lineFeed) return null;
    if (this.#space() !== opening) throw new NotJson();
    const { group } = this.#object((key) => {
      if (key === "group") return this.#field(key);
      this.#space();
      this.#at = this.#end(this.#at);
      return null;
    });
    this.#space();
    if (this.#at !== to) throw new NotJson();
    return typeof group === "string" ? group : null;
  }

  /** Skips spaces and gives the byte behind them. */
  #space(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#at];
    while (byte === 32 || byte === 9 || byte === 13) byte = bytes[++this.#at];
    return byte;
  }

  #object(read: (key: string) => unknown): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    this.#at++;
    if (this.#space() === closing) {
      this.#at++;
      return object;
    }
    for (;;) {
      if (this.#space() !== quote) throw new NotJson();
      const key = this.#key();
      if (this.#space() !== colon) throw new NotJson();
      this.#at++;
      setOwn(object, key, read(key));
      const byte = this.#space();
      this.#at++;
      if (byte === closing) return object;
      if (byte !== comma) throw new NotJson();
    }
  }

  #field(key: string): unknown {
    const byte = this.#space();
    if (byte === opening && Object.hasOwn(jaggedKeys, key)) return this.#object(() => this.#column());
    return byte === quote ? this.#string() : this.#value();
  }

  #column(): NumberCells | unknown {
    if (this.#space() === list) {
      const end = this.#numbers.list(this.#bytes, this.#at + 1);
      if (end >= 0) {
        this.#at = end;
        return this.#numbers.cells;
      }
    }
    return this.#value();
  }

  /** A key whose opening quote is at the current position. */
  #key(): string {
    const bytes = this.#bytes;
    const from = this.#at + 1;
    let at = from;
    let hash = 0;
    let byte = bytes[at];
    while (byte !== quote && byte !== backslash && byte >= 32 && byte < 128) {
      hash = (Math.imul(hash, 31) + byte) | 0;
      byte = bytes[++at];
    }
    if (byte !== quote || at - from > 64) return this.#string();
    this.#at = at + 1;
    return this.#names.get(bytes, from, at, hash ^ (hash >>> 9));
  }

  /** A string whose opening quote is at the current position. */
  #string(): string {
    const bytes = this.#bytes;
    const from = this.#at + 1;
    let at = from;
    let seen = 0;
    let byte = bytes[at];
    while (byte !== quote && byte !== backslash && byte >= 32) {
      seen |= byte;
      byte = bytes[++at];
    }
    if (byte === quote) {
      this.#at = at + 1;
      return bytes.toString(seen < 128 ? "latin1" : "utf8", from, at);
    }
    return this.#value() as string;
  }

  /** Any value: its end is found by its brackets and quotes, the rest is JSON.parse. */
  #value(): unknown {
    const from = this.#at;
    const to = this.#end(from);
    this.#at = to;
    try {
      return JSON.parse(this.#bytes.toString("utf8", from, to));
    } catch (error) {
      if (error instanceof SyntaxError) throw new NotJson();
      throw error;
    }
  }

  #end(from: number): number {
    const bytes = this.#bytes;
    let depth = 0;
    let at = from;
    for (;;) {
      let byte = bytes[at];
      const least = depth === 0 ? 1 : 2;
      while (marks[byte] < least) byte = bytes[++at];
      if (byte === quote) {
        at = this.#stringEnd(at + 1);
        if (depth === 0) return at;
      } else if (byte === opening || byte === list) {
        depth++;
        at++;
      } else if (byte === closing || byte === listEnd) {
        if (depth <= 1) return depth === 0 ? at : at + 1;
        depth--;
        at++;
      } else return at;
    }
  }

  #stringEnd(from: number): number {
    const bytes = this.#bytes;
    let at = from;
    for (let byte = bytes[at]; byte !== quote; byte = bytes[at]) {
      if (byte === backslash) byte = bytes[++at];
      if (byte === lineFeed) throw new NotJson();
      at++;
    }
    return at + 1;
  }
}
