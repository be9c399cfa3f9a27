/** Σ_j a[j] · b[j] in four sums that do not wait for each other. */
export function headProduct(a: Float64Array, i: number, b: Float64Array, k: number, size: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let j = 0;
  for (; j + 4 <= size; j += 4) {
    s0 += a[i + j] * b[k + j];
    s1 += a[i + j + 1] * b[k + j + 1];
    s2 += a[i + j + 2] * b[k + j + 2];
    s3 += a[i + j + 3] * b[k + j + 3];
  }
  for (; j < size; j++) s0 += a[i + j] * b[k + j];
  return s0 + s1 + (s2 + s3);
}

/** mixed[q + j] = scale · Σ_t weights[t] · values[t, from + j], four columns at a time. */
export function mixHead(
  mixed: Float64Array,
  q: number,
  weights: Float64Array,
  scale: number,
  values: Float64Array,
  from: number,
  { size, width, length }: { size: number; width: number; length: number },
): void {
  let j = 0;
  for (; j + 4 <= size; j += 4) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let t = 0, k = from + j; t < length; t++, k += width) {
      const share = weights[t];
      s0 += share * values[k];
      s1 += share * values[k + 1];
      s2 += share * values[k + 2];
      s3 += share * values[k + 3];
    }
    mixed[q + j] = s0 * scale;
    mixed[q + j + 1] = s1 * scale;
    mixed[q + j + 2] = s2 * scale;
    mixed[q + j + 3] = s3 * scale;
  }
  for (; j < size; j++) {
    let sum = 0;
    for (let t = 0, k = from + j; t < length; t++, k += width) sum += weights[t] * values[k];
    mixed[q + j] = sum * scale;
  }
}
