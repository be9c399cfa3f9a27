import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";

/**
 * Advantage that a method gives to every rollout of some groups of which only the rewards are known, group after group.
 * @param signals further numbers of every rollout, in the same order.
 */
export function advantagesOf(
  method: string,
  groups: readonly (readonly number[])[],
  params: Readonly<Record<string, unknown>> = {},
  signals?: (group: number, member: number) => Readonly<Record<string, number>>,
): Float64Array {
  const rollouts = groups.flatMap((rewards, g) =>
    rewards.map((reward, i) => ({
      id: `${g}-${i}`,
      group: `${g}`,
      reward,
      ...(signals && { signals: signals(g, i) }),
    })),
  );
  return Float64Array.from(assign(batchFromObjects(rollouts), method, params).numbers("rollout.advantage"));
}
