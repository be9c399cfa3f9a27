import { InputError } from "../../rollouts/index.ts";
import { Random, type RandomState } from "../random.ts";
import type { EnvironmentFacts, ExactEnvironment, Outcome, StepResult, ToolCall } from "./environment.ts";
import { splitWords } from "./vocabulary.ts";

/** What every state keeps. States are plain values and are never changed in place. */
export interface Clock {
  /** Actions taken so far. */
  turn: number;
  done: boolean;
}

/** One thing that can follow an action; the clock of the state is set by `outcomesOf`. */
export interface Move<State> {
  /** 1 when left out. */
  probability?: number;
  state: State;
  observation: string;
  /** 0 when left out. */
  reward?: number;
}

/** Ways in which an episode of a task can begin, all equally likely. */
export interface Starts<State> {
  count: number;
  /** @param k a whole number from 0. */
  state(k: number): State;
}

/** The rules of a task: what an environment is made of. */
export interface Rules<State extends Clock> {
  facts: EnvironmentFacts;
  /** Most actions of an episode; the last one ends it. */
  horizon: number;
  /** Number of different tasks. Default 1. */
  tasks?: number;
  starts(task: number): Starts<State>;
  prompt(state: State): string;
  allActions: readonly string[];
  /** Actions that may be taken. Default: all, always. */
  actions?(state: State): readonly string[];
  /** Who acts. Default: the first of the agents. */
  agent?(state: State): string;
  view(state: State): string;
  /** Everything that can follow one of the actions. Observations are answered to the agent as they are. */
  moves(state: State, action: string): readonly Move<State>[];
  /** Answer to a text that is not an action, or what follows it. */
  wasted: string | ((state: State) => readonly Move<State>[]);
  /** Reward of such a text if `wasted` is its answer. Default 0. */
  wastedReward?: number;
  /** What is said when the last action was taken and the task is not done; added to its observation. */
  late: string;
  /** Texts whose pieces, with those of the actions, are all that prompts, observations and views are made of. */
  texts(): Iterable<string>;
  verify(state: State): number;
  judge?(state: State, action: string): number;
  /** The tool calls that actions stand for, if they do: in the order of `allActions`. */
  calls?: readonly ToolCall[];
  meta?(state: State): Readonly<Record<string, unknown>>;
}

export interface RulesSnapshot<State> {
  state: State;
  random: RandomState;
}

const join = (...texts: string[]) => texts.filter((text) => text !== "").join(" ");

function wastedMoves<State extends Clock>(
  { wasted, wastedReward }: Rules<State>,
  state: State,
): readonly Move<State>[] {
  return typeof wasted === "string" ? [{ state, observation: wasted, reward: wastedReward }] : wasted(state);
}

/**
 * Everything that can follow a text in a state, with probabilities that sum to 1. A text that is not an action changes
 * nothing but the clock.
 */
export function outcomesOf<State extends Clock>(
  rules: Rules<State>,
  state: State,
  action: string,
): { probability: number; state: State; result: StepResult }[] {
  const known = (rules.actions?.(state) ?? rules.allActions).includes(action);
  const moves = known ? rules.moves(state, action) : wastedMoves(rules, state);
  const turn = state.turn + 1;
  return moves.flatMap(({ probability = 1, state: next, observation, reward = 0 }) => {
    if (probability <= 0) return [];
    const late = turn >= rules.horizon && !next.done;
    const done = next.done || late;
    const result = { observation: late ? join(observation, rules.late) : observation, reward, done };
    return [{ probability, state: { ...next, turn, done }, result }];
  });
}

/** More ways to begin than are ever listed. */
const mostStarts = 200_000;

/** An environment made of rules. Its chance is known, so it is exact. */
export class RulesEnvironment<State extends Clock> implements ExactEnvironment<RulesSnapshot<State>> {
  readonly rules: Rules<State>;
  readonly tasks: number;
  readonly #random = new Random(0);
  #state: State;
  #words: readonly string[] | null = null;
  /** There only if the rules have verdicts. */
  readonly judge?: (action: string) => number;
  /** There only if actions are tool calls. */
  readonly call?: (action: string) => ToolCall | null;

  constructor(rules: Rules<State>) {
    this.rules = rules;
    const { calls, allActions } = rules;
    if (calls !== undefined) this.call = (action) => calls[allActions.indexOf(action)] ?? null;
    if (rules.judge !== undefined) this.judge = (action) => rules.judge?.(this.#state, action) ?? 0;
    this.tasks = rules.tasks ?? 1;
    this.#state = this.#start(0);
  }

  get facts(): EnvironmentFacts {
    return this.rules.facts;
  }

  get prompt(): string {
    return this.rules.prompt(this.#state);
  }

  words(): readonly string[] {
    const { texts, allActions, wasted, late } = this.rules;
    this.#words ??= piecesOf(allActions, [...texts(), late, ...(typeof wasted === "string" ? [wasted] : [])]);
    return this.#words;
  }

  allActions(): readonly string[] {
    return this.rules.allActions;
  }

  /** @throws InputError for a task that there is not. */
  reset(seed: number, task?: number): void {
    this.#random.state = new Random(seed).state;
    if (task !== undefined && !(Number.isInteger(task) && task >= 0 && task < this.tasks)) {
      throw new InputError("there is no such task", {
        expected: `a whole number from 0 to ${this.tasks - 1}`,
        got: `${task}`,
      });
    }
    this.#state = this.#start(task ?? (this.tasks === 1 ? 0 : this.#random.below(this.tasks)));
  }

  actions(): readonly string[] {
    return this.rules.actions?.(this.#state) ?? this.rules.allActions;
  }

  agent(): string {
    return this.rules.agent?.(this.#state) ?? this.facts.agents[0];
  }

  step(action: string): StepResult {
    if (this.#state.done) throw new Error("the episode is over");
    const outcomes = outcomesOf(this.rules, this.#state, action);
    const which = outcomes.length === 1 ? 0 : this.#random.choose(outcomes.map(({ probability }) => probability));
    const { state, result } = outcomes[which];
    this.#state = state;
    return result;
  }

  view(): string {
    return this.rules.view(this.#state);
  }

  snapshot(): RulesSnapshot<State> {
    return { state: this.#state, random: this.#random.state };
  }

  restore({ state, random }: RulesSnapshot<State>): void {
    this.#state = state;
    this.#random.state = random;
  }

  verify(): number {
    return this.rules.verify(this.#state);
  }

  meta(): Readonly<Record<string, unknown>> {
    return { environment: this.facts.id, ...this.rules.meta?.(this.#state) };
  }

  /** @throws InputError when there are too many to list. */
  starts(): readonly { probability: number; snapshot: RulesSnapshot<State> }[] {
    const random = this.#random.state;
    const all = Array.from({ length: this.tasks }, (_, task) => this.rules.starts(task));
    const count = all.reduce((sum, starts) => sum + starts.count, 0);
    if (count > mostStarts) {
      throw new InputError("episodes can begin in too many ways to list them", {
        expected: `at most ${mostStarts}`,
        got: `${count}`,
        hint: "choose a smaller task",
      });
    }
    return all.flatMap((starts) =>
      Array.from({ length: starts.count }, (_, k) => ({
        probability: 1 / (this.tasks * starts.count),
        snapshot: { state: starts.state(k), random },
      })),
    );
  }

  /** @throws Error when the episode is over. */
  outcomes(action: string): readonly Outcome<RulesSnapshot<State>>[] {
    if (this.#state.done) throw new Error("the episode is over");
    const random = this.#random.state;
    return outcomesOf(this.rules, this.#state, action).map(({ probability, state, result }) => ({
      probability,
      snapshot: { state, random },
      result,
    }));
  }

  #start(task: number): State {
    const { count, state } = this.rules.starts(task);
    return state(count === 1 ? 0 : this.#random.below(count));
  }
}

/** Pieces of actions, and of texts at the start of what is said or behind a space, each once. */
function piecesOf(actions: readonly string[], texts: readonly string[]): string[] {
  const pieces = new Set(actions.flatMap(splitWords));
  for (const text of texts) for (const piece of [...splitWords(text), ...splitWords(` ${text}`)]) pieces.add(piece);
  return [...pieces];
}

/** Makes the tasks of a pool at random, each once and when it is asked for; `seed` and number decide alone. */
export function taskPool<T>(seed: number, make: (random: Random, task: number) => T): (task: number) => T {
  const made = new Map<number, T>();
  return (task) => {
    let found = made.get(task);
    if (found === undefined) {
      found = make(new Random((Math.imul(seed, 0x2545f491) + task) | 0), task);
      made.set(task, found);
    }
    return found;
  };
}
