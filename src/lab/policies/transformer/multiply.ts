/**
 * out[r, j] = Σ_i x[r, i] · w[j, i] (w transposed: a row per output), or out[r, j] + that. Products are summed in the
 * order of i whatever rows come together, so a row's result does not depend on its neighbours. Four rows and two
 * outputs at a time keep the numbers in registers.
 */
export function multiply(
  out: Float64Array,
  x: Float64Array,
  w: Float64Array,
  size: { rows: number; inner: number; outer: number },
  add = false,
): void {
  const { rows, inner, outer } = size;
  let r = 0;
  for (; r + 4 <= rows; r += 4) {
    const a = r * inner;
    const b = a + inner;
    const c = b + inner;
    const d = c + inner;
    const o = r * outer;
    let j = 0;
    for (; j + 2 <= outer; j += 2) {
      const u = j * inner;
      const v = u + inner;
      let a0 = 0;
      let a1 = 0;
      let b0 = 0;
      let b1 = 0;
      let c0 = 0;
      let c1 = 0;
      let d0 = 0;
      let d1 = 0;
      for (let i = 0; i < inner; i++) {
        const w0 = w[u + i];
        const w1 = w[v + i];
        const xa = x[a + i];
        const xb = x[b + i];
        const xc = x[c + i];
        const xd = x[d + i];
        a0 += xa * w0;
        a1 += xa * w1;
        b0 += xb * w0;
        b1 += xb * w1;
        c0 += xc * w0;
        c1 += xc * w1;
        d0 += xd * w0;
        d1 += xd * w1;
      }
      const k = o + j;
      put(out, k, a0, add);
      put(out, k + 1, a1, add);
      put(out, k + outer, b0, add);
      put(out, k + outer + 1, b1, add);
      put(out, k + 2 * outer, c0, add);
      put(out, k + 2 * outer + 1, c1, add);
      put(out, k + 3 * outer, d0, add);
      put(out, k + 3 * outer + 1, d1, add);
    }
    for (; j < outer; j++) {
      for (let row = 0; row < 4; row++)
        put(out, o + row * outer + j, dot(x, a + row * inner, w, j * inner, inner), add);
    }
  }
  for (; r < rows; r++) multiplyRow(out, x, w, r, inner, outer, add);
}

function put(out: Float64Array, k: number, value: number, add: boolean): void {
  out[k] = add ? out[k] + value : value;
}

function dot(x: Float64Array, xFrom: number, w: Float64Array, wFrom: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += x[xFrom + i] * w[wFrom + i];
  return sum;
}

function multiplyRow(
  out: Float64Array,
  x: Float64Array,
  w: Float64Array,
  r: number,
  inner: number,
  outer: number,
  add: boolean,
): void {
  const a = r * inner;
  const o = r * outer;
  let j = 0;
  for (; j + 4 <= outer; j += 4) {
    const u = j * inner;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let i = 0; i < inner; i++) {
      const xa = x[a + i];
      s0 += xa * w[u + i];
      s1 += xa * w[u + inner + i];
      s2 += xa * w[u + 2 * inner + i];
      s3 += xa * w[u + 3 * inner + i];
    }
    put(out, o + j, s0, add);
    put(out, o + j + 1, s1, add);
    put(out, o + j + 2, s2, add);
    put(out, o + j + 3, s3, add);
  }
  for (; j < outer; j++) put(out, o + j, dot(x, a, w, j * inner, inner), add);
}

/** The transpose in double precision of a matrix [rows, columns]. */
export function transposed(matrix: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const made = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) made[j * rows + i] = matrix[i * columns + j];
  return made;
}
