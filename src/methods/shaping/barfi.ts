import { z } from "zod";
import { matrixFromRows } from "../../operators/matching.ts";
import { rowNumbers } from "../../operators/ranges.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { maskRuns } from "../../operators/runs.ts";
import { shapingInto } from "../../operators/shaping.ts";
import { placedRewards, rowRewards } from "../../operators/token-rewards.ts";
import { type Batch, InputError } from "../../rollouts/index.ts";
import { count, functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { unitInterval } from "../parameters.ts";
import {
  type Blend,
  dampedSolve,
  type Episode,
  innerDerivatives,
  neumannSolve,
  returnGradient,
  type SoftmaxPolicy,
  softmaxPolicy,
} from "./barfi-derivatives.ts";

const innerDiscount = z.number().min(0).lt(1).default(0.99);

const params = z.object({
  phi2: z.number().default(1).describe("weight of the primary reward"),
  phi3: z.number().default(1).describe("weight of the auxiliary reward; 1 and 1 = the naive sum"),
  gamma_phi: innerDiscount.describe("discount of the blended reward, per turn"),
});
type Params = z.output<typeof params>;

/**
 * Credit of a learned blend (arXiv 2310.19007): r_φ,t = φ1_t + φ2 r_p,t + φ3 r_aux,t and G_t = r_φ,t + γ_φ G_{t+1}. φ1 is
 * the column `turns.bias_reward` (0 where a rollout has none); r_p is `turns.reward`, else the outcome on the last turn.
 */
function assign(batch: Batch, p: Params): Batch {
  if (batch.size > 0 && !batch.has("turns.aux_reward")) throw batch.missing("turns.aux_reward", 0);
  const aux = rowNumbers(batch, "turns.aux_reward");
  const bias = batch.numbers("turns.bias_reward", { absent: 0 });
  const blended = placedRewards(batch, "turn", rowRewards(batch, "turn"), aux);
  for (let k = 0; k < blended.length; k++) blended[k] = bias[k] + p.phi2 * blended[k] + p.phi3 * aux[k];
  const returns = batch.zeros("turn", aux);
  reverseSumsInto({ offsets: batch.offsets("turn"), rewards: blended, gamma: p.gamma_phi }, returns);
  return batch.with({ "turns.blended_reward": blended, "turns.return": returns });
}

const trajectory = z.object({ s: z.array(count), a: z.array(count), r_p: numberList, r_aux: numberList });
const trajectories = z.array(trajectory).min(1, "at least one trajectory");
const learner = {
  theta: numberRows.min(1, "at least one state"),
  phi: z.object({ phi1: numberRows, phi2: numberList, phi3: numberList }),
  gammaPhi: innerDiscount,
  entropy: z.number().min(0).default(0.1),
};

function readPolicy(theta: readonly (readonly number[])[]): SoftmaxPolicy {
  const { columns } = matrixFromRows(theta, "argument theta");
  if (columns === 0) throw new InputError("argument theta not valid", { expected: "at least one action", got: "none" });
  return softmaxPolicy(theta);
}

function readBlend(
  { phi1, phi2, phi3 }: { phi1: number[][]; phi2: number[]; phi3: number[] },
  theta: number[][],
): Blend {
  sameLength({ theta, "phi.phi1": phi1, "phi.phi2": phi2, "phi.phi3": phi3 });
  const { columns, values } = matrixFromRows(phi1, "argument phi.phi1");
  sameLength({ "theta.0": theta[0], "phi.phi1.0": { length: columns } });
  return { phi1: values, phi2: Float64Array.from(phi2), phi3: Float64Array.from(phi3) };
}

/** Checks trajectories against the table; faults name the trajectory. */
function readEpisodes(
  episodes: readonly Episode[],
  { states, actions }: SoftmaxPolicy,
  name: string,
): readonly Episode[] {
  episodes.forEach(({ s, a, r_p, r_aux }, i) => {
    const list = (key: string) => `${name}.${i}.${key}`;
    sameLength({ [list("s")]: s, [list("a")]: a, [list("r_p")]: r_p, [list("r_aux")]: r_aux });
    for (const [key, values, most] of [["s", s, states] as const, ["a", a, actions] as const]) {
      const wrong = values.findIndex((x) => x >= most);
      if (wrong >= 0)
        throw new InputError(`argument ${list(key)}.${wrong} not valid`, {
          expected: `0 to ${most - 1}`,
          got: `${values[wrong]}`,
        });
    }
  });
  return episodes;
}

const rowsOf = (values: Float64Array, columns: number): number[][] =>
  Array.from({ length: columns === 0 ? 0 : values.length / columns }, (_, i) => [
    ...values.subarray(i * columns, (i + 1) * columns),
  ]);

const innerArgs = z.object({ ...learner, trajectories });

/**
 * The inner learner's update on fixed trajectories of a tabular softmax policy θ[S][A] and its derivatives, means over
 * trajectories: delta = Σ_t ψ_t U_t with ψ_t = ∇ log π(a_t|s_t), U_t = Σ_{j ≥ t} γ_φ^(j−t) (r_φ,j − λ log π(a_j|s_j)),
 * r_φ(s,a) = phi1(s,a) + phi2(s) r_p + phi3(s) r_aux; H = dδ/dθ, A = dδ/dφ (columns phi1 row by row, phi2, phi3),
 * B = dδ/dγ_φ. There is no γ^t before ψ_t. A trajectory of length 0 counts in the mean.
 */
export function barfiInner(args: z.input<typeof innerArgs>): {
  delta: number[];
  H: number[][];
  A: number[][];
  B: number[];
} {
  const given = functionArgs(innerArgs, args);
  const policy = readPolicy(given.theta);
  const blend = readBlend(given.phi, given.theta);
  const found = innerDerivatives(policy, blend, given, readEpisodes(given.trajectories, policy, "trajectories"));
  const n = policy.chance.length;
  return {
    delta: [...found.delta],
    H: rowsOf(found.byTheta, n),
    A: rowsOf(found.byPhi, n + 2 * policy.states),
    B: [...found.byGamma],
  };
}

const hyperArgs = z.object({
  ...learner,
  gamma: unitInterval(0.99, "discount of the primary return"),
  inner: trajectories,
  outer: trajectories,
  solver: z.enum(["neumann", "exact"]).default("neumann"),
  damping: z.number().min(0).default(1e-3),
  eta: z.number().positive().default(0.1),
  n: count.max(100_000).default(5),
  lambdaGamma: z.number().min(0).default(0),
});

/**
 * Gradient of the outer goal J(θ(φ, ρ)) − lambdaGamma γ_φ by the blend and by ρ, γ_φ = σ(ρ), through the fixed point
 * δ = 0: x solves (−Hᵀ) x = dJ/dθ, dJ/dφ = Aᵀ x, dJ/dρ = (B·x − lambdaGamma) γ_φ (1 − γ_φ). H, A, B come from the
 * trajectories `inner`, dJ/dθ = mean Σ_t ψ_t Σ_{j ≥ t} γ^j r_p,j from the on-policy ones `outer`. Solver `neumann`:
 * η Σ_{k ≤ n} (I + η Hᵀ)^k; `exact`: with `damping` on the diagonal.
 */
export function barfiHypergradient(args: z.input<typeof hyperArgs>): {
  phi1: number[][];
  phi2: number[];
  phi3: number[];
  rho: number;
} {
  const given = functionArgs(hyperArgs, args);
  const policy = readPolicy(given.theta);
  const blend = readBlend(given.phi, given.theta);
  const { byTheta, byPhi, byGamma } = innerDerivatives(
    policy,
    blend,
    given,
    readEpisodes(given.inner, policy, "inner"),
  );
  const direction = returnGradient(policy, given.gamma, readEpisodes(given.outer, policy, "outer"));
  const n = direction.length;
  const matrix = byTheta.map((_, k) => 0 - byTheta[(k % n) * n + Math.floor(k / n)]);
  const x =
    given.solver === "exact"
      ? dampedSolve(matrix, direction, given.damping)
      : neumannSolve(matrix, direction, given.eta, given.n);
  const q = n + 2 * policy.states;
  const gradient = new Float64Array(q);
  for (let k = 0; k < byPhi.length; k++) gradient[k % q] += byPhi[k] * x[Math.floor(k / q)];
  const byDiscount = byGamma.reduce((sum, b, k) => sum + b * x[k], 0);
  return {
    phi1: rowsOf(gradient.subarray(0, n), policy.actions),
    phi2: [...gradient.subarray(n, n + policy.states)],
    phi3: [...gradient.subarray(n + policy.states)],
    rho: (byDiscount - given.lambdaGamma) * given.gammaPhi * (1 - given.gammaPhi),
  };
}

const neumannArgs = z.object({
  M: numberRows,
  v: numberList,
  eta: z.number().positive().default(0.1),
  n: count.max(100_000).default(5),
});

/** M⁻¹ v by n loops of the Neumann series, η Σ_{k ≤ n} (I − η M)^k v; η must be below 1 / largest eigenvalue of M. */
export function barfiNeumann(args: z.input<typeof neumannArgs>): number[] {
  const { M, v, eta, n } = functionArgs(neumannArgs, args);
  const { rows, columns, values } = matrixFromRows(M, "argument M");
  sameLength({ v, M: { length: rows }, "M.0": { length: rows === 0 ? 0 : columns } });
  return [...neumannSolve(values, v, eta, n)];
}

const shapingArgs = z.object({
  rewards: numberList,
  potential: numberList,
  gamma: unitInterval(0.99, "discount of the primary return"),
});

/** r'_t = r_t + γ Φ_{t+1} − Φ_t; `potential` has one entry more than `rewards`, 0 where the last state is terminal. */
export function barfiPotentialShaping(args: z.input<typeof shapingArgs>): number[] {
  const { rewards, potential, gamma } = functionArgs(shapingArgs, args);
  const n = rewards.length;
  sameLength({ "rewards and one more": { length: n + 1 }, potential });
  const shaping = new Float64Array(n);
  shapingInto(potential, maskRuns(Int32Array.of(0, n), null), [potential[n]], { gamma, weight: 1 }, shaping);
  return rewards.map((r, t) => r + shaping[t]);
}

export const barfi = defineMethod({
  id: "barfi",
  title: "BARFI: behavior alignment via reward function optimization",
  summary:
    "Learns on a blend of the true reward and a designer's auxiliary reward, whose weights and discount are tuned from outside so that the resulting policy is best under the true reward alone.",
  facts: {
    paper: {
      title: "Behavior Alignment via Reward Function Optimization",
      arxiv: "2310.19007",
      date: "2023-10",
      repo: null,
    },
    headline:
      "With helpful and with misspecified auxiliary rewards it stays near the best return, where adding the auxiliary reward naively fails.",
    granularity: "turn",
    methodology: ["shaping"],
    checked:
      "no official code exists; derivatives against central differences, max abs diff 8e-10; implicit gradient 3e-12",
    reconstructed: [
      "equations of the inner update and of its derivatives",
      "weights that depend on the state",
      "discount as a sigmoid",
      "damping, and the constants of the Neumann series",
    ],
  },
  equations: [
    { text: "r_φ = φ1 + φ2 r_p + φ3 r_aux", tex: "r_\\phi = \\phi_1 + \\phi_2\\,r_p + \\phi_3\\,r_{aux}" },
    { text: "G_t = r_φ,t + γ_φ G_{t+1}", tex: "G_t = r_{\\phi,t} + \\gamma_\\phi G_{t+1}" },
    {
      text: "dJ/dφ = Aᵀ x, (−Hᵀ) x = dJ/dθ",
      tex: "\\frac{dJ}{d\\phi} = A^\\top x,\\quad -H^\\top x = \\nabla_\\theta J",
    },
  ],
  params,
  presets: { naive: { phi2: 1, phi3: 1 }, primary: { phi3: 0 } },
  reads: ["turns.aux_reward", "turns.reward | rollout.reward", "turns.bias_reward?"],
  writes: ["turns.blended_reward", "turns.return"],
  scope: "rollout",
  functions: { barfiInner, barfiHypergradient, barfiNeumann, barfiPotentialShaping },
  assign,
});
