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

/** A count of rows that are made for it: more of them than this do not fit in memory. */
export const rowCount = count.max(10_000_000);

const camelCase = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Whether an argument may be left out but not be null: callers in other languages then write null for "not given". */
function isOptional(shape: z.core.$ZodShape, name: string): boolean {
  if (!Object.hasOwn(shape, name)) return false;
  const schema = shape[name];
  return !z.safeParse(schema, null).success && z.safeParse(schema, undefined).success;
}

/**
 * The arguments under the names of the schema: cards write some in snake_case and some in camelCase, so both are taken.
 * Null in place of an argument that has a default is left out.
 */
function respelled(schema: z.ZodObject, given: unknown): unknown {
  if (given === null || typeof given !== "object") return given;
  const names = new Map(Object.keys(schema.shape).map((name) => [camelCase(name), name]));
  const known = Object.entries(given).map(([name, value]) => [names.get(camelCase(name)) ?? name, value]);
  return Object.fromEntries(known.filter(([name, value]) => value !== null || !isOptional(schema.shape, name)));
}

/**
 * Arguments of a card's function with defaults filled in. Names may be in snake_case or in camelCase, and null stands for
 * an argument with a default that is not given.
 * @throws InputError naming the argument: missing, of another type, null, NaN, infinite or out of range.
 */
export function functionArgs<S extends z.ZodObject>(schema: S, args: unknown): z.output<S> {
  const given = respelled(schema, args);
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
  const [[first, { length }] = ["", []], ...others] = Object.entries(lists);
  for (const [name, list] of others) {
    if (list.length === length) continue;
    throw new InputError(`argument ${name} has another length than ${first}`, {
      expected: `${length}`,
      got: `${list.length}`,
    });
  }
}

/**
 * Checks that these are the ends of consecutive spans of `length` tokens: strictly increasing, the last one `length`.
 * @throws InputError naming the argument.
 */
export function tokenEnds(ends: readonly number[], length: number, name: string): void {
  const wrong = ends.findIndex((end, k) => end <= (k === 0 ? 0 : ends[k - 1]));
  if (wrong >= 0) throw new InputError(`argument ${name} does not increase`, { got: `${ends[wrong]} at ${wrong}` });
  const last = ends[ends.length - 1] ?? 0;
  if (last !== length)
    throw new InputError(`argument ${name} does not end with the tokens`, { expected: `${length}`, got: `${last}` });
}
