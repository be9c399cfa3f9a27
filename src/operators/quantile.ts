/**
 * The value that would stand at `place` if the list were sorted. Finite input, no NaN.
 * @param values are moved: everything before `place` is then at most the result, everything behind it at least.
 * O(n) on average (Hoare's selection; the middle of three values parts the range).
 */
export function selectPlace(values: Float64Array, place: number): number {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const [a, b, c] = [values[low], values[(low + high) >> 1], values[high]];
    const pivot = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
    let left = low;
    let right = high;
    while (left <= right) {
      while (values[left] < pivot) left++;
      while (values[right] > pivot) right--;
      if (left > right) break;
      const swapped = values[left];
      values[left++] = values[right];
      values[right--] = swapped;
    }
    if (place <= right) high = right;
    else if (place >= left) low = left;
    else return values[place];
  }
  return values[place];
}

/**
 * Quantile with linear interpolation between the two nearest values, at position q (n − 1) of the sorted list (type 7 of
 * Hyndman and Fan; the default of NumPy and PyTorch). A position within 1e-9 of a whole number is that number, so that
 * rounding of q never moves the quantile past a value. Finite input, no NaN; NaN for an empty list.
 * @param values left as they are. O(n) on average.
 * @param q 0 to 1.
 */
export function quantile(values: ArrayLike<number>, q: number): number {
  if (values.length === 0) return Number.NaN;
  const moved = Float64Array.from(values);
  const exact = q * (moved.length - 1);
  const whole = Math.round(exact);
  const position = Math.abs(exact - whole) < 1e-9 ? whole : exact;
  const low = Math.floor(position);
  const share = position - low;
  const below = selectPlace(moved, low);
  if (share === 0) return below;
  // What stands behind the place is not smaller; the next value is the least of it.
  let above = moved[low + 1];
  for (let k = low + 2; k < moved.length; k++) if (moved[k] < above) above = moved[k];
  return below + share * (above - below);
}
