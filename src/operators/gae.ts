import type { FloatArray, NumericArray } from "../rollouts/index.ts";
import { maskRuns, type Runs } from "./runs.ts";

export interface GaeInput {
  /** Chains of rows that count, as runs; rows between runs are skipped entirely: neither read nor charged a factor. */
  runs: Runs;
  /** V of the state before the row. */
  values: NumericArray;
  /** Reward of each row, `null` when only `last` pays. */
  rewards?: NumericArray | null;
  /** Reward added on the last row of each chain that counts. */
  last?: ArrayLike<number> | null;
  /** V after the last row of each chain; default 0. */
  bootstrap?: ArrayLike<number> | null;
  gamma: number;
  lam: number;
}

/** Sums that whitening needs, taken along the way: of the advantages and of their squares. */
export interface GaeSums {
  sum: number;
  squares: number;
}

/**
 * Generalized advantage estimation over any chain of rows (tokens, turns, segments), arXiv 1506.02438 eq. 16:
 * δ_t = r_t + γ V_{t'} − V_t,  A_t = δ_t + γλ A_{t'},  return_t = A_t + V_t, with t' the next row that counts.
 * Writes into `advantage` and `returns` (one per row); rows that do not count are left as they are.
 * @returns sum and sum of squares of all advantages.
 */
export function gaeInto(input: GaeInput, advantage: FloatArray, returns: FloatArray): GaeSums {
  const { runs, values, rewards = null, last = null, bootstrap = null, gamma, lam } = input;
  const state = new Float64Array(4);
  for (let chain = 0; chain + 1 < runs.offsets.length; chain++) {
    state[0] = bootstrap === null ? 0 : bootstrap[chain];
    state[1] = 0;
    let final = last === null ? 0 : last[chain];
    for (let run = runs.offsets[chain + 1] - 1; run >= runs.offsets[chain]; run--) {
      const from = runs.starts[run];
      let to = runs.ends[run];
      if (rewards !== null)
        withRewards(values, rewards, advantage, returns, from, to, final, gamma, gamma * lam, state);
      else {
        // The outcome is paid on one row only; the rest of the run is the tight loop.
        to -= 1;
        const value = values[to];
        state[1] = final + gamma * state[0] - value + gamma * lam * state[1];
        state[0] = value;
        advantage[to] = state[1];
        returns[to] = state[1] + value;
        state[2] += state[1];
        state[3] += state[1] * state[1];
        withoutRewards(values, advantage, returns, from, to, gamma, gamma * lam, state);
      }
      final = 0;
    }
  }
  return { sum: state[2], squares: state[3] };
}

function withRewards(
  values: NumericArray,
  rewards: NumericArray,
  advantage: FloatArray,
  returns: FloatArray,
  from: number,
  to: number,
  final: number,
  gamma: number,
  decay: number,
  state: Float64Array,
): void {
  let next = state[0];
  let carry = state[1];
  let extra = final;
  let sum = 0;
  let squares = 0;
  for (let t = to - 1; t >= from; t--) {
    const value = values[t];
    carry = rewards[t] + extra + gamma * next - value + decay * carry;
    advantage[t] = carry;
    returns[t] = carry + value;
    sum += carry;
    squares += carry * carry;
    next = value;
    extra = 0;
  }
  state[0] = next;
  state[1] = carry;
  state[2] += sum;
  state[3] += squares;
}

/**
 * Four rows at a time (state: next value, carried advantage, sum, sum of squares): A_{t-3} … A_t are each written as (their δ's) + decay^k · carry, so that one multiplication and
 * one addition per four rows depend on the step before instead of four.
 */
function withoutRewards(
  values: NumericArray,
  advantage: FloatArray,
  returns: FloatArray,
  from: number,
  to: number,
  gamma: number,
  decay: number,
  state: Float64Array,
): void {
  const decay2 = decay * decay;
  const decay3 = decay2 * decay;
  const decay4 = decay2 * decay2;
  let next = state[0];
  let carry = state[1];
  let sum = 0;
  let squares = 0;
  let t = to - 1;
  for (; t - 3 >= from; t -= 4) {
    const v0 = values[t];
    const v1 = values[t - 1];
    const v2 = values[t - 2];
    const v3 = values[t - 3];
    const y0 = gamma * next - v0;
    const y1 = gamma * v0 - v1 + decay * y0;
    const y2 = gamma * v1 - v2 + decay * y1;
    const y3 = gamma * v2 - v3 + decay * y2;
    const a0 = y0 + decay * carry;
    const a1 = y1 + decay2 * carry;
    const a2 = y2 + decay3 * carry;
    carry = y3 + decay4 * carry;
    advantage[t] = a0;
    advantage[t - 1] = a1;
    advantage[t - 2] = a2;
    advantage[t - 3] = carry;
    returns[t] = a0 + v0;
    returns[t - 1] = a1 + v1;
    returns[t - 2] = a2 + v2;
    returns[t - 3] = carry + v3;
    sum += a0 + a1 + (a2 + carry);
    squares += a0 * a0 + a1 * a1 + (a2 * a2 + carry * carry);
    next = v3;
  }
  for (; t >= from; t--) {
    const value = values[t];
    carry = gamma * next - value + decay * carry;
    advantage[t] = carry;
    returns[t] = carry + value;
    sum += carry;
    squares += carry * carry;
    next = value;
  }
  state[0] = next;
  state[1] = carry;
  state[2] += sum;
  state[3] += squares;
}

/** Runs of rows for GAE over turns or segments: rows with `done` 1 close a chain, nothing flows back over them. */
export function episodeRuns(offsets: Int32Array, done: Uint8Array): { runs: Runs; chainOf: Int32Array } {
  const bounds: number[] = [];
  const chainOf: number[] = [];
  for (let chain = 0; chain + 1 < offsets.length; chain++) {
    let from = offsets[chain];
    for (let t = from; t < offsets[chain + 1]; t++) {
      if (done[t] === 0 && t + 1 < offsets[chain + 1]) continue;
      bounds.push(from);
      chainOf.push(chain);
      from = t + 1;
    }
  }
  bounds.push(offsets[offsets.length - 1]);
  return { runs: maskRuns(Int32Array.from(bounds), null), chainOf: Int32Array.from(chainOf) };
}
