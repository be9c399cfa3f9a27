/**
 * Binary cross-entropy −(y ln p + (1 − y) ln(1 − p)) of a probability against a label, p cut to [eps, 1 − eps] first so that
 * a certain mistake stays finite.
 * @param y label, 0 to 1.
 */
export function binaryCrossEntropy(p: number, y: number, eps = 1e-12): number {
  const q = Math.min(Math.max(p, eps), 1 - eps);
  return -(y * Math.log(q) + (1 - y) * Math.log1p(-q));
}
