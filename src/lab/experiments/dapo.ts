import { assign } from "../../methods/assign.ts";
import { policyLoss } from "../../methods/loss/policy-losses.ts";
import { type Batch, batchFromObjects } from "../../rollouts/index.ts";
import { Random } from "../random.ts";
import { SoftmaxTable } from "../softmax-table.ts";
import { atLeast, atMost } from "./bounds.ts";
import type { Experiment, Scale, Trial } from "./experiment.ts";

const prompts = 60;
const startSuccess = [0.02, 0.5, 0.98];
const groups = 16;
const size = 8;
/** Of the one logit that a prompt has: the two columns of the table move by half of it each. */
const rate = 2;
const goal = 0.62;
const mostUpdates = 600;

interface Group {
  prompt: number;
  answers: number[];
}

function startingPolicy(): SoftmaxTable {
  const logits = new Float64Array(prompts * 2);
  for (let k = 0; k < prompts; k++) {
    const p = startSuccess[k % startSuccess.length];
    logits[2 * k + 1] = Math.log(p / (1 - p));
  }
  return new SoftmaxTable(prompts, 2, logits);
}

function meanSuccess(policy: SoftmaxTable): number {
  let total = 0;
  for (let k = 0; k < prompts; k++) total += policy.probability(k, 1);
  return total / prompts;
}

function sampled(policy: SoftmaxTable, random: Random): Group[] {
  return Array.from({ length: groups }, () => {
    const prompt = random.below(prompts);
    return { prompt, answers: Array.from({ length: size }, () => policy.sample(prompt, random)) };
  });
}

function batchOf(drawn: readonly Group[]): Batch {
  return batchFromObjects(
    drawn.flatMap(({ answers }, g) => answers.map((reward, i) => ({ id: `${g}-${i}`, group: `${g}`, reward }))),
  );
}

/** One batch of groups: what was sampled, and the credit. DAPO draws on until enough groups are kept. */
function collect(method: "grpo" | "dapo", policy: SoftmaxTable, random: Random) {
  const drawn = sampled(policy, random);
  if (method === "grpo") return { drawn, credited: assign(batchOf(drawn), "grpo") };
  for (;;) {
    const credited = assign(batchOf(drawn), "dapo", { target_groups: groups });
    let kept = 0;
    for (const keep of credited.numbers("rollout.keep")) kept += keep;
    if (kept >= groups * size) return { drawn, credited };
    drawn.push(...sampled(policy, random));
  }
}

function train(method: "grpo" | "dapo", most: number, seed: number) {
  const random = new Random(seed);
  const policy = startingPolicy();
  const curve: number[] = [];
  let updates = most;
  let samples = 0;
  let live = 0;
  for (let update = 0; update < most; update++) {
    const success = meanSuccess(policy);
    if (curve.length < 200) curve.push(success);
    if (success >= goal) {
      updates = update;
      break;
    }
    const { drawn, credited } = collect(method, policy, random);
    const advantage = credited.numbers("rollout.advantage");
    let alive = 0;
    drawn.forEach(({ prompt, answers }, g) => {
      if (answers.some((_, i) => advantage[g * size + i] !== 0)) alive++;
      answers.forEach((answer, i) => {
        policy.accumulate(prompt, answer, advantage[g * size + i] / (groups * size));
      });
    });
    policy.ascend(rate / 2);
    samples += drawn.length * size;
    live += alive / groups;
  }
  while (curve.length < 200) curve.push(curve[curve.length - 1]);
  return { updates, samples, live: live / Math.max(updates, 1), curve };
}

/** Largest probability of a token of old probability 0.01 and positive advantage at which its gradient is not cut. */
function reach(clipHigh: number): number {
  const alive = (p: number) => {
    const { weight } = policyLoss({
      loss: "vanilla",
      logprob: [[Math.log(p)]],
      old_logprob: [[Math.log(0.01)]],
      advantage: [[1]],
      clip_high: clipHigh,
    });
    return weight[0][0] > 0;
  };
  let low = 0.01;
  let high = 0.02;
  for (let k = 0; k < 50; k++) {
    const middle = (low + high) / 2;
    if (alive(middle)) low = middle;
    else high = middle;
  }
  return low;
}

function trial(seed: number, scale: Scale): Trial {
  const measures: Record<string, number> = {};
  const curves: Record<string, number[]> = {};
  for (const method of ["grpo", "dapo"] as const) {
    const run = train(method, scale === "full" ? mostUpdates : 20, seed);
    measures[`${method}: updates`] = run.updates;
    measures[`${method}: samples`] = run.samples;
    measures[`${method}: live groups`] = run.live;
    curves[method] = run.curve;
  }
  measures["reach of clip_high 0.2"] = reach(0.2);
  measures["reach of clip_high 0.28"] = reach(0.28);
  return { measures, curves };
}

/** Sampling on until every group carries a signal: fewer updates for about the same samples. */
export const experiment: Experiment = {
  id: "dapo",
  version: 1,
  claim: "Dynamic sampling fills every update with live groups and needs at most half of the updates of GRPO.",
  environment:
    "60 prompts with logits of their own, success 0.02, 0.5 and 0.98 in equal parts; 16 groups of 8 per update, rate " +
    "2, until the exact mean success is 0.62.",
  baseline: "grpo",
  seeds: 5,
  trial,
  findings: (summary) => {
    const ratio = summary.mean("dapo: updates") / summary.mean("grpo: updates");
    const cost = summary.mean("dapo: samples") / summary.mean("grpo: samples");
    return [
      {
        expected: "DAPO needs at most 0.5 times the updates of GRPO",
        measured: `${summary.text("dapo: updates", 1)} against ${summary.text("grpo: updates", 1)}, ratio ${ratio.toFixed(2)}`,
        holds: ratio <= 0.5,
        kind: "claim",
      },
      atLeast(summary, "dapo: live groups", 1),
      atMost(summary, "grpo: live groups", 0.45, { over: "mean" }),
      {
        expected: "the samples generated are about the same (within 30 %)",
        measured: `${summary.text("dapo: samples", 0)} against ${summary.text("grpo: samples", 0)}, ratio ${cost.toFixed(2)}`,
        holds: Math.abs(cost - 1) <= 0.3,
        kind: "limit",
      },
      {
        expected: "a token of old probability 0.01 keeps its gradient up to 0.0128 instead of 0.012",
        measured: `${summary.text("reach of clip_high 0.28", 5)} and ${summary.text("reach of clip_high 0.2", 5)}`,
        holds:
          Math.abs(summary.mean("reach of clip_high 0.28") - 0.0128) < 1e-9 &&
          Math.abs(summary.mean("reach of clip_high 0.2") - 0.012) < 1e-9,
        kind: "claim",
      },
    ];
  },
  plots: [
    { kind: "lines", title: "Success while training", x: "update", y: "exact mean success", curves: ["grpo", "dapo"] },
    {
      kind: "bars",
      title: "Samples generated to success 0.62",
      y: "samples",
      measures: ["grpo: samples", "dapo: samples"],
    },
  ],
  notes:
    "A prompt has one logit (success = sigmoid): with two free logits everything is twice as fast and the ratio the " +
    "same. Prompts are drawn with replacement. DAPO samples 16 groups at a time, and leaves surplus live groups out.",
};
