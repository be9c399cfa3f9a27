const minus = "−";

/** Decimals for a column whose largest number is this: two for numbers around one. */
function decimalsFor(largest: number): number {
  if (largest >= 100) return 0;
  if (largest >= 10) return 1;
  return largest >= 0.1 || largest === 0 ? 2 : 3;
}

/**
 * A number with a sign, with as many decimals as suit the largest number of its column, so that a column stays aligned;
 * very small and very large ones in short exponent form.
 */
export function signed(value: number, largest = Math.abs(value)): string {
  const size = Math.abs(value);
  const sign = value < 0 ? minus : "+";
  if (largest >= 1e5 || (largest > 0 && largest < 1e-3))
    return size === 0 ? "0" : `${sign}${size.toExponential(0)}`.replace("e+", "e");
  const text = size.toFixed(decimalsFor(largest));
  return /[1-9]/.test(text) ? sign + text : text;
}

/**
 * A number without plus sign: two decimals where that shows enough, short forms for the very small and the very
 * large.
 */
export function magnitude(value: number): string {
  if (value < 0) return minus + magnitude(-value);
  if (value === 0) return "0";
  if (value >= 1e6 || value < 5e-4) return value.toExponential(0).replace("e+", "e");
  if (value >= 1000) return value.toFixed(0);
  if (value >= 100) return value.toFixed(1);
  return value >= 0.095 ? value.toFixed(2) : value.toFixed(3);
}

/** A share as a percentage. */
export function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

/** A count or measure: whole numbers as they are, others with a few decimals (one unless asked for more). */
export function short(value: number, decimals = 1): string {
  return (Number.isInteger(value) ? String(value) : value.toFixed(decimals)).replace("-", minus);
}
