import type { Batch } from "../rollouts/index.ts";

/** Which pool each row belongs to (-1 = none), and how many pools there are. */
export interface Pools {
  readonly of: Int32Array;
  readonly count: number;
}

type RowLevel = "rollout" | "turn" | "step" | "token";

/** One pool per group. */
export function poolByGroup(batch: Batch, level: RowLevel): Pools {
  return batch.memo(`pool group ${level}`, () => {
    if (level === "rollout") return { of: batch.groupOf, count: batch.groupCount };
    const offsets = batch.offsets(level);
    const of = new Int32Array(batch.count(level));
    for (let i = 0; i < batch.size; i++) of.fill(batch.groupOf[i], offsets[i], offsets[i + 1]);
    return { of, count: batch.groupCount };
  }, []);
}

/** One pool for the whole call. */
export function poolOfCall(batch: Batch, level: RowLevel): Pools {
  return batch.memo(`pool call ${level}`, () => ({ of: new Int32Array(batch.count(level)), count: 1 }), []);
}

/** One pool per (group, row number within the rollout): the turns of one depth. */
export function poolByIndex(batch: Batch, level: "turn" | "step"): Pools {
  return batch.memo(`pool index ${level}`, () => {
    const offsets = batch.offsets(level);
    return poolByKeys(batch, level, (row, rollout) => row - offsets[rollout]);
  }, []);
}

/** One pool per (group, key of the row), for example the agent or the state; rows with key `null` are in none. */
export function poolByKeys(
  batch: Batch,
  level: RowLevel,
  keyOf: (row: number, rollout: number) => string | number | null,
): Pools {
  const offsets = batch.offsets(level);
  const of = new Int32Array(batch.count(level));
  const byGroup = new Map<number, Map<string | number, number>>();
  let count = 0;
  for (let i = 0; i < batch.size; i++) {
    let pools = byGroup.get(batch.groupOf[i]);
    if (pools === undefined) {
      pools = new Map();
      byGroup.set(batch.groupOf[i], pools);
    }
    for (let row = offsets[i]; row < offsets[i + 1]; row++) {
      const key = keyOf(row, i);
      if (key === null) {
        of[row] = -1;
        continue;
      }
      let pool = pools.get(key);
      if (pool === undefined) {
        pool = count++;
        pools.set(key, pool);
      }
      of[row] = pool;
    }
  }
  return { of, count };
}
