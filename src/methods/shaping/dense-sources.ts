import { z } from "zod";
import { leastSquares } from "../../operators/linear.ts";
import { matrixFromRows } from "../../operators/matching.ts";
import { preferenceLoss } from "../../operators/preference.ts";
import { sigmoid } from "../../operators/scalars.ts";
import { describe, InputError } from "../../rollouts/index.ts";
import { count, functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { owenExact, shapleyExact } from "../counterfactual/coalitions.ts";

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, k) => sum + x * b[k], 0);

const goalArgs = z.object({
  features: numberRows.min(1, "at least the first state"),
  goalFeatures: numberList,
  embeddings: numberRows,
  goalEmbedding: numberList,
  externalRewards: numberList,
  alphaLow: z.number().min(0).default(0.1),
  alphaHigh: z.number().min(0).default(0.1),
});

/**
 * Rewards of both levels over a segment that pursues a subgoal, T + 1 states: low_t = −‖φ_t − g‖₂ + alphaLow ⟨E_t, E_g⟩
 * for t = 1 … T, high = Σ external rewards + alphaHigh ⟨E_0, E_g⟩.
 */
export function goalRewards(args: z.input<typeof goalArgs>): { low: number[]; high: number } {
  const { features, goalFeatures, embeddings, goalEmbedding, externalRewards, alphaLow, alphaHigh } = functionArgs(
    goalArgs,
    args,
  );
  sameLength({ features, embeddings, "externalRewards and one more": { length: externalRewards.length + 1 } });
  matrixFromRows(features, "argument features");
  matrixFromRows(embeddings, "argument embeddings");
  sameLength({ "features.0": features[0], goalFeatures });
  sameLength({ "embeddings.0": embeddings[0], goalEmbedding });
  const low = features.slice(1).map((state, t) => {
    const far = Math.hypot(...state.map((x, k) => x - goalFeatures[k]));
    return alphaLow * dot(embeddings[t + 1], goalEmbedding) - far;
  });
  const high = externalRewards.reduce((sum, r) => sum + r, alphaHigh * dot(embeddings[0], goalEmbedding));
  return { low, high };
}

/** Most units whose 2^n coalitions are scored one by one. */
const mostUnits = 20;

function requireUnits(n: number): void {
  if (n <= mostUnits) return;
  throw new InputError("too many units for exact credit", {
    expected: `at most ${mostUnits}`,
    got: `${n}`,
    hint: "join them to larger units; owenCredit takes unions of units",
  });
}

const shapleyArgs = z.object({ values: numberList, units: count });

/**
 * Shapley credit of the units of a sequence, `values[S]` being the score of the text with exactly the units whose bits are
 * in S. The credits add up to v(all) − v(none).
 */
export function shapleyCredit(args: z.input<typeof shapleyArgs>): number[] {
  const { values, units } = functionArgs(shapleyArgs, args);
  requireUnits(units);
  return shapleyExact({ n: units, values });
}

const owenArgs = z.object({ values: numberList, unions: z.array(z.array(count)) });

/** Owen credit: as Shapley's, but the units of other unions are all there or all not. `unions` share out 0 … n − 1. */
export function owenCredit(args: z.input<typeof owenArgs>): number[] {
  const { values, unions } = functionArgs(owenArgs, args);
  const units = unions.reduce((sum, union) => sum + union.length, 0);
  requireUnits(units);
  return owenExact({ n: units, values, unions });
}

const preferenceArgs = z.object({
  chosen: numberList.min(1, "at least one pair"),
  rejected: numberList,
  margin: z.union([z.number(), numberList], "a number, or one per pair").nullable().default(null),
});

/**
 * Bradley-Terry loss of a reward model, the mean of −log σ(chosen − rejected − margin), with its gradients by both scores.
 * `accuracy` = share of pairs whose chosen score is the larger one (the margin is ignored), equal scores counting one half.
 */
export function bradleyTerry(args: z.input<typeof preferenceArgs>): {
  loss: number;
  gradChosen: number[];
  gradRejected: number[];
  accuracy: number;
} {
  const { chosen, rejected, margin } = functionArgs(preferenceArgs, args);
  sameLength({ chosen, rejected, ...(Array.isArray(margin) ? { margin } : {}) });
  const marginOf = (k: number) => (Array.isArray(margin) ? margin[k] : (margin ?? 0));
  const { loss, gradient } = preferenceLoss(chosen.map((score, k) => score - rejected[k] - marginOf(k)));
  const right = chosen.reduce((sum, score, k) => sum + (score > rejected[k] ? 1 : score === rejected[k] ? 0.5 : 0), 0);
  return {
    loss,
    gradChosen: [...gradient],
    gradRejected: Array.from(gradient, (g) => 0 - g),
    accuracy: right / chosen.length,
  };
}

const adversarialArgs = z.object({ f: numberList, logProb: numberList });

/**
 * Adversarial imitation: discriminator D = e^f / (e^f + π) = σ(f − log π), AIRL reward f − log π, GAIL reward
 * −log max(1e-12, 1 − D).
 */
export function adversarialReward(args: z.input<typeof adversarialArgs>): {
  discriminator: number[];
  reward: number[];
  gail: number[];
} {
  const { f, logProb } = functionArgs(adversarialArgs, args);
  sameLength({ f, logProb });
  const reward = f.map((x, k) => x - logProb[k]);
  return {
    discriminator: reward.map(sigmoid),
    reward,
    gail: reward.map((x) => 0 - Math.log(Math.max(1e-12, sigmoid(-x)))),
  };
}

const countArgs = z.object({
  keys: z.array(z.union([z.string(), z.number()])),
  beta: z.number().positive().default(0.1),
});

/** beta / sqrt(n), n = visits of the same key so far, this one included. */
export function countBonus(args: z.input<typeof countArgs>): number[] {
  const { keys, beta } = functionArgs(countArgs, args);
  const visits = new Map<string | number, number>();
  return keys.map((key) => {
    const n = (visits.get(key) ?? 0) + 1;
    visits.set(key, n);
    return beta / Math.sqrt(n);
  });
}

const rndArgs = z.object({
  predicted: z.union([numberList, numberRows]),
  target: z.union([numberList, numberRows]),
  mean: z.number().default(0),
  variance: z.number().min(0).default(1),
  clip: z.number().positive().default(5),
});

/**
 * Random network distillation: (error − mean) / sqrt(variance + 1e-8) cut to [−clip, clip], error = mean squared difference
 * of the predicted and the target vector, mean and variance those of past errors. Lists of vectors give a list of bonuses.
 */
export function rndBonus(args: z.input<typeof rndArgs>): number | number[] {
  const { predicted, target, mean, variance, clip } = functionArgs(rndArgs, args);
  const isList = (rows: readonly (number | number[])[]): rows is number[][] => Array.isArray(rows[0]);
  if (isList(predicted) !== isList(target))
    throw new InputError("arguments predicted and target differ in shape", { got: describe(target[0]) });
  const bonus = (p: readonly number[], t: readonly number[]) => {
    if (p.length === 0) throw new InputError("argument predicted not valid", { expected: "at least one number" });
    sameLength({ predicted: p, target: t });
    const error = p.reduce((sum, x, k) => sum + (x - t[k]) ** 2 / p.length, 0);
    return Math.min(clip, Math.max(-clip, (error - mean) / Math.sqrt(variance + 1e-8)));
  };
  if (!isList(predicted) || !isList(target)) return bonus(predicted as number[], target as number[]);
  sameLength({ predicted, target });
  return predicted.map((p, k) => bonus(p, target[k]));
}

const decompositionArgs = z.object({ returns: numberList, features: z.array(numberRows) });

/**
 * Return decomposition without intercept: w = shortest least-squares solution of R_i ≈ w · Σ_t x_it, r_it = w · x_it. Where
 * the features decide nothing the weights are 0.
 */
export function returnDecomposition(args: z.input<typeof decompositionArgs>): {
  weights: number[];
  rewards: number[][];
} {
  const { returns, features } = functionArgs(decompositionArgs, args);
  sameLength({ returns, features });
  const { columns } = matrixFromRows(features.flat(), "argument features");
  const values = new Float64Array(features.length * columns);
  features.forEach((steps, i) => {
    for (const x of steps) for (let k = 0; k < columns; k++) values[i * columns + k] += x[k];
  });
  const weights = [...leastSquares({ rows: features.length, columns, values }, returns)];
  return { weights, rewards: features.map((steps) => steps.map((x) => dot(weights, x))) };
}
