import type { Random } from "./random.ts";

/** A draw from the standard normal distribution (Box and Muller; the second number of the pair is not kept). */
export function gaussian(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
}
