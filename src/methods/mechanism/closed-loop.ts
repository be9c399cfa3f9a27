import { z } from "zod";
import { bestFixed, type LoopResult, type LoopStep, loopStep, runLoop } from "../../mechanisms/thresholds.ts";
import { InputError } from "../../rollouts/index.ts";
import { count, functionArgs, numberList, numberRows, probability } from "../arguments.ts";

/** Parameters of the confidence bounds. */
export const optimism = {
  delta: z.number().gt(0).lt(1).default(0.05).describe("probability with which the confidence bounds may fail"),
  radius_scale: z.number().positive().default(1).describe("width of the bounds; 1 = theory, 0.05 to 0.2 in practice"),
  reward_range: z.number().positive().default(1).describe("range of the reward of one round"),
  residual_range: z.number().positive().default(1).describe("range of a constraint residual of one round"),
  violation: z
    .enum(["sum", "max"])
    .default("sum")
    .describe("what is minimised over the constraints when no threshold may be feasible"),
};

/** Terms of the reward and of the constraints of one round. */
export const batchTerms = {
  cost: z.number().default(0.5).describe("subtracted from the mean reward of the accepted rollouts"),
  eps_dp: z
    .number()
    .min(0)
    .default(0.2)
    .describe("difference of the acceptance rates of the two groups that is allowed"),
  service: probability.nullable().default(null).describe("least overall acceptance rate; null = no such constraint"),
};

/** An object whose fields have defaults, and which may be left out or null itself. */
export const optional = <S extends z.ZodType<object, object>>(schema: S) =>
  schema
    .nullable()
    .prefault({} as NonNullable<z.input<S>>)
    .transform((value): z.output<S> => value ?? schema.parse({}));

const environment = optional(
  z
    .object({
      mean0: z.number().default(0.42),
      mean1: z.number().default(0.57),
      std: z.number().positive().default(0.2),
      cost: batchTerms.cost,
      eps_dp: batchTerms.eps_dp,
      service: batchTerms.service,
      w0: probability.default(0.5),
      base: z.number().default(0.5),
      kappa: z.number().default(0.6),
      eta: probability.default(0.2),
      w_min: probability.default(0.05),
      w_max: probability.default(0.95),
    })
    .refine(({ w_min, w_max }) => w_min <= w_max, { message: "w_min at most w_max", path: ["w_min"] }),
);

const stepArgs = z.object({ share: probability, tau: z.number(), env: environment });

/**
 * One round of the synthetic loop. Scores of group g are Normal(mean_g, std); a_g = Φ((mean_g − τ) / std); reward =
 * Σ_g w_g [(mean_g − cost) a_g + std φ((τ − mean_g) / std)], w_1 = share; residuals |a_1 − a_0| − eps_dp and, where
 * `service` is set, service − overall acceptance; next share = w + η (clip(base + κ (a_1 − a_0), w_min, w_max) − w).
 */
export function closedLoopStep(args: z.input<typeof stepArgs>): LoopStep {
  const { share, tau, env } = functionArgs(stepArgs, args);
  return loopStep(share, tau, env);
}

const runArgs = z.object({
  policy: z.enum(["ofs", "ucb", "primal_dual"]).default("ofs"),
  grid: numberList.min(1, "at least one threshold"),
  T: count.min(1),
  env: environment,
  params: optional(z.object(optimism)),
  noise: numberRows.nullable().default(null),
  dualStep: z.number().positive().default(0.05),
});

/**
 * A run of T rounds from share w0 with `ofs` or a baseline: `ucb` (largest UCB, blind to constraints) or `primal_dual`
 * (largest UCB_k − Σ_j λ_j g_kj, then λ_j = max(0, λ_j + dualStep · residual_j)). `noise[t]` = [reward, residuals …] is
 * added to what the learner sees; `meanReward` and `cumulativeViolation` = Σ_t Σ_j max(0, residual) are without it.
 */
export function closedLoopRun(args: z.input<typeof runArgs>): LoopResult {
  const { T: rounds, ...run } = functionArgs(runArgs, args);
  const wanted = run.env.service === null ? 2 : 3;
  if (run.noise !== null && run.noise.length < rounds)
    throw new InputError("argument noise is too short", { expected: `${rounds} rounds`, got: `${run.noise.length}` });
  const short = run.noise?.findIndex((row) => row.length !== wanted) ?? -1;
  if (short >= 0)
    throw new InputError(`argument noise.${short} has the wrong length`, {
      expected: `${wanted} numbers: reward, then each residual`,
      got: `${run.noise?.[short].length}`,
    });
  return runLoop({ ...run, rounds });
}

const fixedArgs = z.object({ grid: runArgs.shape.grid, T: runArgs.shape.T, burn: count.default(0), env: environment });

/**
 * The best threshold to play alone for T rounds from share w0, means taken after `burn` rounds: the largest mean reward
 * among those whose mean residuals are all at most 1e-12; if there is none (`feasible` false), the smallest sum of
 * positive mean residuals. Ties go to the lowest index.
 */
export function bestFeasibleFixed(args: z.input<typeof fixedArgs>): {
  index: number;
  feasible: boolean;
  meanReward: number;
} {
  const { grid, T, burn, env } = functionArgs(fixedArgs, args);
  if (burn >= T) throw new InputError("argument burn not valid", { expected: `less than T = ${T}`, got: `${burn}` });
  return bestFixed(grid, T, burn, env);
}
