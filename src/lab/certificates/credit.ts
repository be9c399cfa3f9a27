import { assign } from "../../methods/assign.ts";
import type { Method } from "../../methods/method.ts";
import { type Batch, batchFromObjects, type RolloutObject } from "../../rollouts/index.ts";
import { specials } from "./specials.ts";

/** Where the credit of a method stands, and how it becomes a number per token. */
export interface CreditColumn {
  path: string;
  /** Whether it is a reward, of which what is still to come is summed up; a return or an advantage is taken as it is. */
  toGo: boolean;
  /** Column of how much a token counts, where the method writes one. */
  weight: string | null;
  /** Whether the tokens of a rollout all have the same credit. */
  wholeRollout: boolean;
}

const advantages = ["tokens.advantage", "turns.advantage", "steps.advantage", "rollout.advantage"];
const returns = ["turns.return", "steps.return", "tokens.return"];
const rewards = ["turns.mixed_reward", "turns.reward_shaped", "tokens.reward", "turns.reward", "steps.reward"];

/** The column that a policy gradient would train on; null where the method writes none. */
export function creditColumn(method: Method): CreditColumn | null {
  const asked = specials[method.id]?.credit;
  if (asked === null) return null;
  const order = [...advantages, ...returns, ...rewards, "rollout.reward"];
  const path = asked ?? order.find((name) => method.writes.includes(name));
  if (path === undefined) return null;
  const weight = path === "tokens.advantage" && method.writes.includes("tokens.weight") ? "tokens.weight" : null;
  const { granularity } = method.facts;
  const wholeRollout = path.startsWith("rollout.") || granularity === "rollout" || granularity === "reward-function";
  return { path, toGo: rewards.includes(path), weight, wholeRollout };
}

/** What the tokens of one rollout are credited with. */
export interface TokenCredit {
  /** Credit of every token. */
  credit: Float64Array;
  /** Credit times weight: what stands before ∇ log π in the policy gradient. */
  pull: Float64Array;
}

/** Numbers of a column per token of rollout i; rows that are missing count 0. */
function perToken(batch: Batch, rollout: RolloutObject, path: string, i: number, toGo: boolean): Float64Array {
  const tokens = batch.offsets("token");
  const length = tokens[i + 1] - tokens[i];
  const column = batch.column(path);
  const values = batch.numbers(path, { missing: 0, absent: 0 });
  const offsets = batch.offsets(column.level);
  const rows = Float64Array.from(values.subarray(offsets[i], offsets[i + 1]));
  if (toGo) for (let t = rows.length - 2; t >= 0; t--) rows[t] += rows[t + 1];
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
  return rollouts.map((rollout, i) => {
    const credit = perToken(result, rollout, column.path, i, column.toGo);
    if (column.weight === null) return { credit, pull: credit };
    const weight = perToken(result, rollout, column.weight, i, false);
    return { credit, pull: credit.map((value, t) => value * weight[t]) };
  });
}
