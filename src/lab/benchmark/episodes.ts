import type { ExactModel } from "../exact/model.ts";
import type { Random } from "../random.ts";
import type { SoftmaxTable } from "../softmax-table.ts";

/** Episodes of a policy in a model, turn after turn in flat arrays. Episodes `size · g .. size · (g + 1)` are group g. */
export interface Episodes {
  readonly model: ExactModel;
  /** Episodes per group. */
  readonly size: number;
  readonly count: number;
  /** First turn of each episode; length count + 1. */
  readonly turns: Int32Array;
  /** State before each turn. */
  readonly states: Int32Array;
  readonly rows: Int32Array;
  /** Column of the action of each turn. */
  readonly actions: Int32Array;
  /** Outcome number of each turn: reward, observation and next state follow from it. */
  readonly outcomes: Int32Array;
}

/** An outcome drawn for an action in a state. */
function follow(model: ExactModel, state: number, action: number, random: Random): number {
  let option = model.options[state];
  while (model.actionOf[option] !== action) option++;
  const from = model.outcomes[option];
  const to = model.outcomes[option + 1];
  return to - from === 1 ? from : from + random.choose(model.probability.subarray(from, to));
}

/**
 * Starts of a group: rollouts of one prompt see the same, so all starts of a group look alike; what is hidden is drawn anew
 * in each of them.
 */
function startsAlike(model: ExactModel, random: Random): { states: number[]; odds: number[] } {
  const row = model.rowOf[model.starts[random.choose(model.starts.map(({ probability }) => probability))].state];
  const alike = model.starts.filter(({ state }) => model.rowOf[state] === row);
  return { states: alike.map(({ state }) => state), odds: alike.map(({ probability }) => probability) };
}

/** Samples groups of episodes. Equal states of `random` give equal episodes. */
export function sampleEpisodes(
  model: ExactModel,
  policy: SoftmaxTable,
  groups: number,
  size: number,
  random: Random,
): Episodes {
  const turns = new Int32Array(groups * size + 1);
  const states: number[] = [];
  const rows: number[] = [];
  const actions: number[] = [];
  const outcomes: number[] = [];
  for (let g = 0; g < groups; g++) {
    const start = startsAlike(model, random);
    const whole = start.odds.reduce((sum, p) => sum + p, 0);
    const odds = start.odds.map((p) => p / whole);
    for (let k = 0; k < size; k++) {
      let state = odds.length === 1 ? start.states[0] : start.states[random.choose(odds)];
      while (model.rowOf[state] >= 0) {
        const row = model.rowOf[state];
        const action = policy.sample(row, random);
        const outcome = follow(model, state, action, random);
        states.push(state);
        rows.push(row);
        actions.push(action);
        outcomes.push(outcome);
        state = model.next[outcome];
      }
      turns[g * size + k + 1] = states.length;
    }
  }
  return {
    model,
    size,
    count: groups * size,
    turns,
    states: Int32Array.from(states),
    rows: Int32Array.from(rows),
    actions: Int32Array.from(actions),
    outcomes: Int32Array.from(outcomes),
  };
}

/** What is still won from a state on, played once, and how many turns that takes. */
export function playOn(
  model: ExactModel,
  policy: SoftmaxTable,
  from: number,
  random: Random,
  choose: (row: number) => number = (row) => policy.sample(row, random),
): { reward: number; turns: number } {
  let state = from;
  let reward = 0;
  let turns = 0;
  while (model.rowOf[state] >= 0) {
    const outcome = follow(model, state, choose(model.rowOf[state]), random);
    reward += model.reward[outcome];
    state = model.next[outcome];
    turns++;
  }
  return { reward, turns };
}

/** An outcome of a given action in a state: for what-if plays. */
export function outcomeOf(model: ExactModel, state: number, action: number, random: Random): number {
  return follow(model, state, action, random);
}

/** Reward of every episode: the sum over its turns. */
export function episodeRewards({ model, count, turns, outcomes }: Episodes): Float64Array {
  const rewards = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    for (let t = turns[i]; t < turns[i + 1]; t++) rewards[i] += model.reward[outcomes[t]];
  }
  return rewards;
}
