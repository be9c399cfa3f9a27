import { exactPowers } from "./decimal.ts";

const zero = 48;
const minus = 45;
const point = 46;
const wholePowers = Int32Array.from({ length: 10 }, (_, k) => 10 ** k);
/** The longest number in text: `-1.2345678901234567e-308` and a comma. */
export const longestNumber = 26;

/**
 * Text in the making, as bytes. Numbers are written digit by digit in the shortest form that reads back as the same value;
 * only doubles with a fraction take the way through a string.
 */
export class ByteText {
  bytes: Buffer;
  length = 0;

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafe(capacity);
  }

  /** Makes room for `more` bytes. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    const next = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(next, 0, 0, this.length);
    this.bytes = next;
  }

  /** Gives the text away and starts anew. */
  take(): Buffer {
    const text = this.bytes.subarray(0, this.length);
    this.bytes = Buffer.allocUnsafe(this.bytes.length);
    this.length = 0;
    return text;
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  byte(byte: number): void {
    this.reserve(1);
    this.bytes[this.length++] = byte;
  }

  text(text: string): void {
    this.reserve(text.length > 4096 ? Buffer.byteLength(text) : text.length * 3);
    this.length += this.bytes.write(text, this.length);
  }

  /** Any finite number. Like the writers of whole numbers and of float32 it relies on `reserve(longestNumber)`. */
  double(value: number): void {
    if (value === (value | 0)) this.int(value);
    else this.#ascii(String(value));
  }

  /** A number that is a float32: as few digits as read back to it after rounding to float32. */
  single(value: number): void {
    if (value === (value | 0)) {
      this.int(value);
      return;
    }
    const size = value < 0 ? -value : value;
    // Larger ones are whole; smaller ones would need powers of ten that a double does not hold.
    if (size < 1e-13 || size >= 2 ** 24) {
      this.#ascii(String(shortestSingle(value)));
      return;
    }
    let places = 8;
    while (size * exactPowers[places] < 1e8) places++;
    while (size * exactPowers[places] >= 1e9) places--;
    const nine = size * exactPowers[places];
    for (let dropped = 3; dropped >= 0; dropped--) {
      if (places < dropped) continue;
      const digits = Math.floor(nine / exactPowers[dropped] + 0.5);
      if (Math.fround(digits / exactPowers[places - dropped]) !== size) continue;
      if (value < 0) this.bytes[this.length++] = minus;
      this.#decimal(digits, places - dropped);
      return;
    }
    this.#ascii(String(value));
  }

  /** A whole number of 32 bits. */
  int(value: number): void {
    if (value >= 0) this.#digits(value);
    else if (value === -(2 ** 31)) this.#ascii("-2147483648");
    else {
      this.bytes[this.length++] = minus;
      this.#digits(-value | 0);
    }
  }

  /** A whole number from 0 to 2^31 - 1. */
  #digits(value: number): void {
    if (value < 10) {
      this.bytes[this.length++] = zero + value;
      return;
    }
    let count = 2;
    while (count < 10 && value >= wholePowers[count]) count++;
    this.#padded(value, count);
  }

  /** The last `count` digits of a whole number below 2^31. */
  #padded(value: number, count: number): void {
    const { bytes } = this;
    const from = this.length;
    let rest = value | 0;
    for (let at = from + count - 1; at >= from; at--) {
      const next = (rest / 10) | 0;
      bytes[at] = zero + rest - next * 10;
      rest = next;
    }
    this.length = from + count;
  }

  /** digits · 10^-places, without zeros at the end; below 10^-6 with an exponent, as JavaScript writes it. */
  #decimal(digits: number, places: number): void {
    let value = digits;
    let fraction = places;
    while (fraction > 0 && value % 10 === 0) {
      value /= 10;
      fraction--;
    }
    let count = 1;
    while (count < 10 && value >= wholePowers[count]) count++;
    const exponent = count - 1 - fraction;
    if (exponent < -6) {
      this.#split(value, count, 1);
      this.#ascii(`e${exponent}`);
    } else if (exponent < 0) {
      this.bytes[this.length++] = zero;
      this.bytes[this.length++] = point;
      this.#padded(value, fraction);
    } else this.#split(value, count, count - fraction);
  }

  /** `count` digits with the point behind the first `whole` of them. */
  #split(value: number, count: number, whole: number): void {
    const power = wholePowers[count - whole];
    const head = (value / power) | 0;
    this.#padded(head, whole);
    if (count === whole) return;
    this.bytes[this.length++] = point;
    this.#padded(value - head * power, count - whole);
  }

  #ascii(text: string): void {
    const { bytes, length } = this;
    for (let k = 0; k < text.length; k++) bytes[length + k] = text.charCodeAt(k);
    this.length = length + text.length;
  }
}

/** The double with the fewest digits that rounds to a float32. */
function shortestSingle(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}
