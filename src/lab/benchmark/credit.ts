import type { Method } from "../../methods/method.ts";
import type { Batch } from "../../rollouts/index.ts";
import type { Feed } from "./feed.ts";

/** What a method says about every turn. */
export interface Credit {
  /** The column that it was read from. */
  column: string;
  /** Credit of each turn, as a policy gradient would use it. */
  values: Float64Array;
  /** Weight of each turn in the loss; `null` = 1 everywhere. */
  weights: Float64Array | null;
}

/** Columns of credit, the first that a method writes is taken. */
const advantages = ["tokens.advantage", "turns.advantage", "steps.advantage", "rollout.advantage"];
const returns = ["turns.return", "steps.return", "tokens.return"];
/** Rewards that a method makes for a trainer: what a turn gets is their sum from there on. */
const rewards = [
  "turns.reward_shaped",
  "turns.redistributed_reward",
  "turns.mixed_reward",
  "turns.shaped_reward",
  "turns.reward",
  "steps.reward",
  "tokens.reward",
  "rollout.reward_shaped",
  "rollout.reward",
];

/** Whether a method writes anything that a policy gradient could follow: not so labels for a model, or weights of pairs. */
export function givesCredit(method: Method): boolean {
  return columns.some((path) => method.writes.includes(path));
}

const columns = [...advantages, ...returns, ...rewards];

const keyOf = (path: string) => path.slice(0, path.indexOf("."));

/** Rows of a column, one per turn: token columns at the token of the action, rollout columns for every turn alike. */
function onTurns(batch: Batch, feed: Feed, path: string): Float64Array {
  const { turns, count } = feed.episodes;
  const values = batch.numbers(path, { missing: 0, absent: 0 });
  const out = new Float64Array(turns[count]);
  const key = keyOf(path);
  if (key === "rollout") {
    for (let i = 0; i < count; i++) out.fill(values[i], turns[i], turns[i + 1]);
    return out;
  }
  if (key !== "tokens") return Float64Array.from(values);
  for (let t = 0; t < out.length; t++) out[t] = values[feed.layout.actionToken[t]];
  return out;
}

/** Sum of rewards from each turn to the end of its episode. */
function fromHereOn(feed: Feed, values: Float64Array): Float64Array {
  const { turns, count } = feed.episodes;
  for (let i = 0; i < count; i++) {
    for (let t = turns[i + 1] - 2; t >= turns[i]; t--) values[t] += values[t + 1];
  }
  return values;
}

/** The credit that a method has added to a batch; `null` when it has added none. */
export function creditOf(before: Batch, after: Batch, feed: Feed, method: Method): Credit | null {
  const isNew = (path: string) =>
    method.writes.includes(path) && after.has(path) && after.find(path) !== before.find(path);
  const column = columns.find(isNew);
  if (column === undefined) return null;
  const values = onTurns(after, feed, column);
  const isReward = rewards.includes(column) && keyOf(column) !== "rollout";
  const weight = `${keyOf(column)}.weight`;
  return {
    column,
    values: isReward ? fromHereOn(feed, values) : values,
    weights: isNew(weight) ? onTurns(after, feed, weight) : null,
  };
}
