import type { FloatArray } from "../rollouts/index.ts";
import type { Runs } from "./runs.ts";

/**
 * Terms of potential-based shaping, F_k = w (γ Φ_{k'} − Φ_k) along each chain, k' the next row that counts; rows between
 * runs are left as they are.
 * @param potential one number per row.
 * @param final potential after the last row, one per chain.
 */
export function shapingInto(
  potential: ArrayLike<number>,
  runs: Runs,
  final: ArrayLike<number>,
  { gamma, weight }: { gamma: number; weight: number },
  out: FloatArray,
): void {
  for (let chain = 0; chain + 1 < runs.offsets.length; chain++) {
    let next = final[chain];
    for (let run = runs.offsets[chain + 1] - 1; run >= runs.offsets[chain]; run--) {
      for (let k = runs.ends[run] - 1; k >= runs.starts[run]; k--) {
        out[k] = weight * (gamma * next - potential[k]);
        next = potential[k];
      }
    }
  }
}
