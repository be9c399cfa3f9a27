import type { Coefficients, Parameters, Policy, Recorded } from "../../src/lab/policies/policy.ts";

/** What the gradient of a policy is the gradient of. */
export function objective(policy: Policy, traces: readonly Recorded[], given: Coefficients): number {
  const { logprob, entropy, value } = policy.evaluate(traces);
  let sum = 0;
  for (let t = 0; t < logprob.length; t++) {
    sum += given.logprob[t] * logprob[t] + (given.entropy?.[t] ?? 0) * entropy[t];
    if (value !== null) sum += (given.value?.[t] ?? 0) * value[t];
  }
  return sum;
}

/** Central differences of a function of the parameters, at some entries of each array. */
export function differences(
  policy: Policy,
  entries: Record<string, readonly number[]>,
  step: number,
  measure: () => number,
): Parameters {
  const made: Parameters = {};
  for (const [name, places] of Object.entries(entries)) {
    const values = policy.parameters()[name];
    made[name] = Float64Array.from(places, (k) => {
      const kept = values[k];
      const at = (x: number) => {
        values[k] = x;
        policy.changed();
        return [measure(), values[k]];
      };
      const [above, high] = at(kept + step);
      const [below, low] = at(kept - step);
      at(kept);
      return (above - below) / (high - low);
    });
  }
  return made;
}
