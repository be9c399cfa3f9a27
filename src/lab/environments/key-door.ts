import { Random, type RandomState } from "../random.ts";
import type { Environment, StepResult, ToolCall } from "./environment.ts";

/** Verbs of the key-door task, in the order in which policies list them. */
export const keyDoorVerbs = ["take", "read", "ask", "look", "open"] as const;
export type KeyDoorVerb = (typeof keyDoorVerbs)[number];

export interface KeyDoorTask {
  /** Number of lockers, 2 to 9. */
  lockers: number;
  /** Turns before the office closes, at least 1. */
  turns: number;
  /** How likely the porter is in when he is asked. */
  porter: number;
}

/** What an agent knows: together with the task this is all that the future depends on. */
export interface KeyDoorKnowledge {
  /** Turns taken so far. */
  turn: number;
  key: boolean;
  /** Bit k - 1 is set while locker k may hold the parcel. */
  possible: number;
}

export interface KeyDoorState extends KeyDoorKnowledge {
  /** Locker that holds the parcel, from 1; hidden from the agent. */
  parcel: number;
  /** Locker that was opened, 0 for none. */
  opened: number;
  done: boolean;
}

export interface KeyDoorSnapshot {
  state: KeyDoorState;
  random: RandomState;
}

/** One of the things that can follow an action. */
export interface KeyDoorOutcome extends StepResult {
  probability: number;
  state: KeyDoorState;
}

/** Bit set of all lockers of a task. */
export const allLockers = (task: KeyDoorTask) => 2 ** task.lockers - 1;

/** Bit set of the lockers on the left: the first half, rounded up. */
export const leftLockers = (task: KeyDoorTask) => 2 ** Math.ceil(task.lockers / 2) - 1;

/** Lockers of a bit set, from 1. */
export function lockersOf(possible: number): number[] {
  const lockers: number[] = [];
  for (let k = 1; possible >> (k - 1) > 0; k++) if ((possible >> (k - 1)) & 1) lockers.push(k);
  return lockers;
}

/** The call that stands for a verb; `open` takes a locker. */
export function keyDoorCall(verb: KeyDoorVerb, locker = 0): ToolCall {
  if (verb === "open") return { name: verb, arguments: { locker } };
  const what = { take: "key", read: "list", ask: "porter", look: "window" }[verb];
  return { name: verb, arguments: { what } };
}

/** The call as the agent writes it: `open(3)`. */
export function keyDoorText(call: ToolCall): string {
  return `${call.name}(${Object.values(call.arguments).join(", ")})`;
}

/** What the agent can know, in words. */
export function keyDoorView(task: KeyDoorTask, { turn, key, possible }: KeyDoorKnowledge): string {
  const left = task.turns - turn;
  const where = lockersOf(possible).join(" ");
  return `${left} ${left === 1 ? "turn" : "turns"} left, ${key ? "has the key" : "no key"}, parcel in ${where}`;
}

function answer(task: KeyDoorTask, state: KeyDoorState, call: ToolCall): Omit<KeyDoorOutcome, "done">[] {
  const same = (observation: string) => [{ probability: 1, observation, reward: 0, state }];
  switch (call.name as KeyDoorVerb) {
    case "take":
      if (state.key) return same("You already hold the key.");
      return [{ probability: 1, observation: "You hold the office key.", reward: 0, state: { ...state, key: true } }];
    case "read": {
      if (!state.key) return same("The office is locked.");
      const observation = `The list says locker ${state.parcel}.`;
      return [{ probability: 1, observation, reward: 0, state: { ...state, possible: 1 << (state.parcel - 1) } }];
    }
    case "ask": {
      const isLeft = ((leftLockers(task) >> (state.parcel - 1)) & 1) === 1;
      const side = isLeft ? leftLockers(task) : allLockers(task) & ~leftLockers(task);
      const told = { ...state, possible: state.possible & side };
      const observation = `The porter: on the ${isLeft ? "left" : "right"}.`;
      return [
        { probability: task.porter, observation, reward: 0, state: told },
        { probability: 1 - task.porter, observation: "The porter is out.", reward: 0, state },
      ];
    }
    case "look":
      return same("Rain falls on the yard.");
    case "open": {
      const opened = Number(call.arguments.locker);
      const found = opened === state.parcel;
      const observation = found ? "The parcel is inside." : "The locker is empty.";
      return [{ probability: 1, observation, reward: found ? 1 : 0, state: { ...state, opened, done: true } }];
    }
  }
}

function isPossible(task: KeyDoorTask, call: ToolCall): boolean {
  const verb = keyDoorVerbs.find((name) => name === call.name);
  if (verb === undefined) return false;
  const locker = call.arguments.locker;
  if (verb !== "open") return true;
  return typeof locker === "number" && Number.isInteger(locker) && locker >= 1 && locker <= task.lockers;
}

/**
 * Everything that can follow an action, with probabilities that sum to 1: the exact model of the task.
 * @throws Error when the episode is over or the task knows no such action.
 */
export function keyDoorOutcomes(task: KeyDoorTask, state: KeyDoorState, call: ToolCall): KeyDoorOutcome[] {
  if (state.done) throw new Error("the episode is over");
  if (!isPossible(task, call)) throw new Error(`no such action: ${keyDoorText(call)}`);
  return answer(task, state, call)
    .filter((outcome) => outcome.probability > 0)
    .map((outcome) => {
      const turn = state.turn + 1;
      const late = turn >= task.turns && !outcome.state.done;
      const observation = late ? `${outcome.observation} Time is up.` : outcome.observation;
      const done = outcome.state.done || late;
      return { ...outcome, observation, done, state: { ...outcome.state, turn, done } };
    });
}

/**
 * Key and door. A parcel lies in one of n lockers, drawn anew in every episode. A list in the locked office names the
 * locker; the office key hangs in the hall. A porter, when he is in, knows the side. Opening a locker ends the episode,
 * and only a find is rewarded.
 *
 * Horizon: `turns` (4 to 6 are interesting). Branching: 4 + n. Observability: the parcel is hidden, everything else is
 * told. The decisive choice lies early (the key pays off two turns later) and at the end (open now, or learn more
 * first); `look` is a distractor; luck enters through the porter and through guesses.
 */
export class KeyDoor implements Environment<KeyDoorSnapshot> {
  readonly task: KeyDoorTask;
  #state: KeyDoorState;
  readonly #random = new Random(0);

  constructor(task: KeyDoorTask) {
    this.task = task;
    this.#state = this.#start();
  }

  get prompt(): string {
    const { lockers, turns } = this.task;
    return [
      `A parcel lies in one of ${lockers} lockers; each is equally likely. Find it within ${turns} turns.`,
      "The list in the office says which locker; the office key hangs in the hall. The porter may know the side.",
      "Tools: take(key), read(list), ask(porter), look(window), open(LOCKER). Opening a locker ends the search.",
    ].join(" ");
  }

  reset(seed: number): void {
    this.#random.state = new Random(seed).state;
    this.#state = this.#start();
  }

  step(action: ToolCall): StepResult {
    const outcomes = keyDoorOutcomes(this.task, this.#state, action);
    const { observation, reward, done, state } =
      outcomes.length === 1 ? outcomes[0] : outcomes[this.#random.choose(outcomes.map((o) => o.probability))];
    this.#state = state;
    return { observation, reward, done };
  }

  actions(): readonly ToolCall[] {
    const lockers = Array.from({ length: this.task.lockers }, (_, k) => keyDoorCall("open", k + 1));
    return [...keyDoorVerbs.filter((verb) => verb !== "open").map((verb) => keyDoorCall(verb)), ...lockers];
  }

  view(): string {
    return keyDoorView(this.task, this.#state);
  }

  snapshot(): KeyDoorSnapshot {
    return { state: { ...this.#state }, random: this.#random.state };
  }

  restore(snapshot: KeyDoorSnapshot): void {
    this.#state = { ...snapshot.state };
    this.#random.state = snapshot.random;
  }

  verify(): number {
    return this.#state.opened !== 0 && this.#state.opened === this.#state.parcel ? 1 : 0;
  }

  #start(): KeyDoorState {
    const parcel = 1 + this.#random.below(this.task.lockers);
    return { turn: 0, key: false, possible: allLockers(this.task), parcel, opened: 0, done: false };
  }
}
