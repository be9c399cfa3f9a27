import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";
import { bestOf, search, stepsPerTask } from "./step-search.ts";

const tasks = 400;
const budgets = [60, 120];
const paths = 16;
const branching = 3;
const wanted = { 60: 2, 120: 1.5 };

/** Random paths through a tree whose edges are right with one half; null when no path is right to its end. */
function pathsOfTask(random: Random) {
  const sound = new Map<string, boolean>();
  const walk = () => {
    const nodes: string[] = [];
    let node = "";
    let right = true;
    for (let k = 0; k < stepsPerTask; k++) {
      node += random.below(branching);
      if (!sound.has(node)) sound.set(node, right && random.uniform() < 0.5);
      right = sound.get(node) === true;
      nodes.push(node);
    }
    return { nodes, reward: right ? 1 : 0 };
  };
  const walked = Array.from({ length: paths }, walk);
  return walked.some(({ reward }) => reward === 1) ? { walked, sound } : null;
}

/** Mean inferred value of right prefixes minus that of wrong ones, by depth. */
function separation(count: number, random: Random): number[] {
  const found = [];
  while (found.length < count) {
    const task = pathsOfTask(random);
    if (task !== null) found.push(task);
  }
  const batch = batchFromObjects(
    found.flatMap(({ walked }, task) =>
      walked.map(({ nodes, reward }, i) => ({ id: `${task}-${i}`, group: `${task}`, reward, steps: { node: nodes } })),
    ),
  );
  const value = assign(batch, "rest-mcts").numbers("steps.value");
  const total = { right: new Float64Array(stepsPerTask), wrong: new Float64Array(stepsPerTask) };
  const counts = { right: new Float64Array(stepsPerTask), wrong: new Float64Array(stepsPerTask) };
  let row = 0;
  for (const { walked, sound } of found) {
    const seen = new Set<string>();
    for (const { nodes } of walked)
      nodes.forEach((node, depth) => {
        if (!seen.has(node)) {
          const side = sound.get(node) === true ? "right" : "wrong";
          total[side][depth] += value[row];
          counts[side][depth]++;
          seen.add(node);
        }
        row++;
      });
  }
  return Array.from(
    { length: stepsPerTask },
    (_, depth) => total.right[depth] / counts.right[depth] - total.wrong[depth] / counts.wrong[depth],
  );
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const count = scale === "full" ? tasks : 40;
  const measures: Record<string, number> = {};
  for (const budget of budgets) {
    let searched = 0;
    let ranked = 0;
    for (let k = 0; k < count; k++) {
      if (search(budget, random)) searched++;
      if (bestOf(budget / stepsPerTask, random)) ranked++;
    }
    measures[`MCTS*, ${budget} proposals`] = searched / count;
    measures[`best of ${budget / stepsPerTask}`] = ranked / count;
  }
  separation(count, random).forEach((difference, depth) => {
    measures[`separation, depth ${depth + 1}`] = difference;
  });
  return { measures };
}

/** The search spends its proposals where the value model sees a way; the inferred values know right from wrong. */
export const experiment: Experiment = {
  id: "rest-mcts",
  version: 1,
  claim:
    "At the same number of proposed steps MCTS* solves far more tasks than best-of-N ranked by the same value model, " +
    "and the inferred values tell right prefixes from wrong ones.",
  environment:
    "400 tasks of 5 steps, every proposed step right with 0.4, solved when all five are; value model = inferred " +
    "value of the prefix + Gaussian noise of 0.15, in [0, 1]. Branch 3, c 0.7, 2 simulated steps. Then 16 random " +
    "paths per task through a 3-ary tree whose edges are right with 0.5.",
  baseline: "best of 12 (and of 24) ranked by the same value model",
  seeds: 3,
  trial,
  findings: (summary) => {
    const separations = Array.from({ length: stepsPerTask }, (_, d) => summary.mean(`separation, depth ${d + 1}`));
    return [
      ...([60, 120] as const).map((budget) => {
        const against = `best of ${budget / stepsPerTask}`;
        const ratio = summary.mean(`MCTS*, ${budget} proposals`) / summary.mean(against);
        return {
          expected: `${budget} proposals: MCTS* solves at least ${wanted[budget]} times as many (card: ${budget === 60 ? "0.36 against 0.11" : "0.48 against 0.24"})`,
          measured: `${summary.text(`MCTS*, ${budget} proposals`, 3)} against ${summary.text(against, 3)}, ratio ${ratio.toFixed(2)}`,
          holds: ratio >= wanted[budget],
          kind: "claim" as const,
        };
      }),
      {
        expected:
          "right minus wrong prefixes: at least 0.1 at every depth, at least 0.4 from depth 4 (card: 0.12, 0.16, " +
          "0.29, 0.54, 0.99)",
        measured: separations.map((x) => x.toFixed(2)).join(", "),
        holds: separations.every((x, d) => x >= (d >= 3 ? 0.4 : 0.1)),
        kind: "claim",
      },
    ];
  },
  plots: [
    {
      kind: "bars",
      title: "Share of tasks solved",
      y: "share",
      measures: ["best of 12", "MCTS*, 60 proposals", "best of 24", "MCTS*, 120 proposals"],
    },
    {
      kind: "bars",
      title: "Inferred value of right minus wrong prefixes",
      y: "difference",
      measures: Array.from({ length: stepsPerTask }, (_, d) => `separation, depth ${d + 1}`),
    },
  ],
  notes:
    "Only a complete solution stops the search or is an answer: the finished one with the largest value. The value " +
    "model gives a prefix one value, however often it is asked. A prefix counts once per task in the second part.",
};
