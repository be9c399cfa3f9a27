import { assign } from "../../methods/assign.ts";
import { batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import { tailMean } from "./decisions.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const hardPrompts = 2;
const prompts = 6;
const groupSize = 8;
const useful = 3;
const cap = 12;
const maxLength = 24;
const rate = 0.3;

/**
 * Row 0: explore (action 1) or not. Rows after it: write a redundant token (action 1) or stop, by how many there are.
 */
function startingPolicy(): SoftmaxTable {
  const policy = new SoftmaxTable(1 + cap, 2);
  for (let k = 0; k < cap; k++) policy.logits[2 * (k + 1) + 1] = Math.log(0.73 / 0.27);
  policy.changed();
  return policy;
}

interface Response {
  /** Row of the decision made by each token, -1 for tokens without a choice. */
  rows: number[];
  actions: number[];
  explored: boolean;
  redundant: number;
  correct: boolean;
}

function respond(hard: boolean, policy: SoftmaxTable, random: Random): Response {
  const explored = policy.sample(0, random) === 1;
  const rows = [0];
  const actions = [explored ? 1 : 0];
  for (let k = 0; k < (explored ? useful : 0); k++) {
    rows.push(-1);
    actions.push(0);
  }
  let redundant = 0;
  while (redundant < cap) {
    const action = policy.sample(1 + redundant, random);
    rows.push(1 + redundant);
    actions.push(action);
    if (action === 0) break;
    redundant++;
  }
  const correct = !hard || random.uniform() < (explored ? 0.9 : 0.3);
  return { rows, actions, explored, redundant, correct };
}

/** A rollout: the reasoning up to the answer, what is written after it, and the stop token outside of the reasoning. */
function rollout({ rows, actions, explored, redundant, correct }: Response, i: number, reward: number) {
  const answered = 1 + (explored ? useful : 0);
  const thinkEnd = answered + redundant;
  const end = [answered, thinkEnd, rows.length].filter((e, k, all) => k === 0 || e > all[k - 1]);
  return {
    id: `r${i}`,
    group: `g${Math.floor(i / groupSize)}`,
    reward,
    signals: { think_end: thinkEnd },
    tokens: { id: actions },
    steps: { end, has_answer: end.map((_, k) => (k === 0 && correct ? 1 : 0)) },
  };
}

const arms = ["grpo", "length penalty", "decs"] as const;
type Arm = (typeof arms)[number];

function train(arm: Arm, seed: number, updates: number) {
  const random = new Random(seed);
  const policy = startingPolicy();
  const explore: number[] = [];
  const redundant: number[] = [];
  const accuracy: number[] = [];
  for (let update = 0; update < updates; update++) {
    const responses = Array.from({ length: prompts * groupSize }, (_, i) =>
      respond(Math.floor(i / groupSize) < hardPrompts, policy, random),
    );
    const rollouts = responses.map((response, i) => {
      const penalty = arm === "length penalty" ? (0.3 * response.rows.length) / maxLength : 0;
      return rollout(response, i, response.correct ? 1 - penalty : 0);
    });
    const credit =
      arm === "decs"
        ? assign(batchFromObjects(rollouts), "decs", { max_len: maxLength })
        : assign(batchFromObjects(rollouts), "grpo");
    const advantage = credit.numbers("tokens.advantage");
    let token = 0;
    for (const { rows, actions } of responses) {
      rows.forEach((row, t) => {
        if (row >= 0) policy.accumulate(row, actions[t], advantage[token] / responses.length);
        token++;
      });
    }
    policy.ascend(rate);
    const hard = responses.slice(0, hardPrompts * groupSize);
    explore.push(policy.probability(0, 1));
    redundant.push(responses.reduce((sum, r) => sum + r.redundant, 0) / responses.length);
    accuracy.push(hard.filter((r) => r.correct).length / hard.length);
  }
  return { explore, redundant, accuracy };
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const arm of arms) {
    const run = train(arm, seed, scale === "full" ? 400 : 6);
    measures[`explore, ${arm}`] = run.explore[run.explore.length - 1];
    measures[`redundant tokens, ${arm}`] = tailMean(run.redundant, 20);
    measures[`accuracy on hard prompts, ${arm}`] = tailMean(run.accuracy, 20);
    curves[arm] = run.redundant.filter((_, t) => t % 4 === 0);
    curves[`explore, ${arm}`] = run.explore.filter((_, t) => t % 4 === 0);
  }
  return { measures, curves };
}

/** Only what comes after the answer is paid less; what leads to it is not. */
export const experiment: Experiment = {
  id: "decs",
  version: 1,
  claim:
    "Decoupled token rewards remove redundant tokens and keep useful exploration, which a length penalty gives up.",
  environment:
    "2 hard and 4 easy prompts, one shared policy: explore (3 useful tokens; hard prompts then succeed with 0.9 " +
    "instead of 0.3), then stop or write a redundant token (0.73 at first, at most 12). G = 8, rate 0.3, 400 updates.",
  baseline: "grpo; grpo with reward - 0.3 length/24 for right answers",
  seeds: 4,
  trial,
  findings: (summary) => [
    atMost(summary, "redundant tokens, decs", 0.3),
    atLeast(summary, "explore, decs", 0.9),
    atMost(summary, "explore, length penalty", 0.1),
    atLeast(summary, "explore, grpo", 0.9, { kind: "limit" }),
    atLeast(summary, "redundant tokens, grpo", 1, { over: "mean", kind: "limit" }),
  ],
  plots: [
    { kind: "lines", title: "Redundant tokens", x: "update", y: "tokens", curves: [...arms], every: 4 },
    {
      kind: "lines",
      title: "P(explore)",
      x: "update",
      y: "probability",
      curves: arms.map((arm) => `explore, ${arm}`),
      every: 4,
    },
  ],
  notes: "Whether to go on is a decision of its own after every number of redundant tokens. Judge labels are exact.",
};
