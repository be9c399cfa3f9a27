import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { methods } from "../../src/methods/registry.ts";
import { InputError } from "../../src/rollouts/index.ts";
import { vectorFiles } from "../methods/samples.ts";
import { mutated, oddValue } from "./mutate.ts";

/** Longest that one small call may take, whatever is wrong with its arguments. */
const longest = 2000;

/** Where a number that is not finite stands in a value. */
function nonFinite(value: unknown, path = "the result"): string | null {
  if (typeof value === "number") return Number.isFinite(value) ? null : `${path} is ${value}`;
  if (value === null || typeof value !== "object") return null;
  for (const [key, cell] of Object.entries(value)) {
    const found = nonFinite(cell, `${path}.${key}`);
    if (found !== null) return found;
  }
  return null;
}

/** Copies of a value in which one whole number each is a thousand million. */
function* inflated(value: unknown, depth = 0): Generator<unknown> {
  if (Number.isInteger(value)) yield 1e9;
  if (value === null || typeof value !== "object" || depth > 3) return;
  for (const [key, cell] of Object.entries(value).slice(0, 8)) {
    for (const big of inflated(cell, depth + 1)) yield Object.assign(structuredClone(value), { [key]: big });
  }
}

const functions = [...methods.values()].flatMap(({ id, functions: own = {}, infinite = [] }) =>
  Object.entries(own).map(([name, call]) => ({ id, name, call, infinite })),
);

describe.each(functions)("$id: $name", ({ id, name, call, infinite }) => {
  const cases = (vectorFiles.get(id)?.cases ?? []).filter((one) => one.function === name && one.expect.error !== true);

  test("damaged arguments give a finite result or are refused", async () => {
    const args = fc.oneof(
      { weight: 1, arbitrary: oddValue },
      ...cases.map((one) => ({ weight: 8, arbitrary: mutated(one.args) })),
    );
    await fc.assert(
      fc.asyncProperty(args, async (given) => {
        const started = performance.now();
        try {
          const result = await call(structuredClone(given));
          if (!infinite.includes(name)) expect(nonFinite(result)).toBe(null);
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
        }
        expect(performance.now() - started).toBeLessThan(longest);
      }),
      { numRuns: 100 },
    );
  });

  test("an absurd size is refused or takes no room", async () => {
    for (const { args } of cases.slice(0, 4)) {
      for (const given of inflated(args)) {
        const started = performance.now();
        try {
          await call(given);
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
        }
        expect(performance.now() - started).toBeLessThan(longest);
      }
    }
  });
});
