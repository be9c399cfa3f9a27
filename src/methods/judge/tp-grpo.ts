import { z } from "zod";
import { rolloutsToTokens, rowsToTokens } from "../../operators/broadcast.ts";
import { normalizePools, poolMoments } from "../../operators/normalize.ts";
import { poolByGroup } from "../../operators/pools.ts";
import type { Batch, FloatArray, NumericArray } from "../../rollouts/index.ts";
import { bit, functionArgs, probability } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { ddof, positiveEps } from "../parameters.ts";

const shaping = {
  alpha: z.number().positive().default(1).describe("strength of the process reward in correct rollouts"),
  merge_steps: z
    .boolean()
    .default(true)
    .describe("neighbouring steps of one label are one thought; false = every step is one"),
  adaptive: z
    .boolean()
    .default(true)
    .describe("scale the process reward of correct rollouts by the accuracy of the group"),
};

const params = z.object({
  ...shaping,
  force_last: z.boolean().default(true).describe("the last step holds the answer: its label is 1"),
  ddof: ddof(1),
  eps: positiveEps(1e-4),
});
type Params = z.output<typeof params>;

/** What the thoughts of a rollout are paid: `good` for label 1, `bad` for label 0, the outcome for the last one. */
interface Prices {
  good: number;
  bad: number;
  outcome: number;
}

/** Prices in a rollout with normalised outcome r̂: ±α acc if it is correct, r̂ for what the wrong answer took up, −r̂ else. */
function pricesOf(correct: boolean, outcome: number, acc: number, p: z.output<z.ZodObject<typeof shaping>>): Prices {
  const price = correct ? p.alpha * (p.adaptive ? acc : 1) : outcome;
  return { good: price, bad: 0 - price, outcome };
}

interface Thoughts {
  /** Per step the index of its thought. */
  thought: Int32Array;
  /** Reward of each thought, on its last step. */
  reward: FloatArray;
  /** Sum of the rewards of the step's thought and all later ones. */
  advantage: FloatArray;
}

/**
 * Fills in the thoughts of step rows [from, to): runs of equal labels (or single steps), the last paid with the outcome.
 * @returns whether a process reward is not zero.
 */
function think(label: NumericArray, from: number, to: number, merge: boolean, prices: Prices, out: Thoughts): boolean {
  let thought = 0;
  for (let row = from; row < to; row++) {
    if (row > from && (!merge || label[row] !== label[row - 1])) thought++;
    out.thought[row] = thought;
  }
  const last = thought;
  let sum = prices.outcome;
  let kept = false;
  for (let row = to - 1; row >= from; row--) {
    const ends = row === to - 1 || out.thought[row] !== out.thought[row + 1];
    if (row === to - 1) out.reward[row] = prices.outcome;
    else if (ends && out.thought[row] < last) {
      out.reward[row] = label[row] === 1 ? prices.good : prices.bad;
      sum += out.reward[row];
      kept ||= out.reward[row] !== 0;
    }
    out.advantage[row] = sum;
  }
  return kept;
}

/** Labels of all steps and which rollouts have them: `valid` of correct rollouts, `adopted` of wrong ones, the last forced. */
function labelsOf(batch: Batch, correct: Uint8Array, force: boolean): { label: Uint8Array; known: Uint8Array } {
  const offsets = batch.offsets("step");
  const label = new Uint8Array(batch.count("step"));
  const known = new Uint8Array(batch.size);
  for (const [path, ofCorrect] of [
    ["steps.valid", 1],
    ["steps.adopted", 0],
  ] as const) {
    if (!batch.has(path)) continue;
    // What stands in rollouts of the other kind is not looked at.
    const values = batch.numbers(path, { absent: 1, missing: Number.POSITIVE_INFINITY });
    for (let i = 0; i < batch.size; i++) {
      if (correct[i] !== ofCorrect || !batch.hasIn(path, i)) continue;
      known[i] = 1;
      for (let row = offsets[i]; row < offsets[i + 1]; row++) {
        label[row] = values[row];
        if (values[row] !== 0 && values[row] !== 1)
          throw batch.wrongValue(path, row, "0 or 1", Number.isFinite(values[row]) ? `${values[row]}` : "null");
      }
      if (force && offsets[i + 1] > offsets[i]) label[offsets[i + 1] - 1] = 1;
    }
  }
  // A rollout that nobody judged is one thought.
  for (let i = 0; i < batch.size; i++) if (known[i] === 0) label.fill(1, offsets[i], offsets[i + 1]);
  return { label, known };
}

/**
 * Credit of TP-GRPO (arXiv 2507.23317): outcomes ±1 are normalised in the group (r̂), steps of one label are merged to
 * thoughts, and a token gets the sum of the rewards of its own and all later thoughts. The last thought is paid r̂; before it
 * a valid thought of a correct rollout is paid r_c = α · accuracy and an erroneous one −r_c, a thought that the wrong answer
 * took up is paid r̂ and any other −r̂. So valid and adopted thoughts keep r̂, erroneous ones get r̂ − r_c and
 * detours of wrong rollouts 0. A rollout without labels gets r̂ everywhere.
 */
function assign(batch: Batch, p: Params): Batch {
  const correct = Uint8Array.from(batch.numbers("rollout.reward"), (r) => (r > 0 ? 1 : 0));
  const pools = poolByGroup(batch, "rollout");
  const outcome = normalizePools(
    Float64Array.from(correct, (c) => 2 * c - 1),
    pools,
    { ddof: p.ddof, eps: p.eps },
  );
  const accuracy = poolMoments(correct, pools).mean;
  const { label, known } = labelsOf(batch, correct, p.force_last);
  const offsets = batch.offsets("step");
  const rows = batch.count("step");
  const thoughts = {
    thought: new Int32Array(rows),
    reward: batch.zeros("step"),
    advantage: batch.zeros("step"),
  };
  const kept = new Uint8Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    const prices = pricesOf(correct[i] === 1, outcome[i], accuracy[pools.of[i]], p);
    const judged = known[i] === 1;
    kept[i] = think(label, offsets[i], offsets[i + 1], p.merge_steps || !judged, prices, thoughts) ? 1 : 0;
  }
  const columns = {
    "steps.thought": thoughts.thought,
    "steps.reward": thoughts.reward,
    "steps.advantage": thoughts.advantage,
    "rollout.kept": kept,
  };
  if (!batch.hasLevel("token")) return batch.with(columns);
  return batch.with({ ...columns, "tokens.advantage": tokenAdvantage(batch, thoughts.advantage, outcome) });
}

/** Advantage of every policy token: of its step, or r̂ in a response without steps. */
function tokenAdvantage(batch: Batch, advantage: FloatArray, outcome: Float64Array): FloatArray {
  const out = rowsToTokens(batch, "step", advantage);
  const steps = batch.offsets("step");
  const whole = outcome.map((r, i) => (steps[i + 1] > steps[i] ? 0 : r));
  if (whole.every((r) => r === 0)) return out;
  const plain = rolloutsToTokens(batch, whole);
  for (let t = 0; t < out.length; t++) out[t] += plain[t];
  return out;
}

const labels = z.array(bit);
const mergeArgs = z.object({ label: labels });
const thoughtArgs = z.object({
  label: labels,
  correct: z.boolean(),
  /** Normalised outcome r̂ of the rollout. */
  outcome: z.number(),
  /** Share of correct rollouts in the group. */
  acc: probability,
  ...shaping,
});

/** Index of the thought of each step: runs of equal labels. */
export function mergeThoughts(args: z.input<typeof mergeArgs>): number[] {
  const { label } = functionArgs(mergeArgs, args);
  let thought = 0;
  return label.map((x, k) => (k > 0 && x !== label[k - 1] ? ++thought : thought));
}

/** Advantage of each step of one rollout; the last label counts as 1. */
export function thoughtAdvantage(args: z.input<typeof thoughtArgs>): number[] {
  const { label, correct, outcome, acc, ...shape } = functionArgs(thoughtArgs, args);
  const forced = Uint8Array.from(label, (x, k) => (k === label.length - 1 ? 1 : x));
  const n = label.length;
  const out = { thought: new Int32Array(n), reward: new Float64Array(n), advantage: new Float64Array(n) };
  think(forced, 0, n, shape.merge_steps, pricesOf(correct, outcome, acc, shape), out);
  return [...out.advantage];
}

export const tpGrpo = defineMethod({
  id: "tp-grpo",
  title: "TP-GRPO: process rewards for thoughts, shaped by ability",
  summary:
    "A judge labels steps from signals inside the solution, equal neighbours are merged into thoughts, and their rewards are built so that the tokens that decide the outcome keep their GRPO advantage.",
  facts: {
    paper: {
      title:
        "Good Learners Think Their Thinking: Generative PRM Makes Large Reasoning Model More Efficient Math Learner",
      arxiv: "2507.23317",
      date: "2025-07",
      repo: "cs-holder/tp_grpo",
    },
    headline:
      "1.5B: mean 50.10 on five mathematics sets from 5.6K solutions, against 49.64 from 34K for outcome-only GRPO; without merging AIME25 falls from 25.63 to 22.29.",
    granularity: "segment",
    methodology: ["judge", "verifier"],
    checked: "the authors' repository could not be read; closed form of the two propositions, max abs diff 2e-16",
    reconstructed: ["alpha", "ddof", "eps", "no process reward on the last thought"],
  },
  equations: [
    {
      text: "correct: r_j = ±α acc; wrong: r_j = r̂ (adopted) or −r̂; last: r_J = r̂",
      tex: "r_j = \\pm\\alpha\\,\\mathrm{acc}\\;(\\text{correct}),\\quad r_j = \\pm\\hat r\\;(\\text{wrong}),\\quad r_J = \\hat r",
    },
    { text: "A_t = Σ_{k ≥ j} r_k for tokens of thought j", tex: "A_t = \\sum_{k \\ge j(t)} r_k" },
  ],
  params,
  reads: ["rollout.reward", "steps.valid | steps.adopted", "steps.end?", "tokens.mask?", "group?"],
  writes: ["steps.thought", "steps.reward", "steps.advantage", "rollout.kept", "tokens.advantage"],
  scope: "group",
  functions: { mergeThoughts, thoughtAdvantage },
  assign,
});
