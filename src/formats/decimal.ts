/**
 * Decimal digits to the nearest double, without a string per number. Up to 15 digits and powers of ten to 22 are one exact
 * operation (Clinger 1990, "How to read floating point numbers accurately", fast path); longer ones go through a product of
 * double-doubles (Dekker 1971) whose rounding is checked, and only what is too close to call is left to the caller.
 */

/** Powers of ten that a double holds exactly. */
export const exactPowers = Float64Array.from({ length: 23 }, (_, k) => Number(`1e${k}`));

/** Largest power of ten in the tables; every product then stays far from overflow and from subnormal numbers. */
const range = 120;
/** 10^k as the unevaluated sum highs[k + range] + lows[k + range]. */
const highs = Float64Array.from({ length: 2 * range + 1 }, (_, i) => Number(`1e${i - range}`));
let lows: Float64Array | null = null;

/** A positive, normal double as mantissa · 2^exponent in whole numbers. */
function fraction(x: number): { mantissa: bigint; exponent: number } {
  const bits = new BigUint64Array(Float64Array.of(x).buffer)[0];
  return { mantissa: (bits & (2n ** 52n - 1n)) | (2n ** 52n), exponent: Number(bits >> 52n) - 1075 };
}

/** 10^k minus the double nearest to it. */
function remainder(k: number): number {
  const { mantissa, exponent } = fraction(highs[k + range]);
  if (k >= 0) {
    if (exponent < 0) return 0;
    return Number(10n ** BigInt(k) - mantissa * 2n ** BigInt(exponent));
  }
  const power = 10n ** BigInt(-k);
  const difference = 2n ** BigInt(-exponent) - mantissa * power;
  return Number((difference * 2n ** 128n) / power) * 2 ** (exponent - 128);
}

const splitter = 2 ** 27 + 1;

/** What a · b lost to rounding when it gave `product`, exactly. */
function productError(a: number, b: number, product: number): number {
  const aWide = a * splitter;
  const aHigh = aWide - (aWide - a);
  const aLow = a - aHigh;
  const bWide = b * splitter;
  const bHigh = bWide - (bWide - b);
  const bLow = b - bHigh;
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

/** Bound on the relative error of everything below, with a factor of 8 to spare. */
const slack = 2 ** -97;

/**
 * (head · 10^places + tail) · 10^power, rounded once to the nearest double.
 * @param head whole number below 2^53.
 * @param tail whole number below 10^places, places at most 15.
 * @returns NaN when the rounding is too close to call or the power is out of range.
 */
export function scaled(head: number, tail: number, places: number, power: number): number {
  if (head === 0 && tail === 0) return 0;
  if (!(power >= -range && power <= range)) return Number.NaN;
  lows ??= Float64Array.from({ length: 2 * range + 1 }, (_, i) => remainder(i - range));
  let high = head;
  let low = 0;
  if (places > 0) {
    const product = head * exactPowers[places];
    const lost = productError(head, exactPowers[places], product);
    const sum = product + tail;
    const kept = sum - product;
    const rest = lost + (product - (sum - kept) + (tail - kept));
    high = sum + rest;
    low = rest - (high - sum);
  }
  const powerHigh = highs[power + range];
  const product = high * powerHigh;
  const rest = productError(high, powerHigh, product) + (high * lows[power + range] + low * powerHigh);
  const up = product + (rest + product * slack);
  return up === product + (rest - product * slack) ? up : Number.NaN;
}

/**
 * The digits in bytes [from, to), with or without a decimal point, times 10^exponent.
 * @returns NaN when it takes a slower way to be sure.
 */
export function longDecimal(bytes: Uint8Array, from: number, to: number, exponent: number): number {
  let head = 0;
  let tail = 0;
  let digits = 0;
  let power = exponent;
  let pointed = false;
  for (let at = from; at < to; at++) {
    const digit = bytes[at] - 48;
    if (digit < 0) {
      pointed = true;
      continue;
    }
    if (pointed) power--;
    if (digits < 15) head = head * 10 + digit;
    else tail = tail * 10 + digit;
    if (digits > 0 || digit > 0) digits++;
  }
  if (digits > 30) return Number.NaN;
  return digits <= 15 ? scaled(head, 0, 0, power) : scaled(head, tail, digits - 15, power);
}
