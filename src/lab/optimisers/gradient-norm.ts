import { InputError } from "../../rollouts/index.ts";
import { requireSameShape } from "../policies/arrays.ts";
import type { Parameters } from "../policies/policy.ts";

/**
 * Euclidean norm of all arrays together.
 * @throws InputError when a number is not finite.
 */
export function globalNorm(gradient: Parameters): number {
  let top = 0;
  for (const [name, values] of Object.entries(gradient)) {
    for (let k = 0; k < values.length; k++) {
      const size = Math.abs(values[k]);
      if (!(size < Number.POSITIVE_INFINITY)) {
        const place = { column: name, expected: "finite numbers", got: `${values[k]} at place ${k}` };
        throw new InputError("the gradient is not finite", {
          ...place,
          hint: "lower the learning rate, clip the gradient",
        });
      }
      if (size > top) top = size;
    }
  }
  if (top === 0) return 0;
  let sum = 0;
  for (const values of Object.values(gradient)) for (let k = 0; k < values.length; k++) sum += (values[k] / top) ** 2;
  return top * Math.sqrt(sum);
}

/**
 * Norm of a gradient that fits the parameters, and the factor that brings it within `maxNorm`.
 * @param maxNorm null: no bound.
 * @throws InputError when the gradient does not fit or is not finite.
 */
export function clipping(parameters: Parameters, gradient: Parameters, maxNorm: number | null): [number, number] {
  requireSameShape(gradient, parameters, "the gradient of a parameter");
  const norm = globalNorm(gradient);
  return [norm, maxNorm !== null && norm > maxNorm ? maxNorm / norm : 1];
}
