import { expect } from "vitest";
import { type AssignOptions, assign, methodParams } from "../../src/methods/assign.ts";
import { findMethod } from "../../src/methods/registry.ts";
import { type Batch, batchFromObjects, type RolloutObject, selectRollouts } from "../../src/rollouts/index.ts";

/** A column that a method writes, as plain numbers over all rollouts. */
export function credit(
  id: string,
  rollouts: readonly RolloutObject[],
  params: Record<string, unknown> = {},
  path = "rollout.advantage",
  options: AssignOptions = {},
): number[] {
  return Array.from(assign(batchFromObjects(rollouts), id, params, options).numbers(path));
}

/** What a method warns about. */
export function warningsOf(
  id: string,
  rollouts: readonly RolloutObject[],
  params: Record<string, unknown> = {},
): string[] {
  const said: string[] = [];
  assign(batchFromObjects(rollouts), id, params, { warn: (message) => said.push(message) });
  return said;
}

/** Expects the two passes of a method over pieces of the input to give what one call gives, to 1e-9. */
export function expectTwoPass(
  id: string,
  rollouts: readonly RolloutObject[],
  pieces: readonly (readonly number[])[],
  params: Record<string, unknown>,
): void {
  const { twoPass, writes } = findMethod(id);
  const settled = methodParams(findMethod(id), params);
  const whole = batchFromObjects(rollouts);
  const once = assign(whole, id, params);
  const parts = pieces.map((members) => selectRollouts(whole, members));
  // The state has to survive as JSON, as it does between workers.
  const state = parts.reduce<unknown>((known, part) => {
    return JSON.parse(JSON.stringify(twoPass?.collect(part, settled, known)));
  }, null);
  parts.forEach((part, k) => {
    const out = twoPass?.apply(part, settled, state) as Batch;
    for (const path of writes.filter((path) => once.has(path))) {
      const expected = selectRollouts(once, pieces[k]).numbers(path);
      const actual = out.numbers(path);
      expect(actual.length, path).toBe(expected.length);
      expected.forEach((x: number, row: number) => {
        expect(Math.abs(actual[row] - x), `${path}[${row}]`).toBeLessThan(1e-9);
      });
    }
  });
}
