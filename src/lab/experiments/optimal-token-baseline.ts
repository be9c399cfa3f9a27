import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";
import { distance, GradientMoments, norm } from "./gradient-moments.ts";

const choices = 4;
const groups = 3000;
const groupsPerBatch = 250;
const success = [0.9, 0.1];

/** Two policies: a first token that picks a branch, then `length` − 1 tokens of the branch that was picked. */
interface Task {
  first: SoftmaxTable;
  /** Rows of branch 0, then those of branch 1. */
  rest: SoftmaxTable;
  length: number;
}

/** @param confidence logit of one choice, by branch and position. */
function taskOf(length: number, confidence: (branch: number, t: number) => number): Task {
  const rest = new SoftmaxTable(2 * (length - 1), choices);
  for (const branch of [0, 1])
    for (let t = 1; t < length; t++) rest.logits[(branch * (length - 1) + t - 1) * choices] = confidence(branch, t);
  rest.changed();
  return { first: new SoftmaxTable(1, 2), rest, length };
}

/** Confident branch against noise branch; and both branches alike, every fourth token a decision. */
const tasks = {
  "unequal energy": taskOf(16, (branch) => (branch === 0 ? 6 : 0)),
  "equal energy": taskOf(24, (_, t) => (t % 4 === 0 ? 0.5 : 6)),
};

const squares = (probabilities: Float64Array) => probabilities.reduce((sum, p) => sum + p * p, 0);

function respond({ first, rest, length }: Task, random: Random) {
  const branch = first.sample(0, random);
  const id = [branch];
  const rows = [0];
  const logprob = [first.logProbability(0, branch)];
  const sums = [squares(first.probabilities(0))];
  for (let t = 1; t < length; t++) {
    const row = branch * (length - 1) + t - 1;
    const action = rest.sample(row, random);
    rows.push(row);
    id.push(action);
    logprob.push(rest.logProbability(row, action));
    sums.push(squares(rest.probabilities(row)));
  }
  const reward = random.uniform() < success[branch] ? 1 : 0;
  return { reward, rows, tokens: { id, old_logprob: logprob, sum_pi_squared: sums } };
}

const methods = ["dr-grpo", "optimal-token-baseline"] as const;

/** Noise to signal of both baselines on the same groups, and how far apart their mean first-token gradients are. */
function measure(task: Task, size: number, count: number, random: Random) {
  const all = methods.map(() => new GradientMoments(2 + task.rest.logits.length));
  for (let done = 0; done < count; done += groupsPerBatch) {
    const responses = Array.from({ length: groupsPerBatch * size }, () => respond(task, random));
    const batch = batchFromObjects(
      responses.map(({ reward, tokens }, i) => ({
        id: `${i}`,
        group: `${Math.floor(i / size)}`,
        reward,
        tokens,
      })),
    );
    methods.forEach((method, m) => {
      const advantage = assign(batch, method).numbers("tokens.advantage");
      for (let g = 0; g < groupsPerBatch; g++) {
        for (let i = g * size; i < (g + 1) * size; i++) {
          const { rows, tokens } = responses[i];
          task.first.accumulate(0, tokens.id[0], advantage[i * task.length] / size);
          for (let t = 1; t < task.length; t++)
            task.rest.accumulate(rows[t], tokens.id[t], advantage[i * task.length + t] / size);
        }
        const gradient = new Float64Array(2 + task.rest.logits.length);
        gradient.set(task.first.gradient);
        gradient.set(task.rest.gradient, 2);
        all[m].add(gradient);
        task.first.gradient.fill(0);
        task.rest.gradient.fill(0);
      }
    });
  }
  const firsts = all.map((moments) => moments.mean.subarray(0, 2));
  const [mean, optimal] = all.map((moments, m) => moments.variance / norm(firsts[m]) ** 2);
  return { mean, optimal, moved: distance(firsts[1], firsts[0]) / norm(firsts[0]) };
}

function trial(seed: number, scale: Scale): Trial {
  const random = new Random(seed);
  const measures: Record<string, number> = {};
  for (const [name, task] of Object.entries(tasks))
    for (const size of [4, 8]) {
      const { mean, optimal, moved } = measure(task, size, scale === "full" ? groups : groupsPerBatch, random);
      measures[`${name}, G = ${size}: mean`] = mean;
      measures[`${name}, G = ${size}: optimal`] = optimal;
      measures[`${name}, G = ${size}: change of the mean gradient`] = moved;
    }
  return { measures };
}

/** Weighting the baseline by gradient energy pays where branches differ in energy, and only there. */
export const experiment: Experiment = {
  id: "optimal-token-baseline",
  version: 1,
  claim:
    "Where responses differ in gradient energy, the token baseline weighted by it halves the noise to signal of the " +
    "group mean and leaves the mean gradient as it is; where they do not, it gains nothing.",
  environment:
    "The first token picks a confident branch (logit 6, reward 0.9) or a uniform-noise branch (reward 0.1), then 15 " +
    "tokens with 4 choices; tabular logits, 3000 groups. Noise to signal: total gradient variance by the squared " +
    "length of the mean gradient of the first token.",
  baseline: "dr-grpo (group mean)",
  seeds: 3,
  trial,
  findings: (summary) => {
    const ratio = (name: string) => summary.mean(`${name}: optimal`) / summary.mean(`${name}: mean`);
    const shown = (name: string) =>
      `${summary.text(`${name}: optimal`)} against ${summary.text(`${name}: mean`)}, ratio ${ratio(name).toFixed(2)}`;
    const moved = summary.max("unequal energy, G = 4: change of the mean gradient");
    return [
      ...[4, 8].map((size) => ({
        expected: `G = ${size}: at most 0.5 times the noise to signal of the group mean (card: ${size === 4 ? "2.4 against 6.2" : "1.1 against 2.7"})`,
        measured: shown(`unequal energy, G = ${size}`),
        holds: ratio(`unequal energy, G = ${size}`) <= 0.5,
        kind: "claim" as const,
      })),
      {
        expected: "the mean gradient of the first token is unchanged (within 2 %)",
        measured: `largest change ${(100 * moved).toFixed(3)} %`,
        holds: moved <= 0.02,
        kind: "claim",
      },
      {
        expected: "branches of equal energy: no gain (ratio 0.98 to 1.1)",
        measured: `${shown("equal energy, G = 4")}; G = 8: ${shown("equal energy, G = 8")}`,
        holds: [4, 8].every((size) => {
          const r = ratio(`equal energy, G = ${size}`);
          return r >= 0.95 && r <= 1.15;
        }),
        kind: "limit",
      },
    ];
  },
  plots: [
    {
      kind: "bars",
      title: "Noise to signal",
      y: "variance by squared mean",
      measures: Object.keys(tasks).flatMap((name) => [`${name}, G = 4: mean`, `${name}, G = 4: optimal`]),
    },
  ],
  notes:
    "The branch is chosen uniformly. The near-uniform decisions of the control have logit 0.5 on one choice, the " +
    "others logit 6.",
};
