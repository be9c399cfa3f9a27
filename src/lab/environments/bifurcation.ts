import { z } from "zod";
import { type BifurcationTask, onTrack } from "../../mechanisms/bifurcation.ts";
import { Random } from "../random.ts";
import { type BifurcationFamily, bifurcationFamilies, bifurcationTask } from "./bifurcation-families.ts";
import { defineEnvironment } from "./entry.ts";
import type { EnvironmentFacts } from "./environment.ts";
import { type Clock, type Rules, RulesEnvironment } from "./rules.ts";

export interface BifurcationState extends Clock {
  /** 0 on track, 1 off track. */
  status: number;
  /** Outcome, 0 or 1; 0 until the end. */
  success: number;
}

const facts: EnvironmentFacts = {
  id: "bifurcation",
  title: "Bifurcations",
  task: "A few steps out of many decide whether the episode is on track; the outcome is a coin that lands well mostly on track.",
  horizon: "horizon (8), fixed",
  branching: "actions (2; 32 in the family decoy)",
  observability: "the step and whether the episode is on track; with hidden only the step",
  decisive: "at the gates and repairs of the family; everything else is a distractor",
  level: "turn",
  agents: ["agent"],
};

const families = Object.keys(bifurcationFamilies) as [BifurcationFamily, ...BifurcationFamily[]];
const about = Object.entries(bifurcationFamilies).map(([name, text]) => `${name}: ${text}`);

const params = z.object({
  family: z.enum(families).default("single-gate").describe(about.join("; ")),
  horizon: z.int().min(1).max(1000).default(8).describe("steps"),
  actions: z.int().min(2).max(100).nullable().default(null).describe("actions of a step; null: 2, of decoy 32"),
  right: z.int().min(0).nullable().default(null).describe("right actions at a gate or repair; null: half of them"),
  gates: z.int().min(1).nullable().default(null).describe("gates of and-gates and noisy; null: 2"),
  window: z.int().min(1).default(4).describe("steps behind the gate among which the repair of gate-repair lies"),
  slip: z.number().min(0).max(1).nullable().default(null).describe("chance to lose the track; null: 0, of noisy 0.05"),
  rho: z.number().min(0).max(1).default(1).describe("chance that a right action repairs"),
  p_on: z.number().min(0).max(1).default(0.95).describe("chance of success on track"),
  p_off: z.number().min(0).max(1).default(0.05).describe("chance of success off track"),
  hidden: z.boolean().default(false).describe("whether the agent sees the step only"),
  agents: z.int().min(1).max(20).default(1).describe("agents that take the steps in turn"),
  seed: z.int().default(0).describe("draws the places of the gates and the right actions"),
});

/** Rules of a bifurcation task. Action k is called `a` and k. */
export function bifurcationRules(task: BifurcationTask, hidden = false, agents = 1): Rules<BifurcationState> {
  const { steps, actions, pOn, pOff } = task;
  const names = Array.from({ length: actions }, (_, k) => `a${k}`);
  const crew = agents === 1 ? facts.agents : Array.from({ length: agents }, (_, k) => `agent ${k + 1}`);
  const view = ({ turn, status }: BifurcationState) =>
    `step ${Math.min(turn + 1, steps.length)}${hidden ? "" : `, ${status === 0 ? "on" : "off"} track`}`;
  const prompt = `There are ${steps.length} steps; choose one of ${actions} actions at each. Some of them decide how it ends.`;
  const places = (kind: string) => steps.flatMap((step, t) => (step.kind === kind ? [t] : []));
  return {
    facts: { ...facts, agents: crew },
    horizon: steps.length,
    starts: () => ({ count: 1, state: () => ({ turn: 0, done: false, status: 0, success: 0 }) }),
    prompt: () => prompt,
    allActions: names,
    agent: ({ turn }) => crew[turn % crew.length],
    view,
    moves: (state, action) => followed(state, onTrack(steps[state.turn], state.status, names.indexOf(action))),
    wasted: (state) => followed(state, onTrack(steps[state.turn], state.status, -1)),
    late: "",
    texts: () => [
      prompt,
      "Success. Failure.",
      "Now, on track, off track.",
      ...Array.from({ length: steps.length + 1 }, (_, k) => `step ${k}`),
    ],
    verify: ({ success }) => success,
    meta: () => ({
      horizon: steps.length,
      actions,
      gates: places("gate"),
      repairs: places("repair"),
      p_on: pOn,
      p_off: pOff,
    }),
  };

  function followed(state: BifurcationState, on: number) {
    const statuses = [
      { status: 0, probability: on },
      { status: 1, probability: 1 - on },
    ];
    if (state.turn + 1 < steps.length) {
      return statuses.map(({ status, probability }) => {
        const next = { ...state, status };
        return { probability, state: next, observation: `Now ${view({ ...next, turn: state.turn + 1 })}.` };
      });
    }
    return statuses.flatMap(({ status, probability }) => {
      const wins = status === 0 ? pOn : pOff;
      return [
        {
          probability: probability * wins,
          state: { ...state, status, success: 1, done: true },
          observation: "Success.",
          reward: 1,
        },
        { probability: probability * (1 - wins), state: { ...state, status, done: true }, observation: "Failure." },
      ];
    });
  }
}

/**
 * Bifurcations: the tasks of `mechanisms/bifurcation.ts` as an environment. At a gate a wrong action loses the track, at a
 * repair a right one wins it back, everywhere else actions do nothing; chance may throw an episode off the track (`slip`),
 * and the outcome itself is a coin (`p_on`, `p_off`).
 *
 * Horizon: `horizon`, fixed. Branching: `actions`. Observability: step and status; with `hidden` the step only. The
 * decisive choices lie at the gates and repairs of the family. Several agents take the steps in turn.
 */
export const bifurcation = defineEnvironment({
  facts,
  params,
  make: ({ family, actions, right, gates, slip, p_on, p_off, hidden, agents, seed, ...rest }) => {
    const task = bifurcationTask(family, new Random(seed), {
      ...rest,
      actions: actions ?? undefined,
      right: right ?? undefined,
      gates: gates ?? undefined,
      slip: slip ?? undefined,
      pOn: p_on,
      pOff: p_off,
    });
    return new RulesEnvironment(bifurcationRules(task, hidden, agents));
  },
});
