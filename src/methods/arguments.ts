import { z } from "zod";
import { describe, InputError } from "../rollouts/index.ts";

/** A list of finite numbers. */
export const numberList = z.array(z.number());

/** Lists of finite numbers, each as long as it likes. */
export const numberRows = z.array(numberList);

/** A number from 0 to 1. */
export const probability = z.number().min(0).max(1);

/** 0 or 1. */
export const bit = z.union([z.literal(0), z.literal(1)], "0 or 1");

/** A whole number, 0 or more. */
export const count = z.int().min(0);

/**
 * Arguments of a card's function with defaults filled in.
 * @throws InputError naming the argument: missing, of another type, null, NaN, infinite or out of range.
 */
export function functionArgs<S extends z.ZodObject>(schema: S, given: unknown): z.output<S> {
  const parsed = z.safeParse(schema, given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue.path.reduce<unknown>(
    (value, key) => (value === null || value === undefined ? value : (value as Record<PropertyKey, unknown>)[key]),
    given,
  );
  const name = issue.path.length === 0 ? "arguments" : `argument ${issue.path.join(".")}`;
  throw new InputError(`${name} not valid`, { expected: issue.message, got: describe(at) });
}

/**
 * Checks that lists belong together.
 * @throws InputError naming the list that is not as long as the first one.
 */
export function sameLength(lists: Readonly<Record<string, { readonly length: number }>>): void {
  const [[first, { length }], ...others] = Object.entries(lists);
  for (const [name, list] of others) {
    if (list.length === length) continue;
    throw new InputError(`argument ${name} has another length than ${first}`, {
      expected: `${length}`,
      got: `${list.length}`,
    });
  }
}
