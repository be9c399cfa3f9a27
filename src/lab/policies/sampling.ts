import { InputError } from "../../rollouts/index.ts";
import type { Sampling } from "./policy.ts";

/** @throws InputError when an option is out of its range. */
export function requireSampling({ temperature = 1, topP = 1, maxTokens = 1 }: Sampling): void {
  const check = (isRight: boolean, column: string, expected: string, got: number) => {
    if (!isRight) throw new InputError("a sampling option is out of range", { column, expected, got: String(got) });
  };
  check(temperature >= 0 && temperature < Number.POSITIVE_INFINITY, "temperature", "a number from 0", temperature);
  check(topP > 0 && topP <= 1, "topP", "a number above 0, at most 1", topP);
  check(Number.isInteger(maxTokens) && maxTokens >= 1, "maxTokens", "a whole number from 1", maxTokens);
}
