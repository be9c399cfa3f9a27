import { type Clock, type Move, type Rules, RulesEnvironment } from "../../src/lab/environments/rules.ts";
import { Random } from "../../src/lab/random.ts";

export interface Place extends Clock {
  at: number;
}

const facts = {
  id: "random-task",
  title: "random",
  task: "",
  horizon: "",
  branching: "",
  observability: "",
  decisive: "",
  level: "turn",
  agents: ["agent"],
} as const;

const actions = ["a", "b", "c"];

/** What all rules of tests have in common. */
export const plainRules = {
  facts,
  horizon: 3,
  starts: () => ({ count: 2, state: (k: number) => ({ turn: 0, done: false, at: k }) }),
  prompt: () => "",
  allActions: actions,
  wasted: "",
  late: "",
  texts: () => [],
  verify: ({ at }: Place) => at / 2,
};

/** A small task drawn from a seed: 3 steps, 3 places that the agent tells apart only in pairs, chance, early ends. */
export function randomTask(seed: number): RulesEnvironment<Place> {
  const random = new Random(seed);
  const table = new Map<string, Move<Place>[]>();
  for (let turn = 0; turn < 3; turn++) {
    for (let at = 0; at < 3; at++) {
      for (const action of actions) {
        const first = random.uniform();
        const move = (probability: number): Move<Place> => ({
          probability,
          state: { turn: 0, at: random.below(3), done: random.uniform() < 0.2 },
          reward: Math.round(random.uniform() * 8 - 4) / 4,
          observation: "",
        });
        table.set(`${turn} ${at} ${action}`, [move(first), move(1 - first)]);
      }
    }
  }
  return new RulesEnvironment<Place>({
    ...plainRules,
    actions: ({ at }) => (at === 2 ? ["a", "c"] : actions),
    view: ({ turn, at }) => `step ${turn}, ${at === 2 ? "end" : "side"}`,
    moves: ({ turn, at }, action) => table.get(`${turn} ${at} ${action}`) as Move<Place>[],
  });
}

/** Three steps on a line of three places, all of it seen; the verdict differs from the reward. */
export function plainTask(seed: number): RulesEnvironment<Place> {
  const random = new Random(seed);
  const draws = Array.from({ length: 12 }, () => random.uniform());
  const rules: Rules<Place> = {
    ...plainRules,
    allActions: ["left", "right"],
    view: ({ turn, at }) => `${turn} ${at}`,
    moves: (state, action) =>
      [1, -1].map((slip) => {
        const to = Math.min(Math.max(state.at + (action === "left" ? -slip : slip), 0), 2);
        const kept = 0.6 + 0.4 * draws[state.at];
        return {
          probability: slip === 1 ? kept : 1 - kept,
          state: { ...state, at: to },
          reward: draws[3 + to],
          observation: `at ${to}`,
        };
      }),
    verify: ({ at }) => draws[6 + at],
  };
  return new RulesEnvironment(rules);
}
