import type { EnvironmentFacts, ExactEnvironment, Outcome, StepResult } from "../environments/environment.ts";
import { Random, type RandomState } from "../random.ts";

/** One thing that can follow an action in a small task; `state` null ends the episode. */
export interface SmallOutcome<State> {
  probability: number;
  state: State;
  reward: number;
  done: boolean;
  observation: string;
}

/** A task that is written down as a table of what follows what. States are plain values. */
export interface SmallTask<State> {
  facts: EnvironmentFacts;
  prompt: string;
  actions: readonly string[];
  starts: readonly { probability: number; state: State }[];
  /** Actions that may be taken; default all. */
  open?(state: State): readonly string[];
  view(state: State): string;
  agent?(state: State): string;
  outcomes(state: State, action: string): readonly SmallOutcome<State>[];
  /** True outcome of a finished episode. */
  verify(state: State): number;
}

interface SmallSnapshot<State> {
  state: State;
  done: boolean;
  random: RandomState;
}

/** An exact environment from a small task. An action that is not open leaves the state as it is. */
export class SmallEnvironment<State> implements ExactEnvironment<SmallSnapshot<State>> {
  readonly task: SmallTask<State>;
  #state: State;
  #done = false;
  readonly #random = new Random(0);

  constructor(task: SmallTask<State>) {
    this.task = task;
    this.#state = task.starts[0].state;
  }

  get facts(): EnvironmentFacts {
    return this.task.facts;
  }

  get prompt(): string {
    return this.task.prompt;
  }

  words(): readonly string[] {
    return this.task.actions;
  }

  allActions(): readonly string[] {
    return this.task.actions;
  }

  reset(seed: number): void {
    this.#random.state = new Random(seed).state;
    const { starts } = this.task;
    this.#state = starts[this.#random.choose(starts.map(({ probability }) => probability))].state;
    this.#done = false;
  }

  actions(): readonly string[] {
    return this.task.open?.(this.#state) ?? this.task.actions;
  }

  agent(): string {
    return this.task.agent?.(this.#state) ?? this.facts.agents[0];
  }

  step(action: string): StepResult {
    if (this.#done) throw new Error("the episode is over");
    const outcomes = this.outcomes(action);
    const { snapshot, result } = outcomes[this.#random.choose(outcomes.map(({ probability }) => probability))];
    this.#state = snapshot.state;
    this.#done = snapshot.done;
    return result;
  }

  view(): string {
    return this.task.view(this.#state);
  }

  snapshot(): SmallSnapshot<State> {
    return { state: this.#state, done: this.#done, random: this.#random.state };
  }

  restore({ state, done, random }: SmallSnapshot<State>): void {
    this.#state = state;
    this.#done = done;
    this.#random.state = random;
  }

  verify(): number {
    return this.#done ? this.task.verify(this.#state) : 0;
  }

  starts(): readonly { probability: number; snapshot: SmallSnapshot<State> }[] {
    const random = this.#random.state;
    return this.task.starts.map(({ probability, state }) => ({
      probability,
      snapshot: { state, done: false, random },
    }));
  }

  outcomes(action: string): readonly Outcome<SmallSnapshot<State>>[] {
    const random = this.#random.state;
    return this.task.outcomes(this.#state, action).map(({ probability, state, reward, done, observation }) => ({
      probability,
      snapshot: { state, done, random },
      result: { observation, reward, done },
    }));
  }
}
