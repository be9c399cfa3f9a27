import { z } from "zod";
import { Random } from "../random.ts";
import { defineEnvironment } from "./entry.ts";
import type { EnvironmentFacts } from "./environment.ts";
import { type Clock, type Rules, RulesEnvironment } from "./rules.ts";

export interface ChainState extends Clock {
  /** Decisions that were right. */
  right: number;
}

const facts: EnvironmentFacts = {
  id: "chain",
  title: "Chain of decisions",
  task: "Several decisions in a row, with one right action each. The reward comes at the end, and only if all were right.",
  horizon: "length (4), fixed",
  branching: "actions (4)",
  observability: "the number of the step; whether all went well so far only if shown is true",
  decisive: "everywhere: every step can spoil the outcome, none can save it",
  level: "turn",
  agents: ["agent"],
};

const params = z.object({
  length: z.int().min(1).max(200).default(4).describe("decisions in a row"),
  actions: z.int().min(2).max(100).default(4).describe("actions of each decision, one of which is right"),
  shown: z.boolean().default(false).describe("whether the agent sees that all went well so far"),
  reward: z
    .enum(["outcome", "oracle"])
    .default("outcome")
    .describe("outcome: 1 at the end if all were right; oracle: 1 for every right action"),
  seed: z.int().default(0).describe("draws the right actions"),
});

/** Rules of the chain; `right[t]` is the action to take at step t. */
export function chainRules(given: z.output<typeof params>): Rules<ChainState> & { right: readonly number[] } {
  const { length, actions, shown, reward, seed } = given;
  const random = new Random(seed);
  const right = Array.from({ length }, () => random.below(actions));
  const names = Array.from({ length: actions }, (_, k) => `a${k}`);
  const view = (state: ChainState) => {
    const track = state.right === state.turn ? "all right" : "not all right";
    return `step ${Math.min(state.turn + 1, length)}${shown ? `, ${track}` : ""}`;
  };
  const judge = (state: ChainState, action: string) => (action === names[right[state.turn]] ? 1 : 0);
  const verify = (state: ChainState) => (state.right === length ? 1 : 0);
  const prompt = `Choose one of ${actions} actions at each of ${length} steps. Only if all are right there is a reward.`;
  return {
    facts,
    right,
    horizon: length,
    starts: () => ({ count: 1, state: () => ({ turn: 0, done: false, right: 0 }) }),
    prompt: () => prompt,
    allActions: names,
    view,
    moves: (state, action) => {
      const verdict = judge(state, action);
      const next = { ...state, turn: state.turn + 1, right: state.right + verdict };
      const last = next.turn === length;
      const observation = last ? (verify(next) === 1 ? "Success." : "Failure.") : `Now ${view(next)}.`;
      return [{ state: { ...next, done: last }, observation, reward: reward === "oracle" ? verdict : verify(next) }];
    },
    wasted: "There is no such action.",
    late: "Failure.",
    texts: () => [
      prompt,
      "Success. Failure.",
      "Now, all right, not all right.",
      ...Array.from({ length: length + 1 }, (_, k) => `step ${k}`),
    ],
    verify,
    judge,
    meta: () => ({ right_actions: right.map((k) => names[k]) }),
  };
}

/**
 * Chain. At each of `length` steps one of `actions` actions is right; the episode succeeds if all were.
 *
 * Horizon: `length`, fixed. Branching: `actions`. Observability: the step, and with `shown` whether all were right so far.
 * The decisive choice lies everywhere: a wrong action cannot be made good. No chance.
 */
export const chain = defineEnvironment({ facts, params, make: (given) => new RulesEnvironment(chainRules(given)) });
