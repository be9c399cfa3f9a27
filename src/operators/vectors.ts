/** Largest absolute value of a vector. */
function largest(v: ArrayLike<number>): number {
  let most = 0;
  for (let k = 0; k < v.length; k++) most = Math.max(most, Math.abs(v[k]));
  return most;
}

/**
 * Cosine of the angle between two vectors of equal length, −1 to 1; 0 when one of them is zero or has no entries.
 * Both are scaled by their largest entry first, so that no square overflows or vanishes.
 */
export function cosine(u: ArrayLike<number>, v: ArrayLike<number>): number {
  const a = largest(u);
  const b = largest(v);
  if (a === 0 || b === 0) return 0;
  let uu = 0;
  let vv = 0;
  let uv = 0;
  for (let k = 0; k < u.length; k++) {
    const x = u[k] / a;
    const y = v[k] / b;
    uu += x * x;
    vv += y * y;
    uv += x * y;
  }
  return Math.min(1, Math.max(-1, uv / Math.sqrt(uu * vv)));
}
