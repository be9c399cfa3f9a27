import type { Random } from "../random.ts";

/**
 * Numbers drawn evenly from [−bound, bound]: no function whose last bit differs between machines takes part, so equal
 * seeds give equal bits everywhere.
 */
export function uniformWithin(bound: number, length: number, random: Random): Float32Array {
  return Float32Array.from({ length }, () => (2 * random.uniform() - 1) * bound);
}

/** A weight matrix [inputs, outputs] that keeps the size of what passes through it (Glorot and Bengio, 2010). */
export function glorot(inputs: number, outputs: number, random: Random, scale = 1): Float32Array {
  return uniformWithin(scale * Math.sqrt(6 / (inputs + outputs)), inputs * outputs, random);
}
