// Synthetic rollouts for the benchmarks: the same for both sides, from a seed.
import { Batch } from "../dist/index.js";

/** Numbers in [0, 1) from a seed (mulberry32). */
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Rollouts of `min` to `max` tokens with 0/1 rewards, values, log-probabilities and a mask that alternates runs of policy
 * tokens (50 to 450) with observations (20 to 120), as tool use does.
 */
export function jagged({ rollouts, min, max, group, seed }) {
  const random = generator(seed);
  const lengths = Array.from({ length: rollouts }, () => min + Math.floor(random() * (max - min + 1)));
  const offsets = new Int32Array(rollouts + 1);
  lengths.forEach((length, i) => {
    offsets[i + 1] = offsets[i] + length;
  });
  const tokens = offsets[rollouts];
  const value = new Float32Array(tokens).map(() => random());
  const mask = new Uint8Array(tokens).fill(1);
  for (let t = 0; t < tokens; ) {
    const from = t + 50 + Math.floor(random() * 400);
    t = from + 20 + Math.floor(random() * 100);
    mask.fill(0, Math.min(from, tokens), Math.min(t, tokens));
  }
  const rewards = new Float64Array(rollouts).map(() => (random() < 0.5 ? 1 : 0));
  const groups = Array.from({ length: rollouts }, (_, i) => Math.floor(i / group));
  return { lengths, offsets, tokens, value, mask, rewards, groups };
}

/** A numeric column that every rollout has. */
export function column(level, values) {
  return { kind: "number", level, values, valid: null, present: null };
}

/** A batch of token columns over jagged rollouts. */
export function batchOf({ offsets, groups, rewards }, columns) {
  return new Batch({
    ids: groups.map((_, i) => `r${i}`),
    groupNames: groups.map((group) => `g${group}`),
    levels: { token: { offsets, present: null } },
    columns: new Map([["rollout.reward", column("rollout", rewards)], ...Object.entries(columns)]),
  });
}
