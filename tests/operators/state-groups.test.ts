import fc from "fast-check";
import { expect, test } from "vitest";
import { poolBySimilarState, poolByState } from "../../src/operators/state-groups.ts";
import { textSimilarity } from "../../src/operators/text.ts";
import { batchFromObjects, InputError } from "../../src/rollouts/index.ts";

/** Rollouts of up to three interleaved groups, each a list of states. */
function rolloutsOf(state: fc.Arbitrary<string | number | null>) {
  return fc
    .array(fc.tuple(fc.constantFrom("a", "b", null), fc.array(state, { maxLength: 5 })), { minLength: 1, maxLength: 6 })
    .map((list) => list.map(([group, states], i) => ({ id: `r${i}`, group, turns: { state: states } })));
}

/** Pools as sets: for each row the rows it shares its pool with. */
function partners(of: ArrayLike<number>): number[][] {
  const all = Array.from(of);
  return all.map((pool) => all.flatMap((other, row) => (other === pool && pool >= 0 ? [row] : [])));
}

test("rows share a pool exactly when group and state are equal", () => {
  fc.assert(
    fc.property(rolloutsOf(fc.constantFrom("x", "y", "1", 1, 2.5, null)), (rollouts) => {
      const rows = rollouts.flatMap(({ id, group, turns }) =>
        turns.state.map((state) => ({ home: group ?? `alone ${id}`, state })),
      );
      const { of, count } = poolByState(batchFromObjects(rollouts));
      expect(partners(of)).toEqual(
        rows.map((row) =>
          rows.flatMap((other, k) =>
            row.state !== null && other.home === row.home && other.state === row.state ? [k] : [],
          ),
        ),
      );
      expect(count).toBe(new Set(of).size - (of.includes(-1) ? 1 : 0));
    }),
    { numRuns: 200 },
  );
});

test("similar states: the first cluster of the group whose first member is close enough, in file order", () => {
  const states = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 6 });
  fc.assert(
    fc.property(rolloutsOf(states), fc.double({ min: 0.1, max: 0.95, noNaN: true }), (rollouts, threshold) => {
      const clusters: { home: string; first: string; rows: number[] }[] = [];
      let row = 0;
      for (const { id, group, turns } of rollouts) {
        for (const state of turns.state as string[]) {
          const home = group ?? `alone ${id}`;
          let found = clusters.find((c) => c.home === home && textSimilarity(state, c.first) >= threshold);
          if (found === undefined) {
            found = { home, first: state, rows: [] };
            clusters.push(found);
          }
          found.rows.push(row++);
        }
      }
      const expected = Array.from({ length: row }, (_, k) => clusters.find((c) => c.rows.includes(k))?.rows);
      expect(partners(poolBySimilarState(batchFromObjects(rollouts), threshold).of)).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

test("a state that is neither text nor a number is refused, and one that is not text when texts are compared", () => {
  const batch = (state: unknown[]) => batchFromObjects([{ id: "r", turns: { state } }]);
  expect(() => poolByState(batch(["x", { page: 1 }]))).toThrow(/turns row 1.*turns\.state|turns\.state.*turns row 1/);
  expect(() => poolBySimilarState(batch(["x", 1]), 0.5)).toThrow(InputError);
  expect(() => poolBySimilarState(batch([1, 2]), 0.5)).toThrow(InputError);
  const lacking = batchFromObjects([
    { id: "r", turns: { state: ["x"] } },
    { id: "s", turns: { reward: [1] } },
  ]);
  expect(() => poolByState(lacking)).toThrow(/"s".*turns\.state/);
});

test("states of steps", () => {
  const batch = batchFromObjects([{ id: "r", steps: { page: ["p", "q", "p"] } }]);
  expect([...poolByState(batch, "steps.page").of]).toEqual([0, 1, 0]);
});
