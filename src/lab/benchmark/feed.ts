import { Random } from "../random.ts";
import type { SoftmaxTable } from "../softmax-table.ts";
import { type Episodes, episodeRewards, playOn } from "./episodes.ts";
import type { ModelErrors, Oracles } from "./oracles.ts";

/** Where tokens stand: one for every action, and one for every observation that says something. */
export interface TokenLayout {
  /** Token of the action of each turn. */
  readonly actionToken: Int32Array;
  /** First token behind each turn. */
  readonly end: Int32Array;
  /** First token of each episode; length count + 1. */
  readonly offsets: Int32Array;
  readonly count: number;
}

/** What columns are made from. */
export interface Feed {
  readonly episodes: Episodes;
  readonly policy: SoftmaxTable;
  readonly oracles: Oracles;
  readonly errors: ModelErrors;
  /** Chance of what is sampled for the column that is being made. */
  readonly random: Random;
  readonly seed: number;
  readonly rewards: Float64Array;
  readonly layout: TokenLayout;
  /** Below this a true advantage counts as none. */
  readonly pivotalEps: number;
  /** What was sampled beyond the episodes themselves. */
  readonly extra: { turns: number };
}

/** Everything that columns are made from, for these episodes. */
export function feedOf(
  episodes: Episodes,
  policy: SoftmaxTable,
  oracles: Oracles,
  errors: ModelErrors,
  seed: number,
  pivotalEps: number,
): Feed {
  return {
    episodes,
    policy,
    oracles,
    errors,
    random: new Random(seed),
    seed,
    rewards: episodeRewards(episodes),
    layout: layoutOf(episodes),
    pivotalEps,
    extra: { turns: 0 },
  };
}

/** A feed for one column: its chance does not depend on which other columns are made. */
export function feedFor(feed: Feed, path: string): Feed {
  let hash = feed.seed;
  for (let k = 0; k < path.length; k++) hash = Math.imul(hash ^ path.charCodeAt(k), 0x01000193);
  return { ...feed, random: new Random(hash) };
}

function layoutOf({ model, count, turns, outcomes }: Episodes): TokenLayout {
  const actionToken = new Int32Array(outcomes.length);
  const end = new Int32Array(outcomes.length);
  const offsets = new Int32Array(count + 1);
  let token = 0;
  for (let i = 0; i < count; i++) {
    for (let t = turns[i]; t < turns[i + 1]; t++) {
      actionToken[t] = token;
      token += model.observation[outcomes[t]] === "" ? 1 : 2;
      end[t] = token;
    }
    offsets[i + 1] = token;
  }
  return { actionToken, end, offsets, count: token };
}

/** A number per turn; `make` gets the turn, its episode and whether it is the last of it. */
export function perTurn(feed: Feed, make: (turn: number, episode: number, last: boolean) => number): Float64Array {
  const { turns, count } = feed.episodes;
  const out = new Float64Array(turns[count]);
  for (let i = 0; i < count; i++) {
    for (let t = turns[i]; t < turns[i + 1]; t++) out[t] = make(t, i, t === turns[i + 1] - 1);
  }
  return out;
}

/** Numbers of turns on the tokens of their actions; 0 on observations. */
export function onTokens({ layout }: Feed, values: ArrayLike<number>): Float64Array {
  const out = new Float64Array(layout.count);
  for (let t = 0; t < values.length; t++) out[layout.actionToken[t]] = values[t];
  return out;
}

/** Rewards of an episode up to and including each turn. */
export function collected(feed: Feed): Float64Array {
  const { model, outcomes } = feed.episodes;
  let sum = 0;
  let episode = -1;
  return perTurn(feed, (t, i) => {
    if (i !== episode) sum = 0;
    episode = i;
    sum += model.reward[outcomes[t]];
    return sum;
  });
}

/** Sum of `many` continuations from a state, their turns counted as extra. */
export function continued(feed: Feed, state: number, many: number): number[] {
  const { model } = feed.episodes;
  if (model.rowOf[state] < 0) return new Array(many).fill(0);
  return Array.from({ length: many }, () => {
    const { reward, turns } = playOn(model, feed.policy, state, feed.random);
    feed.extra.turns += turns;
    return reward;
  });
}

/** First state of an episode. */
export function startOf({ episodes }: Feed, episode: number): number {
  return episodes.states[episodes.turns[episode]];
}

/** State behind a turn. */
export function stateAfter({ episodes }: Feed, turn: number): number {
  return episodes.model.next[episodes.outcomes[turn]];
}
