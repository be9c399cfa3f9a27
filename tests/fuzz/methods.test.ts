import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AssignOptions, assign } from "../../src/methods/assign.ts";
import type { Method } from "../../src/methods/method.ts";
import { methods } from "../../src/methods/registry.ts";
import { type Batch, batchFromObjects, InputError, type RolloutObject } from "../../src/rollouts/index.ts";
import { creditCases, samples } from "../methods/samples.ts";
import { damaged } from "./damage.ts";

const credit = [...methods.values()].filter((method) => method.assign !== undefined);

/** Longest that one small batch may take, whatever is wrong with it. */
const longest = 2000;

/** Whether a number that is not finite stands anywhere in a value. */
function anyNonFinite(value: unknown): boolean {
  if (typeof value === "number") return !Number.isFinite(value);
  return value !== null && typeof value === "object" && Object.values(value).some(anyNonFinite);
}

/** New columns hold finite numbers only, and as many rows as their level. */
function sound(before: Batch, after: Batch): void {
  for (const path of after.paths) {
    const column = after.column(path);
    if (column === before.find(path)) continue;
    expect(column.values.length, path).toBe(after.count(column.level));
    for (const cell of after.cells(path)) if (anyNonFinite(cell)) expect.fail(`${path} holds ${JSON.stringify(cell)}`);
  }
}

/** The method gives sound columns, or refuses in words; it does not take its time. */
function creditsOrRefuses(method: Method, rollouts: readonly unknown[], params: object, options: AssignOptions): void {
  const started = performance.now();
  try {
    const batch = batchFromObjects(rollouts);
    const warned: string[] = [];
    const result = assign(batch, method, { ...params }, { ...options, warn: (message) => warned.push(message) });
    sound(batch, result);
    expect(warned.filter((message) => typeof message !== "string" || /NaN|Infinity|undefined/.test(message))).toEqual(
      [],
    );
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.message).not.toMatch(/\[object Object\]|NaN values/);
  }
  expect(performance.now() - started).toBeLessThan(longest);
}

const options: fc.Arbitrary<AssignOptions> = fc.record(
  { unscored: fc.constantFrom("stop", "leave-out"), branches: fc.constantFrom("paths", "trunk") },
  { requiredKeys: [] },
);

/** Rollouts of every level that no method asked for in particular. */
const plain: RolloutObject[] = [
  {
    id: "a",
    group: "g",
    reward: 1,
    tokens: { id: [1, 2, 3], mask: [1, 0, 1], logprob: [-0.5, 0, -1], value: [0.1, 0.2, 0.3] },
    turns: { end: [2, 3], reward: [0, 1], state: ["s", "t"], agent: ["p", "q"] },
    steps: { end: [1, 3], prm: [0.5, 0.25] },
  },
  {
    id: "b",
    group: "g",
    reward: 0,
    tokens: { id: [1], logprob: [-2], value: [0] },
    turns: { end: [1] },
    steps: { end: [1] },
  },
];

describe.each(credit.map((method) => [method.id, method] as const))("%s", (id, method) => {
  const cases = creditCases(id);
  const whole = cases.length > 0 ? samples(cases) : fc.constant({ params: {}, rollouts: plain });
  test("damaged rollouts are credited or refused", () => {
    const input = whole.chain(({ params, rollouts }) => fc.tuple(damaged(rollouts), fc.constant(params)));
    fc.assert(
      fc.property(input, options, ([rollouts, params], chosen) => creditsOrRefuses(method, rollouts, params, chosen)),
      { numRuns: 150 },
    );
  });

  test("nothing, empty rollouts and rollouts for other methods are credited or refused", () => {
    const given = cases.map(({ params }) => params ?? {});
    const bare = [{ id: "a" }, { id: "b", reward: 1, tokens: {}, turns: {}, steps: {}, reference: {}, edges: {} }];
    const empty = [{ id: "a", reward: 0, tokens: { id: [] }, turns: { end: [] }, steps: { end: [] } }];
    for (const params of [{}, ...given]) {
      for (const rollouts of [
        [],
        bare,
        empty,
        plain,
        [...plain, ...bare.map((one) => ({ ...one, id: `${one.id}2` }))],
      ]) {
        creditsOrRefuses(method, rollouts, params, {});
        creditsOrRefuses(method, rollouts, params, { unscored: "leave-out", branches: "paths" });
      }
    }
  });
});
