/**
 * Quantile with linear interpolation between the two nearest values, at position q (n − 1) of the sorted list (type 7 of
 * Hyndman and Fan; the default of NumPy and PyTorch). A position within 1e-9 of a whole number is that number, so that
 * rounding of q never moves the quantile past a value. Finite input, no NaN; NaN for an empty list.
 * @param values left as they are. O(n log n).
 * @param q 0 to 1.
 */
export function quantile(values: ArrayLike<number>, q: number): number {
  const sorted = Float64Array.from(values).sort();
  const exact = q * (sorted.length - 1);
  const whole = Math.round(exact);
  const position = Math.abs(exact - whole) < 1e-9 ? whole : exact;
  const low = Math.floor(position);
  const share = position - low;
  return share === 0 ? sorted[low] : sorted[low] + share * (sorted[low + 1] - sorted[low]);
}
