import type { Batch, NumericArray } from "../../rollouts/index.ts";

/** Segments of all rollouts, one subgoal each: segment k holds the turns [offsets[k], offsets[k + 1]). */
export interface Segments {
  readonly offsets: Int32Array;
  /** Per turn: 1 where a segment starts. */
  readonly starts: Uint8Array;
  /** Per segment: what follows it. */
  readonly ending: readonly ("segment" | "cut" | "end")[];
}

/** The first turn of a rollout and every later one with switch 1 start a segment. */
export function segmentsOf(batch: Batch, switches: NumericArray): Segments {
  const offsets = batch.offsets("turn");
  const truncated = batch.numbers("signals.truncated", { absent: 0, missing: 0 });
  const starts = Uint8Array.from(switches);
  const rows: number[] = [];
  const ending: Segments["ending"][number][] = [];
  for (let i = 0; i < batch.size; i++) {
    if (offsets[i + 1] === offsets[i]) continue;
    starts[offsets[i]] = 1;
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      if (starts[t] === 0) continue;
      rows.push(t);
      ending.push("segment");
    }
    ending[ending.length - 1] = truncated[i] === 0 ? "end" : "cut";
  }
  return { offsets: Int32Array.from([...rows, switches.length]), starts, ending };
}

/** B_k: V^high where the next segment starts, `cut(k)` where the rollout was cut off, 0 where it ended. */
export function bootValues(
  { offsets, ending }: Segments,
  high: Float64Array,
  cut: (segment: number) => number,
): Float64Array {
  return Float64Array.from(ending, (what, k) => {
    if (what === "segment") return high[offsets[k + 1]];
    return what === "cut" ? cut(k) : 0;
  });
}

/**
 * GAE over segments, decisions that last d_k turns: A_k = R_k − V^high(s_k) + γ^{d_k} λ_seg A_{k+1}, stored on turn s_k.
 * @param returns per turn the return to the end of its segment, B_k included: R_k stands on s_k.
 */
export function segmentAdvantages(
  segments: Segments,
  returns: Float64Array,
  high: Float64Array,
  p: { gamma: number; lam_seg: number },
): Float64Array {
  const { offsets, ending } = segments;
  const out = new Float64Array(high.length);
  let next = 0;
  for (let k = ending.length - 1; k >= 0; k--) {
    const start = offsets[k];
    if (ending[k] !== "segment") next = 0;
    next = returns[start] - high[start] + p.gamma ** (offsets[k + 1] - start) * p.lam_seg * next;
    out[start] = next;
  }
  return out;
}
