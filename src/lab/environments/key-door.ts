import { z } from "zod";
import { callText } from "./calls.ts";
import { defineEnvironment } from "./entry.ts";
import type { EnvironmentFacts, ToolCall } from "./environment.ts";
import { type Clock, type Move, type Rules, RulesEnvironment, type RulesSnapshot } from "./rules.ts";

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

export interface KeyDoorState extends KeyDoorKnowledge, Clock {
  /** Locker that holds the parcel, from 1; hidden from the agent. */
  parcel: number;
  /** Locker that was opened, 0 for none. */
  opened: number;
}

export type KeyDoorSnapshot = RulesSnapshot<KeyDoorState>;

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

/** A call as the agent writes it: `open(3)`. */
export const keyDoorText = (verb: KeyDoorVerb, locker = 0) => callText(keyDoorCall(verb, locker));

/** What the agent can know, in words. */
export function keyDoorView(task: KeyDoorTask, { turn, key, possible }: KeyDoorKnowledge): string {
  const left = task.turns - turn;
  const where = lockersOf(possible).join(" ");
  return `${left} ${left === 1 ? "turn" : "turns"} left, ${key ? "has the key" : "no key"}, parcel in ${where}`;
}

function movesOf(task: KeyDoorTask, state: KeyDoorState, action: string): Move<KeyDoorState>[] {
  const verb = keyDoorVerbs.find((name) => action.startsWith(name));
  switch (verb) {
    case "take":
      if (state.key) return [{ observation: "You already hold the key.", state }];
      return [{ observation: "You hold the office key.", state: { ...state, key: true } }];
    case "read": {
      if (!state.key) return [{ observation: "The office is locked.", state }];
      const observation = `The list says locker ${state.parcel}.`;
      return [{ observation, state: { ...state, possible: 1 << (state.parcel - 1) } }];
    }
    case "ask": {
      const isLeft = ((leftLockers(task) >> (state.parcel - 1)) & 1) === 1;
      const side = isLeft ? leftLockers(task) : allLockers(task) & ~leftLockers(task);
      const told = { ...state, possible: state.possible & side };
      return [
        { probability: task.porter, observation: `The porter: on the ${isLeft ? "left" : "right"}.`, state: told },
        { probability: 1 - task.porter, observation: "The porter is out.", state },
      ];
    }
    case "open": {
      const opened = Number(action.slice("open(".length, -1));
      const found = opened === state.parcel;
      const observation = found ? "The parcel is inside." : "The locker is empty.";
      return [{ observation, reward: found ? 1 : 0, state: { ...state, opened, done: true } }];
    }
    default:
      return [{ observation: "Rain falls on the yard.", state }];
  }
}

const facts: EnvironmentFacts = {
  id: "key-door",
  title: "Key and door",
  task:
    "A parcel lies in one of several lockers; a list behind a locked door says in which. " +
    "Opening a locker ends the episode, and only a find is rewarded.",
  horizon: "turns (4)",
  branching: "4 + lockers (8)",
  observability: "partial: the parcel is hidden, everything else is told",
  decisive: "early (the key pays off two turns later) and at the end (open now, or learn more first)",
  level: "turn",
  agents: ["agent"],
};

const params = z.object({
  lockers: z.int().min(2).max(9).default(4).describe("number of lockers"),
  turns: z.int().min(1).max(20).default(4).describe("turns before the office closes"),
  porter: z.number().min(0).max(1).default(0.6).describe("how likely the porter is in when he is asked"),
});

/** Rules of the task; each locker is equally likely to hold the parcel. */
export function keyDoorRules(task: KeyDoorTask): Rules<KeyDoorState> {
  const { lockers, turns } = task;
  const calls = [
    ...keyDoorVerbs.filter((verb) => verb !== "open").map((verb) => keyDoorCall(verb)),
    ...Array.from({ length: lockers }, (_, k) => keyDoorCall("open", k + 1)),
  ];
  const prompt = [
    `A parcel lies in one of ${lockers} lockers; each is equally likely. Find it within ${turns} turns.`,
    "The list in the office says which locker; the office key hangs in the hall. The porter may know the side.",
    "Tools: take(key), read(list), ask(porter), look(window), open(LOCKER). Opening a locker ends the search.",
  ].join(" ");
  const verify = ({ opened, parcel }: KeyDoorState) => (opened !== 0 && opened === parcel ? 1 : 0);
  return {
    facts,
    horizon: turns,
    starts: () => ({
      count: lockers,
      state: (k) => ({ turn: 0, key: false, possible: allLockers(task), parcel: k + 1, opened: 0, done: false }),
    }),
    prompt: () => prompt,
    calls,
    allActions: calls.map(callText),
    view: (state) => keyDoorView(task, state),
    moves: (state, action) => movesOf(task, state, action),
    wasted: "Nothing happens.",
    late: "Time is up.",
    texts: () => [
      prompt,
      "You already hold the office key. The office is locked. The porter is out: on the left. On the right. Rain falls on the yard.",
      "The parcel is inside. The locker is empty. The list says locker",
      ...Array.from({ length: Math.max(turns, lockers) + 1 }, (_, k) => `${k} turns left, ${k} turn left`),
      "has the key, no key, parcel in",
    ],
    verify,
    meta: ({ parcel }) => ({
      task,
      parcel,
      gold_calls: [keyDoorCall("take"), keyDoorCall("read"), keyDoorCall("open", parcel)],
    }),
  };
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
export class KeyDoor extends RulesEnvironment<KeyDoorState> {
  readonly task: KeyDoorTask;

  constructor(task: KeyDoorTask) {
    super(keyDoorRules(task));
    this.task = task;
  }
}

export const keyDoor = defineEnvironment({ facts, params, make: (task) => new KeyDoor(task) });
