import { z } from "zod";
import type { Random } from "../random.ts";
import { callText } from "./calls.ts";
import { defineEnvironment } from "./entry.ts";
import type { EnvironmentFacts, ToolCall } from "./environment.ts";
import { type Clock, type Rules, RulesEnvironment, taskPool } from "./rules.ts";

export interface ToolCallsState extends Clock {
  /** Number of the task. */
  task: number;
  /** Number of the world; hidden from the agent. */
  world: number;
  /** Calls that went through, by number, in ascending order. */
  made: readonly number[];
}

/** One thing asked for, with the words of its arguments. */
type Wish =
  | { kind: "weather"; city: string }
  | { kind: "rate"; currency: string }
  | { kind: "remind"; day: string }
  | { kind: "book"; person: string; day: string };

const facts: EnvironmentFacts = {
  id: "tool-calls",
  title: "Tool calls",
  task:
    "A prompt asks for several things; each takes the right tool with the right arguments, and a booking also a room that " +
    "has to be looked up first. Success if at finish() all was done and nothing was booked or set that nobody asked for.",
  horizon: "until finish, at most turns (6)",
  branching: "27 calls",
  observability: "partial: which room a person has must be looked up; results are told",
  decisive:
    "in each needed call, and in every call that changes something without need; reading without need only costs turns",
  level: "turn",
  agents: ["agent"],
};

const cities = ["Oslo", "Rome", "Lima"];
const currencies = ["euro", "yen", "peso"];
const days = ["Monday", "Tuesday", "Friday"];
const people = ["Ada", "Bo", "Cy"];
const rooms = ["red", "blue", "green"];
const weathers = ["rain", "sun", "snow"];
const rates = ["2", "5", "7"];

const call = (name: string, args: Record<string, string>): ToolCall => ({ name, arguments: args });
const calls: readonly ToolCall[] = [
  ...cities.map((city) => call("weather", { city })),
  ...currencies.map((currency) => call("rate", { currency })),
  ...people.map((person) => call("find", { person })),
  ...rooms.flatMap((room) => days.map((day) => call("book", { room, day }))),
  ...days.map((day) => call("remind", { day })),
  ...cities.map((city) => call("news", { city })),
  call("time", {}),
  call("joke", {}),
  call("finish", {}),
];
const allActions = calls.map(callText);
const numberOf = (name: string, ...args: string[]) => allActions.indexOf(`${name}(${args.join(", ")})`);
const finish = numberOf("finish");
const changes = (k: number) => calls[k].name === "book" || calls[k].name === "remind";

const params = z.object({
  requests: z.int().min(1).max(4).default(2).describe("things asked for, each of another kind"),
  turns: z.int().min(1).max(50).default(6).describe("turns of an episode"),
  failure: z.number().min(0).max(1).default(0).describe("chance that a call does not go through"),
  reward: z
    .enum(["outcome", "oracle"])
    .default("outcome")
    .describe("outcome: 1 at the end of a success; oracle: 1 for each needed call, -1 for each wrong change"),
  tasks: z.int().min(1).max(1000).default(24).describe("number of different prompts"),
  seed: z.int().default(0).describe("draws the prompts"),
});
type Params = z.output<typeof params>;

/** Different ways to give rooms to people: one of the six orders. */
const worlds = rooms
  .flatMap((a) => rooms.flatMap((b) => rooms.map((c) => [a, b, c])))
  .filter((w) => new Set(w).size === 3);

function drawWishes(requests: number, random: Random): Wish[] {
  const pick = (from: readonly string[]) => from[random.below(from.length)];
  const all: Wish[] = [
    { kind: "weather", city: pick(cities) },
    { kind: "rate", currency: pick(currencies) },
    { kind: "remind", day: pick(days) },
    { kind: "book", person: pick(people), day: pick(days) },
  ];
  for (let k = 0; k < requests; k++) {
    const other = k + random.below(all.length - k);
    [all[k], all[other]] = [all[other], all[k]];
  }
  return all.slice(0, requests);
}

function wishText(wish: Wish): string {
  switch (wish.kind) {
    case "weather":
      return `tell the weather in ${wish.city}`;
    case "rate":
      return `tell the rate of the ${wish.currency}`;
    case "remind":
      return `remind me on ${wish.day}`;
    case "book":
      return `book the room of ${wish.person} on ${wish.day}`;
  }
}

/** Calls that a wish takes, in order. */
function needed(wish: Wish, world: readonly string[]): number[] {
  switch (wish.kind) {
    case "weather":
      return [numberOf("weather", wish.city)];
    case "rate":
      return [numberOf("rate", wish.currency)];
    case "remind":
      return [numberOf("remind", wish.day)];
    case "book": {
      const room = world[people.indexOf(wish.person)];
      return [numberOf("find", wish.person), numberOf("book", room, wish.day)];
    }
  }
}

function answerTo(k: number, world: readonly string[]): string {
  const { name, arguments: args } = calls[k];
  switch (name) {
    case "weather":
      return `${args.city}: ${weathers[cities.indexOf(String(args.city))]}.`;
    case "rate":
      return `One ${args.currency} is ${rates[currencies.indexOf(String(args.currency))]}.`;
    case "find":
      return `${args.person} has the ${world[people.indexOf(String(args.person))]} room.`;
    case "book":
      return `The ${args.room} room is booked on ${args.day}.`;
    case "remind":
      return `A note is set on ${args.day}.`;
    case "news":
      return `No news in ${args.city}.`;
    case "time":
      return "It is noon.";
    default:
      return "Nobody laughs.";
  }
}

/** Rules of the task. */
export function toolCallsRules({ requests, turns, failure, reward, tasks, seed }: Params): Rules<ToolCallsState> {
  const wishes = taskPool(seed, (random) => drawWishes(requests, random));
  const gold = ({ task, world }: ToolCallsState) => wishes(task).flatMap((wish) => needed(wish, worlds[world]));
  const tools =
    "Tools: weather(CITY), rate(CURRENCY), find(PERSON), book(ROOM, DAY), remind(DAY), news(CITY), time(), joke(), finish().";
  const prompt = ({ task }: ToolCallsState) => `Please ${wishes(task).map(wishText).join(" and ")}. ${tools}`;
  /** Looking up a room serves the booking only, so it is not asked for here. */
  const isDone = (state: ToolCallsState) => {
    const wanted = gold(state).filter((k) => calls[k].name !== "find");
    return wanted.every((k) => state.made.includes(k)) && state.made.every((k) => !changes(k) || wanted.includes(k));
  };
  const verify = (state: ToolCallsState) => (state.made.includes(finish) && isDone(state) ? 1 : 0);
  const judge = (state: ToolCallsState, action: string) => {
    const k = allActions.indexOf(action);
    if (k === finish) return isDone(state) ? 1 : 0;
    if (gold(state).includes(k)) return state.made.includes(k) ? 0 : 1;
    return k >= 0 && changes(k) ? -1 : 0;
  };
  return {
    facts,
    horizon: turns,
    tasks,
    starts: (task) => ({
      count: wishes(task).some(({ kind }) => kind === "book") ? worlds.length : 1,
      state: (k) => ({ turn: 0, done: false, task, world: k, made: [] }),
    }),
    prompt,
    calls,
    allActions,
    view: (state) => {
      const log = state.made.map((k) => answerTo(k, worlds[state.world]));
      return [`${wishes(state.task).map(wishText).join(" and ")}.`, ...log, `Turns left: ${turns - state.turn}.`].join(
        " ",
      );
    },
    moves: (state, action) => {
      const k = allActions.indexOf(action);
      const isNew = !state.made.includes(k);
      const next = {
        ...state,
        made: isNew ? [...state.made, k].sort((a, b) => a - b) : state.made,
        done: k === finish,
      };
      const earned = reward === "oracle" ? judge(state, action) : verify(next);
      if (k === finish)
        return [{ state: next, observation: isDone(state) ? "Thank you." : "That is not it.", reward: earned }];
      return [
        { probability: 1 - failure, state: next, observation: answerTo(k, worlds[state.world]), reward: earned },
        { probability: failure, state, observation: "The service is busy." },
      ];
    },
    wasted: "There is no such tool.",
    late: "Time is up.",
    texts: () => [
      `Please and. ${tools} The service is busy. Thank you. That is not it.`,
      `tell the weather in the rate of the; remind me on; book the room of on`,
      ...[...cities, ...currencies, ...days, ...people, ...rooms, ...weathers, ...rates],
      "One is. has. is booked. A note is set. No news. It is noon. Nobody laughs. Nobody",
      ...["tell", "remind", "book", ":"],
      ...Array.from({ length: turns + 1 }, (_, k) => `Turns left: ${k}.`),
    ],
    verify,
    judge,
    meta: (state) => ({
      task: state.task,
      request: wishes(state.task).map(wishText).join(" and "),
      gold_calls: [...gold(state), finish].map((k) => calls[k]),
    }),
  };
}

/**
 * Tool calls with reference calls. Several wishes of different kinds, each for one tool with the right arguments; for a
 * booking the room has to be looked up, as it is drawn anew in every episode. News, time and jokes are of no use.
 *
 * Horizon: until `finish()`, at most `turns`. Branching: 27 calls. Observability: partial, rooms have to be looked up. The
 * decisive choices lie in each needed call and in every change that nobody asked for; luck enters through `failure` and
 * guessed rooms. Verdicts: 1 for a needed call, -1 for a wrong change, else 0.
 */
export const toolCalls = defineEnvironment({
  facts,
  params,
  small: { requests: 1, turns: 3, tasks: 1 },
  make: (given) => new RulesEnvironment(toolCallsRules(given)),
});
