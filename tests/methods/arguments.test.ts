import { expect, test } from "vitest";
import { z } from "zod";
import { functionArgs } from "../../src/methods/arguments.ts";
import { InputError } from "../../src/rollouts/index.ts";

const schema = z.object({
  values: z.array(z.number()),
  max_length: z.number().default(7),
  scale: z.number().optional(),
  weights: z.array(z.number()).nullable().default([1]),
});

test("arguments go by either spelling, and null stands for one with a default that is not given", () => {
  expect(functionArgs(schema, { values: [1], maxLength: 3 })).toEqual({ values: [1], max_length: 3, weights: [1] });
  expect(functionArgs(schema, { values: [], max_length: null, scale: null })).toEqual({
    values: [],
    max_length: 7,
    weights: [1],
  });
});

test("null stays null where it has a meaning, and is refused where something is needed", () => {
  expect(functionArgs(schema, { values: [], weights: null }).weights).toBeNull();
  for (const args of [null, {}, { values: null }, { values: [null] }, { values: [], max_length: "3" }])
    expect(() => functionArgs(schema, args)).toThrow(InputError);
});
