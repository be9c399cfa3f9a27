import { z } from "zod";
import { InputError } from "../../rollouts/index.ts";
import { numberRows } from "../arguments.ts";

/** Numbers of a state, an action and a next state: list[s][a][t]. */
export const numberBlocks = z.array(numberRows);

/** Most that a distribution may be off a sum of 1. */
const sumTolerance = 1e-6;

function wrongLength(name: string, expected: number, got: number): InputError {
  return new InputError(`argument ${name} has the wrong length`, { expected: `${expected}`, got: `${got}` });
}

/** Checks that a list holds `length` entries. */
export function requireLength(list: { readonly length: number }, length: number, name: string): void {
  if (list.length !== length) throw wrongLength(name, length, list.length);
}

/**
 * Nested lists as one array, row by row.
 * @param shape lengths that the lists must have.
 * @throws InputError naming the list of another length.
 */
export function tensorOf(nested: readonly (readonly (readonly number[])[])[], shape: readonly number[], name: string) {
  const [n, m, k] = shape;
  requireLength(nested, n, name);
  const out = new Float64Array(n * m * k);
  nested.forEach((rows, s) => {
    requireLength(rows, m, `${name}.${s}`);
    rows.forEach((row, a) => {
      requireLength(row, k, `${name}.${s}.${a}`);
      out.set(row, (s * m + a) * k);
    });
  });
  return out;
}

/**
 * Checks that numbers are probabilities that sum to 1 within 1e-6.
 * @throws InputError naming the first one below 0, or the list.
 */
export function requireDistribution(list: readonly number[], length: number, name: string): void {
  requireLength(list, length, name);
  const negative = list.findIndex((p) => p < 0);
  if (negative >= 0)
    throw new InputError(`argument ${name}.${negative} not valid`, {
      expected: "a probability",
      got: `${list[negative]}`,
    });
  const sum = list.reduce((total, p) => total + p, 0);
  if (Math.abs(sum - 1) > sumTolerance)
    throw new InputError(`argument ${name} does not sum to 1`, { expected: `1 within ${sumTolerance}`, got: `${sum}` });
}

/** Transition probabilities P[s][a][t] as one array, with their numbers of states and actions. */
export function transitionsOf(nested: readonly (readonly (readonly number[])[])[], name = "transition") {
  const states = nested.length;
  const actions = nested[0]?.length ?? 0;
  if (actions === 0)
    throw new InputError(`argument ${name} not valid`, { expected: "at least one state and action", got: "none" });
  const transition = tensorOf(nested, [states, actions, states], name);
  nested.forEach((rows, s) => {
    rows.forEach((row, a) => {
      requireDistribution(row, states, `${name}.${s}.${a}`);
    });
  });
  return { states, actions, transition };
}

/** A policy π[s][a] as one array. */
export function policyOf(rows: readonly (readonly number[])[], states: number, actions: number, name = "policy") {
  requireLength(rows, states, name);
  rows.forEach((row, s) => {
    requireDistribution(row, actions, `${name}.${s}`);
  });
  return Float64Array.from(rows.flat());
}

/** An array as nested lists [n][m][k]. */
export function nestedOf(values: Float64Array, [, m, k]: readonly number[]): number[][][] {
  const rows = Array.from({ length: values.length / k }, (_, i) => [...values.subarray(i * k, (i + 1) * k)]);
  return Array.from({ length: rows.length / m }, (_, s) => rows.slice(s * m, (s + 1) * m));
}
