import { z } from "zod";
import { logRatioSums } from "../../operators/log-ratio.ts";
import { policyLengths, requireTokens } from "../../operators/mask.ts";
import { preferenceLoss } from "../../operators/preference.ts";
import { numbersWithin } from "../../operators/ranges.ts";
import { sigmoid } from "../../operators/scalars.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { functionArgs, probability } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import {
  agreedLabel,
  bothOrders,
  type Inconsistency,
  inconsistency,
  inconsistencyGradient,
} from "./internal-models.ts";

const beta = z.number().positive().default(0.1).describe("scale of the log-ratio, as in DPO");
const alpha = z.number().min(0).default(1).describe("weight of the penalty in scirLoss; the credit does not use it");
const entropyWeight = z.number().min(0).default(0.1).describe("weight of the entropy inside the penalty");
const margin = z.number().min(0).lt(0.5).default(0).describe("confidence beyond one half that agreement needs");
const lengthNorm = z.boolean().default(false).describe("divide the log-ratio of a response by its length");

const params = z.object({ beta, alpha, entropy_weight: entropyWeight, margin, length_norm: lengthNorm });
type Params = z.output<typeof params>;

/** Implicit reward of every rollout: β × the summed log-ratio, per token with length_norm. */
function implicitRewards(batch: Batch, p: Params): Float64Array {
  const rewards = logRatioSums(batch, { policy: "tokens.logprob", coef: p.beta });
  if (!p.length_norm) return rewards;
  const lengths = policyLengths(batch);
  return rewards.map((r, i) => (lengths[i] === 0 ? 0 : r / lengths[i]));
}

/** Verdict of the judge about a pair: the mean of what it said with either response shown first; null when it said nothing. */
function verdict(judge: ArrayLike<number>, known: Uint8Array | null, first: number, second: number): number | null {
  const said: number[] = [];
  if (known === null || known[first] === 1) said.push(judge[first]);
  if (known === null || known[second] === 1) said.push(1 - judge[second]);
  return said.length === 0 ? null : said.reduce((a, b) => a + b) / said.length;
}

/**
 * SCIR on recorded pairs (arXiv 2502.08922): inside a group the rollouts are paired in file order, 1st with 2nd, 3rd with
 * 4th, …; p_1 = σ(own − partner's implicit reward), p_2 from the judge. The pair is a preference (+1 / −1) only where both
 * lie on the same side of ½ by more than the margin; its inconsistency is the penalty of (p_1, p_2).
 * A rollout without a partner has probability ½ and the rest 0, and so has a pair that the judge did not see.
 */
function assign(batch: Batch, p: Params): Batch {
  requireTokens(batch);
  const reward = implicitRewards(batch, p);
  const judge = numbersWithin(batch, "signals.judge_prob", [0, 1], { absent: 0, missing: 0 });
  const known = batch.validity("signals.judge_prob");
  const prob = new Float64Array(batch.size).fill(0.5);
  const preference = new Float64Array(batch.size);
  const apart = new Float64Array(batch.size);
  const { count, offsets, members } = batch.groups();
  for (let g = 0; g < count; g++) {
    for (let k = offsets[g]; k + 1 < offsets[g + 1]; k += 2) {
      const [i, j] = [members[k], members[k + 1]];
      prob[i] = sigmoid(reward[i] - reward[j]);
      prob[j] = sigmoid(reward[j] - reward[i]);
      const said = verdict(judge, known, i, j);
      if (said === null) continue;
      const label = agreedLabel([prob[i], said], p.margin);
      preference[i] = label;
      preference[j] = label === 0 ? 0 : -label;
      apart[i] = inconsistency([prob[i], said], p.entropy_weight).penalty;
      apart[j] = apart[i];
    }
  }
  return batch.with({
    "rollout.implicit_reward": reward,
    "rollout.implicit_prob": prob,
    "rollout.preference": preference,
    "rollout.inconsistency": apart,
  });
}

const two = z.tuple([z.number(), z.number()], "two numbers");
const lengthsArg = z.tuple([z.number().min(0), z.number().min(0)], "two lengths").optional();
const implicitArgs = z.object({ logprob: two, ref: two, lengths: lengthsArg, beta });

/** Log-ratios of both responses, divided by their lengths where those are given (0 for an empty response). */
function ratios({ logprob, ref, lengths }: Omit<z.output<typeof implicitArgs>, "beta">): [number, number] {
  const one = (k: 0 | 1) => {
    const ratio = logprob[k] - ref[k];
    if (lengths === undefined) return ratio;
    return lengths[k] === 0 ? 0 : ratio / lengths[k];
  };
  return [one(0), one(1)];
}

/** Probability of the implicit reward model that the first response is better: σ(β (m_1 − m_2)). */
export function scirImplicit(args: z.input<typeof implicitArgs>): number {
  const { beta, ...pair } = functionArgs(implicitArgs, args);
  const [first, second] = ratios(pair);
  return sigmoid(beta * (first - second));
}

const generativeArgs = z.object({ forward: two, swapped: two });

/**
 * Probability of the judge that the first response is better, from the logits [first shown better, second shown better] with
 * the first response shown first (`forward`) and second (`swapped`).
 */
export function scirGenerative(args: z.input<typeof generativeArgs>): number {
  const { forward, swapped } = functionArgs(generativeArgs, args);
  return bothOrders(forward, swapped);
}

const probs = z.array(probability).min(1, "at least one model");
const penaltyArgs = z.object({ probs, entropyWeight });

/** Mean symmetric KL between the models, mean entropy, and their weighted sum. */
export function scirPenalty(args: z.input<typeof penaltyArgs>): Inconsistency {
  const given = functionArgs(penaltyArgs, args);
  return inconsistency(given.probs, given.entropyWeight);
}

/** Derivative of the penalty by the probability of each model. */
export function scirPenaltyGradient(args: z.input<typeof penaltyArgs>): number[] {
  const given = functionArgs(penaltyArgs, args);
  return inconsistencyGradient(given.probs, given.entropyWeight);
}

const selectArgs = z.object({ probs, margin });

/** 1 or −1 where every model prefers the same response by more than the margin, else 0. */
export function scirSelect(args: z.input<typeof selectArgs>): -1 | 0 | 1 {
  const given = functionArgs(selectArgs, args);
  return agreedLabel(given.probs, given.margin);
}

const lossArgs = z.object({
  pairs: z.array(z.object({ logprob: two, ref: two, lengths: lengthsArg, forward: two, swapped: two })),
  beta,
  alpha,
  entropyWeight,
  lengthNorm,
  margin,
});

/**
 * Loss of a batch of unlabelled pairs: DPO on the pairs on which the implicit model and the judge agree (`selected` holds
 * their labels, 0 = left out), plus α × the mean penalty of all pairs. Either part is 0 when it has no pairs.
 */
export function scirLoss(args: z.input<typeof lossArgs>) {
  const { pairs, beta, alpha, entropyWeight, lengthNorm, margin } = functionArgs(lossArgs, args);
  const margins: number[] = [];
  let penalty = 0;
  const selected = pairs.map((pair, k) => {
    if (lengthNorm && pair.lengths === undefined)
      throw new InputError(`argument pairs.${k}.lengths is missing`, { expected: "two lengths with lengthNorm" });
    const [first, second] = ratios(lengthNorm ? pair : { ...pair, lengths: undefined });
    const models = [sigmoid(beta * (first - second)), bothOrders(pair.forward, pair.swapped)];
    penalty += inconsistency(models, entropyWeight).penalty / pairs.length;
    const label = agreedLabel(models, margin);
    const [plain, other] = ratios({ ...pair, lengths: undefined });
    if (label !== 0) margins.push(label * beta * (plain - other));
    return label;
  });
  const dpo = preferenceLoss(margins).loss;
  return { dpo, penalty, total: dpo + alpha * penalty, selected };
}

export const scir = defineMethod({
  id: "scir",
  title: "Self-consistency of internal reward models (SCIR)",
  summary:
    "A language model holds several reward models, its DPO-implicit reward and its own verdict as a judge; train them to agree on unlabelled pairs, and run DPO only on the pairs on which they do.",
  facts: {
    paper: {
      title: "Self-Consistency of the Internal Reward Models Improves Self-Rewarding Language Models",
      arxiv: "2502.08922",
      date: "2025-02",
      repo: null,
    },
    headline:
      "On Mistral-7B clearly more wins (AlpacaEval 2.0, length-controlled) than self-rewarding baselines and an external reward model.",
    granularity: "rollout",
    methodology: ["implicit-reward", "judge", "self-supervised", "preference"],
    checked: "no official code was found",
    reconstructed: [
      "weights of penalty and entropy",
      "averaging over both orders",
      "length normalisation",
      "reference = the model at the start of the iteration",
      "pairing in file order (our column form)",
    ],
  },
  equations: [
    {
      text: "p_1 = σ(β (m_1 − m_2)), m = Σ log π − log π_ref; p_2 = judge, both orders averaged",
      tex: "p_1 = \\sigma(\\beta(m_1 - m_2)),\\quad m_i = \\log\\frac{\\pi(y_i)}{\\pi_{ref}(y_i)}",
    },
    {
      text: "penalty = mean (p_k − p_l)(logit p_k − logit p_l)/2 + λ mean entropy",
      tex: "\\mathcal{P} = \\operatorname{mean}_{k<l}\\tfrac{1}{2}(p_k - p_l)(\\operatorname{logit}p_k - \\operatorname{logit}p_l) + \\lambda\\,\\overline{H(p)}",
    },
    {
      text: "loss = DPO on pairs where all p are on one side of 1/2, plus α penalty",
      tex: "\\mathcal{L} = \\mathcal{L}_{DPO} + \\alpha\\,\\mathcal{P}",
    },
  ],
  params,
  reads: ["tokens.logprob", "tokens.ref_logprob", "signals.judge_prob?", "tokens.mask?", "group?"],
  writes: ["rollout.implicit_reward", "rollout.implicit_prob", "rollout.preference", "rollout.inconsistency"],
  scope: "group",
  functions: { scirImplicit, scirGenerative, scirPenalty, scirPenaltyGradient, scirSelect, scirLoss },
  assign,
});
