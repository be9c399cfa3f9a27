import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const groupSize = 8;
const agents = ["solver", "fixer"] as const;
const pools = { "one pool": false, "by agent": true } as const;

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const rollouts = Array.from({ length: groupSize * (scale === "full" ? 4000 : 40) }, (_, i) => {
    const solved = random.uniform() < 0.9;
    const calls = solved ? 0 : 1 + random.below(3);
    const reward = solved || random.uniform() < 0.1 ? 1 : 0;
    const agent = ["solver", ...new Array<string>(calls).fill("fixer")];
    return { id: `r${i}`, group: `g${Math.floor(i / groupSize)}`, reward, turns: { agent } };
  });
  const batch = batchFromObjects(rollouts);
  const who = rollouts.flatMap(({ turns }) => turns.agent);
  const measures: Record<string, number> = {};
  for (const [pool, by_agent] of Object.entries(pools)) {
    const advantage = assign(batch, "dr-mas", { by_agent }).numbers("turns.advantage");
    for (const agent of agents) {
      let [count, sum, squares] = [0, 0, 0];
      who.forEach((name, k) => {
        if (name !== agent) return;
        count++;
        sum += advantage[k];
        squares += advantage[k] ** 2;
      });
      measures[`mean advantage of the ${agent}, ${pool}`] = sum / count;
      measures[`mean squared advantage of the ${agent}, ${pool}`] = squares / count;
    }
  }
  return { measures };
}

const fixer = (what: string, pool: string) => `mean ${what} of the fixer, ${pool}`;

/** An agent that only acts after a failure is judged against its own invocations, not against the whole team. */
export const experiment: Experiment = {
  id: "dr-mas",
  version: 1,
  claim:
    "In one pool an agent that acts rarely and in bad situations gets huge negative advantages; compared with its " +
    "own invocations it does not, and the others are unchanged.",
  environment:
    "A solver succeeds 9 times in 10; after a failure a fixer is called one to three times and saves 1 in 10. 4000 " +
    "groups of 8.",
  baseline: "dr-mas with by_agent false (one pool, as in grpo)",
  seeds: 5,
  trial,
  findings: (summary) => {
    const solver = Object.keys(pools).map((pool) => `mean squared advantage of the solver, ${pool}`);
    return [
      atLeast(summary, fixer("squared advantage", "one pool"), 3),
      atMost(summary, fixer("advantage", "one pool"), -1),
      atMost(summary, fixer("squared advantage", "by agent"), 1),
      {
        expected: "by agent the fixer's mean advantage is 0.0",
        measured: summary.text(fixer("advantage", "by agent"), 3),
        holds: Math.abs(summary.mean(fixer("advantage", "by agent"))) < 0.05,
        kind: "claim",
      },
      {
        expected: "the solver's mean squared advantage is the same",
        measured: `${summary.text(solver[0], 4)} against ${summary.text(solver[1], 4)}`,
        holds: Math.abs(summary.mean(solver[0]) - summary.mean(solver[1])) < 1e-6,
        kind: "claim",
      },
    ];
  },
  plots: [
    {
      kind: "bars",
      title: "Mean squared advantage",
      y: "E[A²]",
      measures: agents.flatMap((agent) =>
        Object.keys(pools).map((pool) => `mean squared advantage of the ${agent}, ${pool}`),
      ),
    },
  ],
};
