import fc from "fast-check";
import { expect, test } from "vitest";
import { type Pools, poolByGroup, poolByIndex, poolByKeys, poolOfCall } from "../../src/operators/pools.ts";
import { batchFromObjects, type RolloutObject } from "../../src/rollouts/index.ts";

const rollouts = fc
  .array(
    fc.record({
      group: fc.constantFrom(null, "p", "q"),
      agents: fc.array(fc.constantFrom("planner", "solver", null), { maxLength: 4 }),
    }),
    { maxLength: 7 },
  )
  .map((list) =>
    list.map(
      ({ group, agents }, i): RolloutObject => ({
        id: `r${i}`,
        group,
        turns: { agent: agents, reward: agents.map(() => 0) },
      }),
    ),
  );

/** Expects rows to share a pool exactly where they share a key; rows with key null stand in none. */
function expectPools({ of, count }: Pools, keys: readonly (string | null)[]): void {
  expect(of).toHaveLength(keys.length);
  keys.forEach((key, a) => {
    if (key === null) expect(of[a]).toBe(-1);
    else for (let b = 0; b < keys.length; b++) expect(of[a] === of[b]).toBe(key === keys[b]);
  });
  const known = new Set(keys.filter((key) => key !== null));
  expect(Math.max(-1, ...of)).toBeLessThan(count);
  expect(new Set([...of].filter((pool) => pool >= 0)).size).toBe(known.size);
}

/** A rollout without a group is alone. */
const groupKey = (rollout: RolloutObject) => rollout.group ?? `alone ${rollout.id}`;
const turnsOf = (rollout: RolloutObject) => (rollout.turns?.agent ?? []) as (string | null)[];

test("rows share a pool where they share group, place, agent or the call", () => {
  fc.assert(
    fc.property(rollouts, (list) => {
      const batch = batchFromObjects(list);
      expectPools(poolByGroup(batch, "rollout"), list.map(groupKey));
      expectPools(
        poolByGroup(batch, "turn"),
        list.flatMap((rollout) => turnsOf(rollout).map(() => groupKey(rollout))),
      );
      expectPools(
        poolByIndex(batch, "turn"),
        list.flatMap((rollout) => turnsOf(rollout).map((_, k) => `${groupKey(rollout)} ${k}`)),
      );
      const agents = list.flatMap(turnsOf);
      expectPools(
        poolByKeys(batch, "turn", (row) => agents[row]),
        list.flatMap((rollout) =>
          turnsOf(rollout).map((agent) => (agent === null ? null : `${groupKey(rollout)} ${agent}`)),
        ),
      );
      expectPools(
        poolOfCall(batch, "turn"),
        agents.map(() => "call"),
      );
    }),
  );
});

test("numbers and strings are different keys", () => {
  const batch = batchFromObjects([{ id: "a", turns: { reward: [0, 0] } }]);
  const { of } = poolByKeys(batch, "turn", (row) => (row === 0 ? 1 : "1"));
  expect(of[0]).not.toBe(of[1]);
});
