import { z } from "zod";
import { advantageColumns } from "../../operators/group-credit.ts";
import { logRatioSums } from "../../operators/log-ratio.ts";
import { requireTokens } from "../../operators/mask.ts";
import { sumOverPolicyTokens } from "../../operators/outcome.ts";
import { preferenceLoss } from "../../operators/preference.ts";
import { numbersWithin } from "../../operators/ranges.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { functionArgs, numberList, probability, sameLength } from "../arguments.ts";
import { defineMethod, type TwoPass } from "../method.ts";

const pairing = {
  use_process: z
    .boolean()
    .default(true)
    .describe("step verdicts decide between rollouts of one outcome; false = the outcome alone makes pairs"),
  min_gap: z.number().min(0).max(1).default(1e-9).describe("smallest gap of process scores that makes a pair"),
  select: z
    .enum(["all", "best_worst"])
    .default("all")
    .describe("all pairs of a group, or only its best against its worst rollout"),
};
const beta = z.number().positive().default(0.1).describe("scale of the difference of log-probabilities");
const normalize_weights = z.boolean().default(false).describe("divide the weights by their mean over the batch");

const params = z.object({
  ...pairing,
  beta,
  reference: z
    .enum(["none", "ratio"])
    .default("none")
    .describe("plain log-probabilities as printed, or log-ratios to tokens.ref_logprob as in DPO"),
  normalize_weights,
});
type Params = z.output<typeof params>;
type Pairing = z.output<z.ZodObject<typeof pairing>>;

/** From this verdict on a step counts as accepted, and from this outcome on a rollout as correct. */
const half = 0.5;

export interface WeightedPair {
  chosen: number;
  rejected: number;
  weight: number;
}

/** The pair of rollouts i and j, or null: the outcome decides, else the process score with the gap as weight. */
function pairOf(i: number, j: number, outcome: ArrayLike<number>, process: ArrayLike<number>, p: Pairing) {
  const [a, b] = [outcome[i] >= half, outcome[j] >= half];
  if (a !== b) return a ? { chosen: i, rejected: j, weight: 1 } : { chosen: j, rejected: i, weight: 1 };
  const gap = process[i] - process[j];
  if (!p.use_process || Math.abs(gap) <= p.min_gap) return null;
  return gap > 0 ? { chosen: i, rejected: j, weight: gap } : { chosen: j, rejected: i, weight: -gap };
}

/** Pairs among the members of one group. */
function pairsAmong(
  members: ArrayLike<number>,
  outcome: ArrayLike<number>,
  process: ArrayLike<number>,
  p: Pairing,
): WeightedPair[] {
  const pairs: WeightedPair[] = [];
  const add = (i: number, j: number) => {
    const pair = pairOf(i, j, outcome, process, p);
    if (pair !== null) pairs.push(pair);
  };
  if (p.select === "all") {
    for (let a = 0; a < members.length; a++) for (let b = a + 1; b < members.length; b++) add(members[a], members[b]);
    return pairs;
  }
  const rank = (i: number) => (outcome[i] >= half ? 2 : 0) + process[i];
  let best = 0;
  let worst = 0;
  for (let k = 1; k < members.length; k++) {
    if (rank(members[k]) > rank(members[best])) best = k;
    if (rank(members[k]) < rank(members[worst])) worst = k;
  }
  if (best !== worst) add(members[best], members[worst]);
  return pairs;
}

/** Share of judged steps that are accepted, per rollout; a null verdict was not judged, and nothing judged gives 0. */
function processScores(batch: Batch, useProcess: boolean): Float64Array {
  const path = "steps.prm";
  if (useProcess) batch.column(path);
  const verdicts = numbersWithin(batch, path, [0, 1], useProcess ? { missing: 0 } : { absent: 0, missing: 0 });
  const judged = batch.has(path) ? batch.validity(path) : new Uint8Array(verdicts.length);
  const offsets = batch.offsets("step");
  return Float64Array.from({ length: batch.size }, (_, i) => {
    let accepted = 0;
    let count = 0;
    for (let row = offsets[i]; row < offsets[i + 1]; row++) {
      if (judged !== null && judged[row] === 0) continue;
      count++;
      if (verdicts[row] >= half) accepted++;
    }
    return count === 0 ? 0 : accepted / count;
  });
}

function allPairs(batch: Batch, process: Float64Array, p: Params): WeightedPair[] {
  const outcome = batch.numbers("rollout.reward");
  const { count, offsets, members } = batch.groups();
  const groups = Array.from({ length: count }, (_, g) => members.subarray(offsets[g], offsets[g + 1]));
  return groups.flatMap((group) => pairsAmong(group, outcome, process, p));
}

/** Number of pairs of the whole batch and the sum of their weights. */
interface PairTotals {
  pairs: number;
  weight: number;
}

function totalsOf(pairs: readonly WeightedPair[], before: PairTotals | null = null): PairTotals {
  return pairs.reduce((sum, { weight }) => ({ pairs: sum.pairs + 1, weight: sum.weight + weight }), {
    pairs: before?.pairs ?? 0,
    weight: before?.weight ?? 0,
  });
}

/**
 * Credit of StepORLM (arXiv 2509.22558 eq. 1): pairs of rollouts of one prompt, weight 1 where the solver's outcomes differ,
 * else the gap of the shares of accepted steps, and the weighted DPO loss over all |P| pairs of the batch. The advantage of a
 * rollout is minus the gradient of that loss by its log-probability l: ascending Σ c_i l_i is one step of W-DPO.
 */
function assign(batch: Batch, p: Params, given?: PairTotals): Batch {
  requireTokens(batch);
  const process = processScores(batch, p.use_process);
  const pairs = allPairs(batch, process, p);
  const totals = given ?? totalsOf(pairs);
  const l =
    p.reference === "ratio"
      ? logRatioSums(batch, { policy: "tokens.logprob" })
      : sumOverPolicyTokens(batch, "tokens.logprob");
  const credit = new Float64Array(batch.size);
  const { gradient } = preferenceLoss(Float64Array.from(pairs, (pair) => p.beta * (l[pair.chosen] - l[pair.rejected])));
  // The operator takes the mean over the pairs of this call; the loss is the mean over those of the whole batch.
  const scale = p.beta * (pairs.length / totals.pairs) * (p.normalize_weights ? totals.pairs / totals.weight : 1);
  pairs.forEach(({ chosen, rejected, weight }, k) => {
    const slope = scale * weight * gradient[k];
    credit[chosen] -= slope;
    credit[rejected] += slope;
  });
  return batch.with({ "rollout.process_score": process, ...advantageColumns(batch, credit) });
}

const twoPass: TwoPass<Params, PairTotals> = {
  scope: () => "group",
  collect: (batch, p, state) => totalsOf(allPairs(batch, processScores(batch, p.use_process), p), state),
  apply: assign,
};

const verdictList = z.array(probability.nullable());

const scoreArgs = z.object({ verdicts: verdictList });

/** Share of judged steps whose verdict is at least 0.5; null was not judged, nothing judged gives 0. */
export function orProcessScore(args: z.input<typeof scoreArgs>): number {
  const { verdicts } = functionArgs(scoreArgs, args);
  const judged = verdicts.filter((v) => v !== null);
  return judged.length === 0 ? 0 : judged.filter((v) => v >= half).length / judged.length;
}

const pairArgs = z.object({ outcome: numberList, process: z.array(probability), ...pairing });

/** Weighted preference pairs among the trajectories of one prompt, by index: i < j, by i and then j. */
export function wdpoPairs(args: z.input<typeof pairArgs>): WeightedPair[] {
  const { outcome, process, ...p } = functionArgs(pairArgs, args);
  sameLength({ outcome, process });
  return pairsAmong([...outcome.keys()], outcome, process, p);
}

const lossArgs = z.object({
  /** Log-probability (or log-ratio) of the chosen trajectory of each pair. */
  chosen: numberList,
  rejected: numberList,
  weights: z.array(z.number().min(0)).optional(),
  beta,
  normalize_weights,
});

interface WdpoLoss {
  loss: number;
  /** Derivative of the loss by each chosen log-probability. */
  gradChosen: number[];
  gradRejected: number[];
}

/** Weighted DPO loss −(1/|P|) Σ w log σ(β (l_chosen − l_rejected)) and its gradients; no pair: 0. Weights default to 1. */
export function wdpoLoss(args: z.input<typeof lossArgs>): WdpoLoss {
  const { chosen, rejected, beta, normalize_weights, ...given } = functionArgs(lossArgs, args);
  const weights = given.weights ?? chosen.map(() => 1);
  sameLength({ chosen, rejected, weights });
  const { loss, gradient } = preferenceLoss(
    chosen.map((l, k) => beta * (l - rejected[k])),
    weights,
  );
  // The operator divides by the sum of the weights, the loss by their number.
  const mean = weights.reduce((a, b) => a + b, 0) / Math.max(weights.length, 1);
  const scale = normalize_weights ? 1 : mean;
  const gradChosen = [...gradient].map((g) => g * beta * scale);
  if (!Number.isFinite(loss * scale)) throw new InputError("the log-probabilities are too large for a loss");
  return { loss: loss * scale, gradChosen, gradRejected: gradChosen.map((g) => 0 - g) };
}

const critiqueArgs = z.object({ verdicts: verdictList, outcome: z.number() });

/** Whether the solver confirms a critique: right and every step accepted, or wrong and some step rejected; 1 or 0. */
export function keepCritique(args: z.input<typeof critiqueArgs>): 0 | 1 {
  const { verdicts, outcome } = functionArgs(critiqueArgs, args);
  if (verdicts.length === 0 || verdicts.includes(null)) return 0;
  return isAccepted(verdicts) === outcome >= half ? 1 : 0;
}

const firstArgs = z.object({ verdicts: z.array(verdictList) });

/** Index of the first trajectory all of whose steps are accepted; else the last index, and null without trajectories. */
export function firstVerified(args: z.input<typeof firstArgs>): number | null {
  const { verdicts } = functionArgs(firstArgs, args);
  if (verdicts.length === 0) return null;
  const first = verdicts.findIndex(isAccepted);
  return first < 0 ? verdicts.length - 1 : first;
}

/** Whether there are verdicts and all of them accept. */
function isAccepted(verdicts: readonly (number | null)[]): boolean {
  return verdicts.length > 0 && verdicts.every((v) => v !== null && v >= half);
}

export const stepOrlm = defineMethod({
  id: "step-orlm",
  title: "StepORLM: weighted preferences from solver and process judge",
  summary:
    "Rollouts of one problem are compared in pairs: the solver's outcome decides, the judge's share of correct steps breaks ties and weighs the pair, and the weighted pairs train the policy by DPO.",
  facts: {
    paper: {
      title:
        "StepORLM: A Self-Evolving Framework With Generative Process Supervision For Operations Research Language Models",
      arxiv: "2509.22558",
      date: "2025-09",
      repo: "0xzhouchenyu/StepORLM",
    },
    headline:
      "Mean Pass@1 over six operations-research benchmarks 81.4 with one sample and 85.6 with the judge as verifier; 78.0 with plain DPO.",
    granularity: "rollout",
    methodology: ["judge", "verifier", "preference"],
    checked: "the authors' repository could not be read",
    reconstructed: ["all pairs of a group", "thresholds of verdicts", "min_gap", "normalize_weights"],
  },
  equations: [
    {
      text: "L = −(1/|P|) Σ w log σ(β (l_chosen − l_rejected))",
      tex: "\\mathcal{L} = -\\frac{1}{|P|}\\sum_{(c,r)} w\\,\\log\\sigma(\\beta(\\ell_c - \\ell_r))",
    },
    {
      text: "w = 1 if the outcomes differ, else |s_i − s_j|",
      tex: "w = 1\\;(\\text{outcomes differ}),\\quad w = |s_i - s_j|\\;\\text{else}",
    },
    { text: "c_i = −∂L/∂l_i", tex: "c_i = -\\frac{\\partial \\mathcal{L}}{\\partial \\ell_i}" },
  ],
  params,
  reads: ["rollout.reward", "steps.prm", "tokens.logprob", "tokens.ref_logprob if reference", "tokens.mask?", "group?"],
  writes: ["rollout.process_score", "rollout.advantage", "tokens.advantage"],
  scope: "batch",
  functions: { orProcessScore, wdpoPairs, wdpoLoss, keepCritique, firstVerified },
  twoPass,
  assign: (batch, p) => assign(batch, p),
});
