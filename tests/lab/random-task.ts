import { SmallEnvironment, type SmallOutcome } from "../../src/lab/benchmark/small-task.ts";
import { Random } from "../../src/lab/random.ts";

interface Place {
  step: number;
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

/** A small task drawn from a seed: 3 steps, 3 places that the agent tells apart only in pairs, chance, early ends. */
export function randomTask(seed: number): SmallEnvironment<Place> {
  const random = new Random(seed);
  const actions = ["a", "b", "c"];
  const draw = () => random.uniform();
  const table = new Map<string, SmallOutcome<Place>[]>();
  for (let step = 0; step < 3; step++) {
    for (let at = 0; at < 3; at++) {
      for (const action of actions) {
        const first = draw();
        const outcome = (probability: number): SmallOutcome<Place> => ({
          probability,
          state: { step: step + 1, at: random.below(3) },
          reward: Math.round(draw() * 8 - 4) / 4,
          done: step === 2 || draw() < 0.2,
          observation: "",
        });
        table.set(`${step} ${at} ${action}`, [outcome(first), outcome(1 - first)]);
      }
    }
  }
  return new SmallEnvironment<Place>({
    facts,
    prompt: "",
    actions,
    starts: [
      { probability: 0.25, state: { step: 0, at: 0 } },
      { probability: 0.75, state: { step: 0, at: 1 } },
    ],
    open: ({ at }) => (at === 2 ? ["a", "c"] : actions),
    view: ({ step, at }) => `step ${step}, ${at === 2 ? "end" : "side"}`,
    outcomes: ({ step, at }, action) => table.get(`${step} ${at} ${action}`) as SmallOutcome<Place>[],
    verify: ({ at }) => at / 2,
  });
}
