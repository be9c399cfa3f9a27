/** Estimates of KL(π ‖ π_ref) from one sampled token, as functions of d = log π − log π_ref. */
export type KlKind = "k1" | "abs" | "k2" | "k3";

/** Beyond this |d| the exponent of k3 is cut. */
const mostExponent = 20;
/** Largest value that k3 may take. */
const mostK3 = 10;

/** Value of an estimate: k1 = d, abs = |d|, k2 = d²/2, k3 = e^q − q − 1 with q = clip(−d, −20, 20), at most 10. */
export function klValue(kind: KlKind, d: number): number {
  if (kind === "k1") return d;
  if (kind === "abs") return Math.abs(d);
  if (kind === "k2") return 0.5 * d * d;
  const q = Math.min(Math.max(-d, -mostExponent), mostExponent);
  return Math.min(Math.max(Math.expm1(q) - q, 0), mostK3);
}

/** Derivative of `klValue` by d (by the policy's log-probability): 1, sign(d), d, 1 − e^q; 0 where a clip of k3 is active. */
export function klGradient(kind: KlKind, d: number): number {
  if (kind === "k1") return 1;
  if (kind === "abs") return Math.sign(d);
  if (kind === "k2") return d;
  if (Math.abs(d) > mostExponent) return 0;
  const rise = Math.expm1(-d);
  return rise + d > mostK3 ? 0 : 0 - rise;
}
