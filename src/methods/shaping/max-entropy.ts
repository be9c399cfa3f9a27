import { z } from "zod";
import { logSumExp } from "../../operators/scalars.ts";
import { count, functionArgs, numberList, numberRows } from "../arguments.ts";
import { nestedOf, numberBlocks, requireDistribution, requireLength, transitionsOf } from "../mechanism/tensors.ts";

const irlArgs = z.object({
  transition: numberBlocks,
  features: numberRows,
  theta: numberList,
  init: numberList,
  horizon: count.min(1),
  expertFeatureSum: numberList,
});

/**
 * Maximum causal entropy inverse reinforcement learning over a finite horizon H with r(s) = θ·f(s): V_H = 0,
 * Q_t(s,a) = r(s) + Σ_s' P V_{t+1}, V_t = log Σ_a e^Q_t, π_t = e^(Q_t − V_t). `visits` = expected visits of each state from
 * `init` over t < H; `gradient` of the log-likelihood = expertFeatureSum − visits·F; `policy0` and `softValue` at t = 0.
 */
export function maxEntIrlGradient(args: z.input<typeof irlArgs>): {
  gradient: number[];
  visits: number[];
  policy0: number[][];
  softValue: number[];
} {
  const { features, theta, init, horizon, expertFeatureSum, ...given } = functionArgs(irlArgs, args);
  const { states: n, actions: m, transition } = transitionsOf(given.transition);
  requireLength(features, n, "features");
  features.forEach((row, s) => {
    requireLength(row, theta.length, `features.${s}`);
  });
  requireLength(expertFeatureSum, theta.length, "expertFeatureSum");
  requireDistribution(init, n, "init");
  const reward = features.map((row) => row.reduce((sum, f, k) => sum + f * theta[k], 0));
  // π_t for every t, from the last one.
  const policies: Float64Array[] = [];
  let value = new Float64Array(n);
  for (let t = 0; t < horizon; t++) {
    const q = Float64Array.from({ length: n * m }, (_, row) => {
      let next = 0;
      for (let u = 0; u < n; u++) next += transition[row * n + u] * value[u];
      return reward[Math.floor(row / m)] + next;
    });
    value = Float64Array.from({ length: n }, (_, s) => logSumExp(q, s * m, (s + 1) * m));
    policies.push(q.map((x, row) => Math.exp(x - value[Math.floor(row / m)])));
  }
  const visits = new Float64Array(n);
  let occupied = Float64Array.from(init);
  for (let t = horizon - 1; t >= 0; t--) {
    const next = new Float64Array(n);
    for (let s = 0; s < n; s++) visits[s] += occupied[s];
    for (let row = 0; row < n * m; row++) {
      const mass = occupied[Math.floor(row / m)] * policies[t][row];
      if (mass !== 0) for (let u = 0; u < n; u++) next[u] += mass * transition[row * n + u];
    }
    occupied = next;
  }
  return {
    gradient: expertFeatureSum.map((x, k) => x - features.reduce((sum, row, s) => sum + visits[s] * row[k], 0)),
    visits: [...visits],
    policy0: nestedOf(policies[horizon - 1], [1, n, m])[0],
    softValue: [...value],
  };
}
