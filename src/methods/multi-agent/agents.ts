import type { Pools } from "../../operators/pools.ts";
import type { Batch } from "../../rollouts/index.ts";

/**
 * Agent of every turn.
 * @throws InputError when a rollout lacks `turns.agent` or a turn has none.
 */
export function agentsOfTurns(batch: Batch): readonly string[] {
  const agents = batch.strings("turns.agent");
  const nameless = agents.indexOf(null);
  if (nameless >= 0) throw batch.wrongValue("turns.agent", nameless, "the name of an agent", "null");
  return agents as readonly string[];
}

/** One pool per (rollout, agent): the turns that an agent took in one rollout. */
export function poolByAgent(batch: Batch, agents: readonly string[]): Pools {
  const offsets = batch.offsets("turn");
  const of = new Int32Array(agents.length);
  let count = 0;
  for (let i = 0; i < batch.size; i++) {
    const known = new Map<string, number>();
    for (let row = offsets[i]; row < offsets[i + 1]; row++) {
      let pool = known.get(agents[row]);
      if (pool === undefined) {
        pool = count++;
        known.set(agents[row], pool);
      }
      of[row] = pool;
    }
  }
  return { of, count };
}

/** 1 on the first row of every pool, 0 on the others: each pool stands once in whatever its rows are part of. */
export function onceEach({ of, count }: Pools): Uint8Array {
  const seen = new Uint8Array(count);
  return Uint8Array.from(of, (pool) => {
    if (seen[pool] === 1) return 0;
    seen[pool] = 1;
    return 1;
  });
}
