import { z } from "zod";
import { policyLengths, policyMask, policyNumbers, requireTokens } from "../../operators/mask.ts";
import { sigmoid, softplus } from "../../operators/scalars.ts";
import type { Batch, NumericArray } from "../../rollouts/index.ts";
import { bit, functionArgs, numberList, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";

const lossParams = {
  beta: z.number().positive().default(0.1).describe("scale of the preference; with SimPO 2 to 10"),
  alpha: z.number().min(0).default(0.25).describe("weight of the token regulariser; 0 = plain DPO or SimPO"),
  base: z.enum(["dpo", "simpo"]).default("dpo").describe("preference loss that is regularised"),
  margin: z.number().min(0).default(0).describe("target margin between the two responses (SimPO)"),
  weighting: z
    .enum(["sequence", "none"])
    .default("sequence")
    .describe("weigh the regulariser by the gradient factor of the preference loss, or by 1 (ablation)"),
};
const params = z.object(lossParams);
type Params = z.output<typeof params>;

/** Reward of a token: how much rather it is written when the response is to get better than when it is to get worse. */
function hint(better: number, worse: number): number {
  return sigmoid(better - worse) - 0.5;
}

/** One response: rows [from, to) of its columns, of which those with mask 1 count. */
interface Response {
  logprob: ArrayLike<number>;
  ref: ArrayLike<number> | null;
  hints: ArrayLike<number>;
  mask: ArrayLike<number> | null;
  from: number;
  to: number;
  /** Number of tokens that count. */
  length: number;
}

/** b of the sequence reward and of the regulariser: β, divided by the length for SimPO. */
function scaleOf(response: Response, p: Params): number {
  if (p.base === "dpo") return p.beta;
  return response.length === 0 ? 0 : p.beta / response.length;
}

/** R(y) = b Σ (log π − log π_ref), the reference only with DPO, and L_reg(y) = −b Σ h_t log π(y_t). */
function sums(response: Response, p: Params): { reward: number; regularizer: number } {
  const { logprob, ref, hints, mask, from, to } = response;
  let reward = 0;
  let regularizer = 0;
  for (let t = from; t < to; t++) {
    if (mask !== null && mask[t] === 0) continue;
    reward += ref === null ? logprob[t] : logprob[t] - ref[t];
    regularizer -= hints[t] * logprob[t];
  }
  const b = scaleOf(response, p);
  return { reward: b * reward, regularizer: b * regularizer };
}

interface PairTerms {
  preferenceLoss: number;
  regularizer: number;
  /** Weight w of the regulariser, a constant of the gradient. */
  weight: number;
  /** σ(−z), the gradient factor of the preference loss. */
  pull: number;
}

function pairTerms(chosen: Response, rejected: Response, p: Params): PairTerms {
  const up = sums(chosen, p);
  const down = sums(rejected, p);
  const z = up.reward - down.reward - p.margin;
  const pull = sigmoid(-z);
  return {
    preferenceLoss: softplus(-z),
    regularizer: up.regularizer + down.regularizer,
    weight: p.weighting === "sequence" ? pull : 1,
    pull,
  };
}

/** Writes −d loss / d log π(y_t) of one response: b (±σ(−z) + α w h_t) where mask is 1. */
function coefficients(
  response: Response,
  sign: 1 | -1,
  terms: PairTerms,
  p: Params,
  out: { [t: number]: number },
): void {
  const b = scaleOf(response, p);
  for (let t = response.from; t < response.to; t++) {
    if (response.mask !== null && response.mask[t] === 0) continue;
    out[t] = b * (sign * terms.pull + p.alpha * terms.weight * response.hints[t]);
  }
}

/** First rollout of highest and of lowest reward of each group; none where they are equal. */
function pairsOf(batch: Batch, rewards: NumericArray): { chosen: number; rejected: number }[] {
  const { count, offsets, members } = batch.groups();
  const pairs: { chosen: number; rejected: number }[] = [];
  for (let g = 0; g < count; g++) {
    let chosen = members[offsets[g]];
    let rejected = chosen;
    for (let k = offsets[g] + 1; k < offsets[g + 1]; k++) {
      if (rewards[members[k]] > rewards[chosen]) chosen = members[k];
      if (rewards[members[k]] < rewards[rejected]) rejected = members[k];
    }
    if (rewards[chosen] > rewards[rejected]) pairs.push({ chosen, rejected });
  }
  return pairs;
}

/**
 * T-REG (arXiv 2412.02685): h_t = σ(log p(y_t | better) − log p(y_t | worse)) − ½ from two contrastive prompts. The best and
 * the worst response of a group are the pair; `tokens.weight` is minus the gradient of
 * −log σ(z) + α w (L_reg(chosen) + L_reg(rejected)) by each token's log-probability: b (±σ(−z) + α w h_t).
 */
function assign(batch: Batch, p: Params): Batch {
  requireTokens(batch);
  const logprob = policyNumbers(batch, "tokens.logprob");
  const ref = p.base === "dpo" ? policyNumbers(batch, "tokens.ref_logprob") : null;
  const better = policyNumbers(batch, "tokens.logprob_better");
  const worse = policyNumbers(batch, "tokens.logprob_worse");
  const mask = policyMask(batch);
  const hints = batch.zeros("token", logprob);
  for (let t = 0; t < hints.length; t++) if (mask === null || mask[t] === 1) hints[t] = hint(better[t], worse[t]);
  const offsets = batch.offsets("token");
  const lengths = policyLengths(batch);
  const responseOf = (i: number): Response => {
    return { logprob, ref, hints, mask, from: offsets[i], to: offsets[i + 1], length: lengths[i] };
  };
  const weight = batch.zeros("token", logprob);
  const role: string[] = new Array(batch.size).fill("none");
  for (const { chosen, rejected } of pairsOf(batch, batch.numbers("rollout.reward"))) {
    role[chosen] = "chosen";
    role[rejected] = "rejected";
    const terms = pairTerms(responseOf(chosen), responseOf(rejected), p);
    coefficients(responseOf(chosen), 1, terms, p, weight);
    coefficients(responseOf(rejected), -1, terms, p, weight);
  }
  return batch.with({ "tokens.reward": hints, "tokens.weight": weight, "rollout.role": role });
}

const maskArg = z.array(bit).optional();
const tokenRewardArgs = z.object({ better: numberList, worse: numberList, mask: maskArg });

/** Token rewards h of one response from its log-probabilities after the two prompts; 0 where mask is 0. */
export function tregTokenReward(args: z.input<typeof tokenRewardArgs>): number[] {
  const { better, worse, mask } = functionArgs(tokenRewardArgs, args);
  sameLength({ better, worse, ...(mask === undefined ? {} : { mask }) });
  return better.map((x, t) => (mask?.[t] === 0 ? 0 : hint(x, worse[t])));
}

const responseArgs = z.object({
  logprob: numberList,
  ref_logprob: numberList.optional(),
  logprob_better: numberList,
  logprob_worse: numberList,
  mask: maskArg,
});
const lossArgs = z.object({ chosen: responseArgs, rejected: responseArgs, ...lossParams });

function responseFrom(name: string, given: z.output<typeof responseArgs>, base: Params["base"]): Response {
  const { logprob, logprob_better, logprob_worse, mask } = given;
  // Without a reference DPO cannot go on: the empty list has the wrong length.
  const ref = base === "dpo" ? (given.ref_logprob ?? []) : null;
  sameLength({
    [`${name}.logprob`]: logprob,
    [`${name}.logprob_better`]: logprob_better,
    [`${name}.logprob_worse`]: logprob_worse,
    ...(ref === null ? {} : { [`${name}.ref_logprob`]: ref }),
    ...(mask === undefined ? {} : { [`${name}.mask`]: mask }),
  });
  const hints = tregTokenReward({ better: logprob_better, worse: logprob_worse, mask });
  const length = logprob.filter((_, t) => mask?.[t] !== 0).length;
  return { logprob, ref, hints, mask: mask ?? null, from: 0, to: logprob.length, length };
}

interface TregLoss {
  loss: number;
  preference_loss: number;
  /** L_reg(chosen) + L_reg(rejected), not yet weighted. */
  regularizer: number;
  /** w, the weight of the regulariser. */
  weight: number;
  /** −d loss / d logprob of each token. */
  coef_chosen: number[];
  coef_rejected: number[];
}

/** Loss of one pair, preference_loss + α w regularizer, and its gradient coefficients (w taken as a constant). */
export function tregLoss(args: z.input<typeof lossArgs>): TregLoss {
  const { chosen, rejected, ...p } = functionArgs(lossArgs, args);
  const up = responseFrom("chosen", chosen, p.base);
  const down = responseFrom("rejected", rejected, p.base);
  const terms = pairTerms(up, down, p);
  const coef_chosen: number[] = new Array(up.to).fill(0);
  const coef_rejected: number[] = new Array(down.to).fill(0);
  coefficients(up, 1, terms, p, coef_chosen);
  coefficients(down, -1, terms, p, coef_rejected);
  return {
    loss: terms.preferenceLoss + p.alpha * terms.weight * terms.regularizer,
    preference_loss: terms.preferenceLoss,
    regularizer: terms.regularizer,
    weight: terms.weight,
    coef_chosen,
    coef_rejected,
  };
}

export const tReg = defineMethod({
  id: "t-reg",
  title: "Token-level reward regularisation (T-REG)",
  summary:
    "The model scores each token of a response by its probability under a make-it-better and a make-it-worse prompt, and these weak hints correct how DPO or SimPO spreads a preference over the tokens.",
  facts: {
    paper: {
      title: "T-REG: Preference Optimization with Token-Level Reward Regularization",
      arxiv: "2412.02685",
      date: "2024-12",
      repo: "wzhouad/T-REG",
    },
    headline:
      "Up to 3.8 points over DPO on AlpacaEval 2 (47.0 to 50.8, Llama-3-8B) and 4.4 on Arena-Hard (35.9 to 40.3).",
    granularity: "token",
    methodology: ["self-supervised", "implicit-reward", "preference"],
    checked: "no code could be read; gradient equal to automatic differentiation below 1e-16",
    reconstructed: ["weight w held constant in the gradient", "scale of the regulariser with simpo", "beta"],
  },
  equations: [
    {
      text: "h_t = σ(log p(y_t | x_better, y_<t) − log p(y_t | x_worse, y_<t)) − 1/2",
      tex: "h_t = \\sigma\\Bigl(\\log\\frac{p(y_t|x_{better}, y_{<t})}{p(y_t|x_{worse}, y_{<t})}\\Bigr) - \\tfrac{1}{2}",
    },
    {
      text: "loss = −log σ(z) + α w (L_reg(y_w) + L_reg(y_l)), L_reg(y) = −Σ b h_t log π(y_t), w = σ(−z)",
      tex: "\\mathcal{L} = -\\log\\sigma(z) + \\alpha w\\,(L_{reg}(y_w) + L_{reg}(y_l)),\\; L_{reg}(y) = -\\sum_t b\\,h_t\\log\\pi(y_t)",
    },
    {
      text: "weight of a token = b (±σ(−z) + α w h_t), + in the chosen response",
      tex: "c_t = b\\,(\\pm\\sigma(-z) + \\alpha w h_t)",
    },
  ],
  params,
  presets: { simpo: { base: "simpo", beta: 2 } },
  reads: [
    "rollout.reward",
    "tokens.logprob",
    "tokens.ref_logprob if base",
    "tokens.logprob_better",
    "tokens.logprob_worse",
    "tokens.mask?",
    "group?",
  ],
  writes: ["tokens.reward", "tokens.weight", "rollout.role"],
  scope: "group",
  functions: { tregTokenReward, tregLoss },
  assign,
});
