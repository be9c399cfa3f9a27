import { type Batch, batchFromObjects, type RolloutObject } from "../../rollouts/index.ts";
import { Vocabulary } from "../environments/vocabulary.ts";
import type { Policy } from "../policies/policy.ts";
import { type PolicyRows, policyRows } from "./credit.ts";
import { callOf, choosesActions, type Episode, goldCalls } from "./episodes.ts";

/** Numbers of episodes by the path of their column: one per turn, per trace token, or one per episode. */
export interface Extras {
  /** [episode][turn]; null = missing. */
  turns?: Readonly<Record<string, readonly (readonly (number | string | null)[])[]>>;
  /** [episode][action]; every action is a step. */
  steps?: Readonly<Record<string, readonly (readonly (number | string | null)[])[]>>;
  /** One number per token of all traces, trace after trace; 0 on tokens that only the rollout has. */
  tokens?: Readonly<Record<string, ArrayLike<number>>>;
  /** [episode] */
  signals?: Readonly<Record<string, ArrayLike<number>>>;
}

/** Episodes as a batch of rollouts, and how its policy tokens lie in the traces. */
export interface Recorded {
  batch: Batch;
  rows: PolicyRows;
  /** For every policy token, its place among the tokens of all traces. */
  traceIndex: Int32Array;
  /** Tokens of all traces. */
  traceTokens: number;
}

/** Ids of observations lie behind those of actions. */
const firstObservation = 2 ** 20;

type Columns = Record<string, unknown[]>;

function add(columns: Columns, name: string, cell: unknown): void {
  const column = columns[name];
  if (column === undefined) columns[name] = [cell];
  else column.push(cell);
}

/** Writes the tokens of one trace, with what is known about each. */
class TokenWriter {
  readonly columns: Columns = {};
  readonly #policy: Policy;
  readonly #episode: Episode;
  readonly #extras: readonly (readonly [string, ArrayLike<number>])[];
  /** Place of the trace's first token among those of all traces. */
  readonly #first: number;

  constructor(policy: Policy, episode: Episode, extras: Extras["tokens"], first: number) {
    this.#policy = policy;
    this.#episode = episode;
    this.#extras = Object.entries(extras ?? {});
    this.#first = first;
    for (const name of ["id", "text", "mask", "logprob", "entropy"]) this.columns[name] = [];
  }

  get length(): number {
    return this.columns.id.length;
  }

  /** Token k of the trace. */
  token(k: number): void {
    const { trace } = this.#episode;
    const { columns } = this;
    add(columns, "id", trace.tokens[k]);
    add(columns, "text", this.#policy.text(trace.tokens[k]));
    add(columns, "mask", trace.mask[k]);
    add(columns, "logprob", trace.logprob[k]);
    add(columns, "entropy", trace.entropy[k]);
    if (trace.value !== null) add(columns, "value", trace.value[k]);
    for (const [name, values] of this.#extras) add(columns, name, values[this.#first + k]);
  }

  /** Something that the environment wrote and the trace does not hold. */
  observation(id: number, text: string): void {
    const { columns } = this;
    for (const name of Object.keys(columns)) add(columns, name, 0);
    columns.id[columns.id.length - 1] = firstObservation + id;
    columns.text[columns.text.length - 1] = text;
  }
}

/** Every action as a step, where something is known of single actions; ends are those of the rollout's tokens. */
function stepsOf(policy: Policy, { actions, turns }: Episode, index: number, extras: Extras) {
  const steps: Columns = {};
  if (actions.some(({ verdict }) => verdict !== null)) steps.prm = actions.map(({ verdict }) => verdict);
  for (const [name, values] of Object.entries(extras.steps ?? {})) steps[name] = [...values[index]];
  let observations = 0;
  let turn = 0;
  const ends = actions.map(({ end }) => {
    // Rollouts of policies that choose whole actions have a token for each observation; their traces do not.
    if (turns[turn].end === end && turns[turn++].observation !== "" && choosesActions(policy)) observations++;
    return end + observations;
  });
  return { ends, steps };
}

function rolloutOf(
  policy: Policy,
  episode: Episode,
  index: number,
  place: { id: string; first: number; vocabulary: Vocabulary; reward: number },
  extras: Extras,
): RolloutObject {
  const whole = choosesActions(policy);
  const tokens = new TokenWriter(policy, episode, extras.tokens, place.first);
  const turns: Columns = {};
  const gold = goldCalls(episode);
  const { ends, steps } = stepsOf(policy, episode, index, extras);
  let from = 0;
  episode.turns.forEach(({ end, view, action, observation, agent, reward, verdict }, t) => {
    for (let k = from; k < end; k++) tokens.token(k);
    from = end;
    if (whole && observation !== "") tokens.observation(place.vocabulary.id(observation), observation);
    const call = callOf(action, gold);
    add(turns, "end", tokens.length);
    add(turns, "state", view);
    add(turns, "text", action);
    add(turns, "action", action);
    add(turns, "observation", observation);
    add(turns, "agent", agent);
    add(turns, "tool_calls", call === null ? [] : [call]);
    add(turns, "reward", reward);
    if (verdict !== null) add(turns, "prm", verdict);
    for (const [name, values] of Object.entries(extras.turns ?? {})) add(turns, name, values[index][t]);
  });
  const signals: Record<string, number> = { true_reward: episode.trueReward };
  for (const [name, values] of Object.entries(extras.signals ?? {})) signals[name] = values[index];
  return {
    id: place.id,
    group: episode.start.group,
    reward: place.reward,
    rewards: { task: episode.reward },
    signals,
    tokens: tokens.columns,
    turns,
    ...(Object.keys(steps).length === 0 ? {} : { steps: { end: ends, ...steps } }),
    meta: { ...episode.meta, prompt: episode.prompt, seed: episode.start.seed },
  };
}

/**
 * Episodes in the wire format: `reward` is what training sees, `signals.true_reward` the truth, `rewards.task` the sum of the
 * step rewards; turns with end, state, text, action, observation, agent, tool_calls and reward (prm where the environment
 * gives verdicts, with steps alike); tokens with id, text, mask, logprob, entropy. Policies that choose whole actions have
 * one token per action, and one of mask 0 for what the environment answered.
 * @param rewards what training sees of each episode.
 */
export function recordEpisodes(
  policy: Policy,
  episodes: readonly Episode[],
  rewards: ArrayLike<number>,
  extras: Extras = {},
): Recorded {
  const vocabulary = new Vocabulary();
  let first = 0;
  const members = new Map<string, number>();
  const objects = episodes.map((episode, index) => {
    const { group } = episode.start;
    const member = (members.get(group) ?? 0) + 1;
    members.set(group, member);
    const place = { id: `${group}-${member}`, first, vocabulary, reward: rewards[index] };
    first += episode.trace.tokens.length;
    return rolloutOf(policy, episode, index, place, extras);
  });
  const batch = batchFromObjects(objects);
  const rows = policyRows(batch);
  return { batch, rows, traceIndex: chosenTokens(episodes, rows.tokens.length), traceTokens: first };
}

function chosenTokens(episodes: readonly Episode[], count: number): Int32Array {
  const out = new Int32Array(count);
  let at = 0;
  let first = 0;
  for (const { trace } of episodes) {
    for (let k = 0; k < trace.mask.length; k++) if (trace.mask[k] === 1) out[at++] = first + k;
    first += trace.mask.length;
  }
  return out;
}

/** Numbers of all traces at the tokens that the policy chose. */
export function atTrace(values: ArrayLike<number>, { traceIndex }: Recorded): Float64Array {
  return Float64Array.from(traceIndex, (k) => values[k]);
}
