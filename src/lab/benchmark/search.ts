import type { ExactEnvironment } from "../environments/environment.ts";
import { type Clock, type Rules, RulesEnvironment } from "../environments/rules.ts";

interface SearchState extends Clock {
  found: boolean;
  /** Whether the answer was right; null before there is one. */
  right: boolean | null;
}

const turns = 4;
const findChance = 0.5;
const guessChance = 0.3;
const findReward = 0.2;

/**
 * Search and answer, as small as can be: `search` finds the evidence with chance 0.5 (reward 0.2, once), `answer` is right
 * for sure with evidence and with chance 0.3 without (reward 0.8), `idle` does nothing; four turns.
 * @param padded an answered episode goes on with turns in which there is nothing to choose, so that all are equally long;
 * otherwise it ends, so that the policy decides how long an episode is. Values and gradients are the same.
 */
export function search(padded: boolean): ExactEnvironment {
  const rules: Rules<SearchState> = {
    facts: {
      id: padded ? "search-fixed" : "search-stop",
      title: "Search, then answer",
      task: "Look for evidence, then answer; evidence and right answers are rewarded.",
      horizon: padded ? "4, fixed" : "1 to 4, decided by the policy",
      branching: "3",
      observability: "full",
      decisive: "at every turn: answering too early gives the chance away, too late is no answer",
      level: "turn",
      agents: ["agent"],
    },
    horizon: turns,
    starts: () => ({ count: 1, state: () => ({ turn: 0, done: false, found: false, right: null }) }),
    prompt: () => "Search for the evidence, then answer within four turns.",
    allActions: ["search", "answer", "idle", "wait"],
    actions: ({ right }) => (right === null ? ["search", "answer", "idle"] : ["wait"]),
    view: ({ turn, found, right }) =>
      `turn ${turn + 1}, ${right !== null ? "answered" : found ? "found" : "not found"}`,
    moves: (state, action) => {
      if (action === "search" && !state.found) {
        return [
          { probability: findChance, state: { ...state, found: true }, observation: "found", reward: findReward },
          { probability: 1 - findChance, state, observation: "nothing" },
        ];
      }
      if (action !== "answer") return [{ state, observation: "nothing" }];
      const chance = state.found ? 1 : guessChance;
      const answered = (right: boolean) => ({ ...state, right, done: !padded });
      return [
        { probability: chance, state: answered(true), observation: "right", reward: 1 - findReward },
        { probability: 1 - chance, state: answered(false), observation: "wrong" },
      ];
    },
    wasted: "nothing",
    late: "",
    texts: () => ["turn found not answered nothing right wrong 1 2 3 4 5"],
    verify: ({ right }) => (right === true ? 1 : 0),
  };
  return new RulesEnvironment(rules);
}
