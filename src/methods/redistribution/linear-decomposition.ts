import { z } from "zod";
import { solveCholesky } from "../../operators/cholesky.ts";
import { InputError } from "../../rollouts/index.ts";
import { functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";

const linearArgs = z.object({
  /** Features φ_it of every step of every rollout, all equally many. */
  features: z.array(numberRows),
  returns: numberList,
  ridge: z.number().positive().default(1e-3),
  intercept: z.boolean().default(true),
});

/** Return of a rollout as a sum over its steps. */
export interface LinearDecomposition {
  weights: number[];
  intercept: number;
  /** Reward of every step: w·φ_it + b/T_i. */
  reward: number[][];
  /** Their sum, per rollout. */
  prediction: number[];
}

/** X_i = Σ_t φ_it. */
function featureSums(features: readonly (readonly (readonly number[])[])[]): { sums: Float64Array[]; width: number } {
  const width = features.find((steps) => steps.length > 0)?.[0].length ?? 0;
  const sums = features.map((steps, i) => {
    const sum = new Float64Array(width);
    steps.forEach((phi, t) => {
      if (phi.length !== width)
        throw new InputError(`argument features.${i}.${t} has the wrong length`, {
          expected: `${width}`,
          got: `${phi.length}`,
        });
      for (let k = 0; k < width; k++) sum[k] += phi[k];
    });
    return sum;
  });
  return { sums, width };
}

/**
 * Least-squares return decomposition, the linear relative of RUDDER: G_i ≈ Σ_t (w·φ_it + b/T_i) by ridge regression on
 * X_i = Σ_t φ_it, w = (X'X + ridge I)⁻¹ X'G. With `intercept` X and G are centred first and b = mean G − mean X · w.
 * @throws InputError when a step has another number of features, or ridge is not above 0.
 */
export function linearReturnDecomposition(args: z.input<typeof linearArgs>): LinearDecomposition {
  const { features, returns, ridge, intercept } = functionArgs(linearArgs, args);
  sameLength({ features, returns });
  const { sums, width } = featureSums(features);
  const count = Math.max(returns.length, 1);
  const centre = new Float64Array(width);
  let mean = 0;
  if (intercept) {
    for (const x of sums) for (let k = 0; k < width; k++) centre[k] += x[k] / count;
    mean = returns.reduce((sum, g) => sum + g, 0) / count;
  }
  const matrix = new Float64Array(width * width);
  const w = new Float64Array(width);
  sums.forEach((x, i) => {
    for (let k = 0; k < width; k++) {
      const xk = x[k] - centre[k];
      w[k] += xk * (returns[i] - mean);
      for (let j = 0; j <= k; j++) matrix[k * width + j] += xk * (x[j] - centre[j]);
    }
  });
  for (let k = 0; k < width; k++) matrix[k * width + k] += ridge;
  if (!solveCholesky(matrix, w, width))
    throw new InputError("the features are too large for this ridge", { got: `${ridge}`, hint: "raise ridge" });
  const b = mean - w.reduce((sum, wk, k) => sum + wk * centre[k], 0);
  const reward = features.map((steps) =>
    steps.map((phi) => phi.reduce((sum, x, k) => sum + w[k] * x, 0) + b / steps.length),
  );
  return { weights: [...w], intercept: b, reward, prediction: reward.map((r) => r.reduce((sum, x) => sum + x, 0)) };
}
