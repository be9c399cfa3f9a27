import fc from "fast-check";
import { expect } from "vitest";
import { Batch, type Column, type RolloutObject } from "../../src/rollouts/index.ts";

/** Numbers of every size that a sum still holds exactly enough to be compared. */
export const numbers = fc
  .oneof(
    fc.constantFrom(0, 1, -1, 0.1, 0.5),
    fc.double({ min: -1000, max: 1000, noNaN: true }),
    fc.integer({ min: -3, max: 3 }),
  )
  // One zero is enough.
  .map((x) => x + 0);

export const bits = fc.constantFrom(0, 1);

/** A column of token cells and the mask that belongs to it, 0 to 9 tokens. */
export const masked = fc.array(fc.tuple(numbers, bits), { maxLength: 9 });

/** Chains of masked rows laid one after another, with what an operator wants to know about them. */
export const chains = fc.array(masked, { maxLength: 5 }).map((lists) => {
  const rows = lists.flat();
  const offsets = new Int32Array(lists.length + 1);
  for (const [c, list] of lists.entries()) offsets[c + 1] = offsets[c] + list.length;
  return {
    offsets,
    values: Float64Array.from(rows, ([x]) => x),
    mask: Uint8Array.from(rows, ([, m]) => m),
    perChain: lists.map((_, c) => 0.5 * c - 1),
  };
});

/** Rows in up to four pools (-1 = in none), some of them not valid. */
export const pooled = fc
  .array(fc.record({ x: numbers, pool: fc.integer({ min: -1, max: 3 }), valid: bits, weight: fc.nat(4) }), {
    maxLength: 14,
  })
  .map((rows) => ({
    rows,
    values: Float64Array.from(rows, ({ x }) => x),
    pools: { of: Int32Array.from(rows, ({ pool }) => pool), count: 4 },
    valid: Uint8Array.from(rows, ({ valid }) => valid),
    weights: Float64Array.from(rows, ({ weight }) => weight),
  }));

const groupNames = fc.constantFrom(null, "p", "q", "r");

/** Rollouts in interleaved groups with token columns, a mask here and there, and empty responses. */
export const tokenRollouts = fc
  .array(
    fc.record({
      group: groupNames,
      reward: numbers,
      tokens: fc.array(fc.record({ mask: bits, x: numbers, y: numbers }), { maxLength: 7 }),
      hasMask: fc.boolean(),
      hasX: fc.boolean(),
    }),
    { maxLength: 7 },
  )
  .map((rollouts) =>
    rollouts.map(({ group, reward, tokens, hasMask, hasX }, i): RolloutObject => {
      const table: Record<string, number[]> = { y: tokens.map(({ y }) => y) };
      if (hasMask) table.mask = tokens.map(({ mask }) => mask);
      if (hasX) table.x = tokens.map(({ x }) => x);
      return { id: `r${i}`, ...(group === null ? {} : { group }), reward, tokens: table };
    }),
  );

/** Token cells of a rollout that the policy wrote. */
export function policyCells(rollout: RolloutObject, name: string): number[] {
  const cells = (rollout.tokens?.[name] ?? []) as number[];
  const mask = rollout.tokens?.mask as number[] | undefined;
  return cells.filter((_, t) => mask === undefined || mask[t] === 1);
}

/** The same batch with every float column in single precision. */
export function inSinglePrecision(batch: Batch): Batch {
  const columns = new Map<string, Column>(batch.parts.columns);
  for (const [path, column] of columns) {
    if (column.kind === "number" && column.values instanceof Float64Array)
      columns.set(path, { ...column, values: Float32Array.from(column.values) });
  }
  return new Batch({ ...batch.parts, columns });
}

/** Expects two lists of numbers to agree within a distance that is relative above 1. */
export function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-9): void {
  expect(actual.length).toBe(expected.length);
  for (let k = 0; k < expected.length; k++) {
    const room = tolerance * Math.max(1, Math.abs(expected[k]));
    if (!(Math.abs(actual[k] - expected[k]) <= room)) {
      expect.fail(`[${k}] of ${Array.from(actual).join(", ")} should be ${expected[k]}`);
    }
  }
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}
