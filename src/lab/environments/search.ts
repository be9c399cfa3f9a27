import { z } from "zod";
import type { Random } from "../random.ts";
import { callText } from "./calls.ts";
import { defineEnvironment } from "./entry.ts";
import type { EnvironmentFacts, ToolCall } from "./environment.ts";
import { type Clock, type Rules, RulesEnvironment, taskPool } from "./rules.ts";

export interface SearchState extends Clock {
  /** Number of the question. */
  question: number;
  /** Number of the knowledge base; hidden from the agent. */
  world: number;
  /** Facts found, in ascending order: relation times number of people plus person. */
  found: readonly number[];
  /** Person who was named as the answer, -1 for none. */
  answer: number;
}

/** A person to begin with, and the relations to follow. */
export interface Question {
  person: number;
  relations: readonly number[];
}

const facts: EnvironmentFacts = {
  id: "search",
  title: "Search and answer",
  task:
    "A question leads over several relations between people (the rival of the mentor of Ada). Searching shows one fact at " +
    "a time; the first answer ends the episode, and only the right one is rewarded.",
  horizon: "turns (6)",
  branching: "people · relations + people (24)",
  observability: "partial: the knowledge base is hidden, what was found is told",
  decisive: "in each hop of the question, in order; the other searches are distractors, and an early answer is a guess",
  level: "turn",
  agents: ["agent"],
};

const names = ["Ada", "Bo", "Cy", "Dee", "Eli", "Fay", "Gus", "Hal", "Ida", "Jo", "Kit", "Lou"];
const relationNames = ["mentor", "rival", "cousin", "neighbour"];

const params = z.object({
  people: z.int().min(2).max(names.length).default(6).describe("people in the knowledge base"),
  relations: z.int().min(1).max(relationNames.length).default(3).describe("relations between them"),
  hops: z.int().min(1).max(5).default(2).describe("relations that a question follows"),
  turns: z.int().min(1).max(50).default(6).describe("turns of an episode"),
  miss: z.number().min(0).max(1).default(0).describe("chance that a search finds nothing"),
  reward: z
    .enum(["outcome", "oracle"])
    .default("outcome")
    .describe("outcome: 1 for the right answer; oracle: also 1 for each search that first shows needed evidence"),
  tasks: z.int().min(1).max(1000).default(8).describe("number of different questions"),
  worlds: z.int().min(1).max(1000).default(32).describe("knowledge bases, one of which holds in an episode"),
  seed: z.int().default(0).describe("draws questions and knowledge bases"),
});
type Params = z.output<typeof params>;

/** A knowledge base: for relation r and person p, who it is, at r · people + p. Nobody is related to themselves. */
function drawWorld({ people, relations }: Params, random: Random): number[] {
  return Array.from({ length: people * relations }, (_, k) => {
    const other = random.below(people - 1);
    return other < k % people ? other : other + 1;
  });
}

function searchCalls({ people, relations }: Params): ToolCall[] {
  const searches = Array.from({ length: people * relations }, (_, k) => ({
    name: "search",
    arguments: { person: names[k % people], relation: relationNames[Math.floor(k / people)] },
  }));
  const answers = names.slice(0, people).map((person) => ({ name: "answer", arguments: { person } }));
  return [...searches, ...answers];
}

/** Rules of the task. Action k < relations · people searches fact k; the others answer. */
export function searchRules(given: Params): Rules<SearchState> {
  const { people, relations, hops, turns, miss, reward, tasks, worlds, seed } = given;
  const count = people * relations;
  const world = taskPool(2 * seed, (random) => drawWorld(given, random));
  const question = taskPool(
    2 * seed + 1,
    (random): Question => ({
      person: random.below(people),
      relations: Array.from({ length: hops }, () => random.below(relations)),
    }),
  );
  const calls = searchCalls(given);
  const allActions = calls.map(callText);
  /** Facts that lead to the answer, in order. */
  const evidence = (state: SearchState) => {
    const known = world(state.world);
    let { person } = question(state.question);
    return question(state.question).relations.map((relation) => {
      const fact = relation * people + person;
      person = known[fact];
      return fact;
    });
  };
  const gold = (state: SearchState) => world(state.world)[evidence(state)[hops - 1]];
  const passage = (state: SearchState, fact: number) => {
    const who = names[world(state.world)[fact]];
    return `The ${relationNames[Math.floor(fact / people)]} of ${names[fact % people]} is ${who}.`;
  };
  const asked = (state: SearchState) => {
    const { person, relations: path } = question(state.question);
    const chain = path.map((relation) => `the ${relationNames[relation]} of`).reverse();
    return `Who is ${chain.join(" ")} ${names[person]}?`;
  };
  const about = `Tools: search(PERSON, RELATION), answer(PERSON). There are ${turns} turns.`;
  const verify = (state: SearchState) => (state.answer >= 0 && state.answer === gold(state) ? 1 : 0);
  const judge = (state: SearchState, action: string) => {
    const k = allActions.indexOf(action);
    if (k >= count) return k - count === gold(state) ? 1 : 0;
    return evidence(state).includes(k) && !state.found.includes(k) ? 1 : 0;
  };
  return {
    facts,
    horizon: turns,
    tasks,
    starts: (task) => ({
      count: worlds,
      state: (k) => ({ turn: 0, done: false, question: task, world: k, found: [], answer: -1 }),
    }),
    prompt: (state) => `${asked(state)} ${about}`,
    calls,
    allActions,
    view: (state) => {
      const left = turns - state.turn;
      const known = state.found.map((fact) => passage(state, fact));
      return [asked(state), ...known, `Turns left: ${left}.`].join(" ");
    },
    moves: (state, action) => {
      const k = allActions.indexOf(action);
      if (k >= count) {
        const next = { ...state, answer: k - count, done: true };
        const won = verify(next);
        return [{ state: next, observation: won === 1 ? "That is right." : "That is wrong.", reward: won }];
      }
      const found = state.found.includes(k) ? state.found : [...state.found, k].sort((a, b) => a - b);
      const shown = reward === "oracle" ? judge(state, action) : 0;
      return [
        { probability: 1 - miss, state: { ...state, found }, observation: passage(state, k), reward: shown },
        { probability: miss, state, observation: "Nothing was found." },
      ];
    },
    wasted: "There is no such tool.",
    late: "Time is up.",
    texts: () => [
      `Who is the of? The of is. ${about} That is right. That is wrong. Nothing was found.`,
      ...[...names.slice(0, people), ...relationNames.slice(0, relations)],
      ...Array.from({ length: turns + 1 }, (_, k) => `Turns left: ${k}.`),
    ],
    verify,
    judge,
    meta: (state) => ({
      task: state.question,
      question: asked(state),
      gold_answer: names[gold(state)],
      gold_evidence: evidence(state).map((fact) => passage(state, fact)),
      gold_calls: [...evidence(state).map((fact) => calls[fact]), calls[count + gold(state)]],
    }),
  };
}

/**
 * Search and answer. People stand in relations to each other, drawn anew in every episode; a question follows several of
 * them. `search(PERSON, RELATION)` shows one fact as a passage, `answer(PERSON)` ends the episode.
 *
 * Horizon: `turns`. Branching: people · relations + people. Observability: partial, the knowledge base is hidden. The
 * decisive choices lie in the hops of the question, one after the other; luck enters through guesses and through searches
 * that find nothing (`miss`). Verdicts: 1 for a search that shows needed evidence for the first time, or the right answer.
 */
export const search = defineEnvironment({
  facts,
  params,
  small: { people: 3, relations: 1, turns: 4, tasks: 2, worlds: 4 },
  make: (given) => new RulesEnvironment(searchRules(given)),
});
