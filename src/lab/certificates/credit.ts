import { assign } from "../../methods/assign.ts";
import type { Method } from "../../methods/method.ts";
import { type Batch, batchFromObjects, InputError, type RolloutObject } from "../../rollouts/index.ts";

/** Where the credit of a method stands, and how it becomes a number per token. */
export interface CreditColumn {
  /** Columns that a policy gradient would train on, best first; which are there depends on the parameters. */
  paths: readonly string[];
  /** Whether the tokens of a rollout all have the same credit. */
  wholeRollout: boolean;
}

const advantages = ["tokens.advantage", "turns.advantage", "steps.advantage", "rollout.advantage"];
const returns = ["turns.return", "steps.return", "tokens.return"];
/** Rewards, of which what is still to come is summed up; returns and advantages are taken as they are. */
const rewards = ["turns.mixed_reward", "turns.reward_shaped", "tokens.reward", "turns.reward", "steps.reward"];
const outcomes = ["rollout.reward_shaped", "rollout.reward"];

/** The columns that a policy gradient would train on; null where the method writes none. */
export function creditColumn(method: Method): CreditColumn | null {
  const order = [...advantages, ...returns, ...rewards, ...outcomes];
  const paths = order.filter((name) => method.writes.includes(name));
  if (paths.length === 0) return null;
  const { granularity } = method.facts;
  const wholeRollout =
    paths[0].startsWith("rollout.") || granularity === "rollout" || granularity === "reward-function";
  return { paths, wholeRollout };
}

/** What the tokens of one rollout are credited with. */
export interface TokenCredit {
  /** Credit of every token. */
  credit: Float64Array;
  /** Credit times weight: what stands before ∇ log π in the policy gradient. */
  pull: Float64Array;
}

/** Numbers of a column per token of rollout i; rows that are missing count 0. */
function perToken(batch: Batch, rollout: RolloutObject, path: string, i: number): Float64Array {
  const tokens = batch.offsets("token");
  const length = tokens[i + 1] - tokens[i];
  const column = batch.column(path);
  const values = batch.numbers(path, { missing: 0, absent: 0 });
  const offsets = batch.offsets(column.level);
  const rows = Float64Array.from(values.subarray(offsets[i], offsets[i + 1]));
  if (rewards.includes(path)) for (let t = rows.length - 2; t >= 0; t--) rows[t] += rows[t + 1];
  if (column.level === "token") return rows;
  if (column.level === "rollout") return new Float64Array(length).fill(rows[0]);
  const { end: ends } = rollout[`${column.level}s`] as { end: readonly number[] };
  const spread = new Float64Array(length);
  for (let t = 0, k = 0; t < length; t++) {
    if (t === ends[k]) k++;
    spread[t] = rows[k];
  }
  return spread;
}

/** Runs a method on rollouts (one call) and reads the credit of every token. */
export function creditOf(
  method: Method,
  params: Readonly<Record<string, unknown>>,
  column: CreditColumn,
  rollouts: readonly RolloutObject[],
): TokenCredit[] {
  const result = assign(batchFromObjects(rollouts), method, params);
  const path = column.paths.find((name) => result.has(name));
  if (path === undefined) throw new InputError("no credit was written", { method: method.id });
  const weighted = path === "tokens.advantage" && method.writes.includes("tokens.weight");
  return rollouts.map((rollout, i) => {
    const credit = perToken(result, rollout, path, i);
    if (!weighted) return { credit, pull: credit };
    const weight = perToken(result, rollout, "tokens.weight", i);
    return { credit, pull: credit.map((value, t) => value * weight[t]) };
  });
}
