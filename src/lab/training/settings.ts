import { z } from "zod";
import { lossKinds } from "../../methods/loss/policy-kinds.ts";
import { aggregations } from "../../operators/aggregation.ts";
import { InputError } from "../../rollouts/index.ts";

/** Settings of a training run, as a trainer has them; snake_case, the same in files, flags and code. */
export const trainingSettings = z.strictObject({
  updates: z.int().min(1).default(200).describe("batches to sample and learn from"),
  groups: z.int().min(1).default(8).describe("groups per update; all rollouts of a group start alike"),
  group_size: z.int().min(1).default(16).describe("rollouts of a group"),
  same_start: z
    .boolean()
    .default(true)
    .describe(
      "rollouts of a group begin alike, hidden parts and luck included, as answers to one question do; false = they share the task only",
    ),
  reward: z
    .enum(["steps", "true"])
    .default("steps")
    .describe("what training sees: the sum of the step rewards (which may be a proxy), or the verified outcome"),
  temperature: z.number().positive().default(1).describe("of sampling"),
  top_p: z.number().gt(0).max(1).default(1).describe("share of the probability that sampling keeps"),
  loss: z.enum(lossKinds).default("vanilla").describe("policy loss, by the names of the card policy-losses"),
  agg: z
    .enum([...aggregations, "method"])
    .nullable()
    .default(null)
    .describe("how token losses are averaged; method = the weights the method writes; null = default of the loss"),
  loss_scale: z.number().positive().nullable().default(null).describe("divisor of seq-mean-token-sum-norm"),
  clip_low: z.number().min(0).default(0.2).describe("the ratio is clipped at 1 - clip_low"),
  clip_high: z.number().min(0).default(0.2).describe("the ratio is clipped at 1 + clip_high"),
  clip_columns: z.boolean().default(true).describe("clip ranges that a method writes win over clip_low and clip_high"),
  clip_c: z.number().gt(1).nullable().default(3).describe("dual clip of vanilla; null = none"),
  tau_pos: z.number().positive().default(1).describe("temperature of sapo where the advantage is above 0"),
  tau_neg: z.number().positive().default(1.05).describe("temperature of sapo elsewhere"),
  clip_cov_ratio: z.number().min(0).max(1).default(0.0002).describe("share of the tokens that clip_cov drops"),
  clip_cov_lb: z.number().default(1).describe("least covariance that clip_cov looks at"),
  clip_cov_ub: z.number().default(5).describe("greatest covariance that clip_cov looks at"),
  kl_cov_ratio: z.number().min(0).max(1).default(0.0002).describe("share of the tokens that kl_cov punishes"),
  kl_cov_coef: z.number().min(0).default(1).describe("how much kl_cov punishes them"),
  truncation: z.number().positive().nullable().default(20).describe("largest ratio of dppo_tv and dppo_kl"),
  dro_beta: z.number().min(0).default(0.1).describe("pull of dro towards the sampling policy"),
  epochs: z.int().min(1).default(1).describe("passes over each batch"),
  minibatches: z.int().min(1).default(1).describe("optimiser steps of one pass; rollouts are dealt out at random"),
  kl_coef: z.number().min(0).default(0).describe("weight of the divergence from the reference policy"),
  kl_in: z.enum(["loss", "reward"]).default("loss").describe("where the divergence is charged"),
  kl_kind: z.enum(["k1", "abs", "k2", "k3"]).default("k3").describe("how it is estimated from the sampled tokens"),
  reference_every: z
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe("updates after which the reference is set to the policy; null = it stays the first policy"),
  entropy_coef: z.number().min(0).default(0).describe("bonus for entropy, per policy token"),
  advantage_dtype: z.enum(["float32", "float64"]).default("float64").describe("width in which credit is worked out"),
  optimiser: z.enum(["adamw", "sgd"]).default("adamw").describe("adamw, or gradient descent with momentum"),
  lr: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("learning rate; null = 0.1 tabular, 0.01 mlp, 0.003 transformer"),
  schedule: z.enum(["constant", "linear", "cosine"]).default("constant").describe("of the learning rate, down to 0"),
  warmup: z.int().min(0).default(0).describe("updates over which the learning rate rises"),
  beta1: z.number().min(0).lt(1).default(0.9).describe("decay of adamw's first moment"),
  beta2: z.number().min(0).lt(1).default(0.95).describe("decay of adamw's second moment"),
  adam_eps: z.number().positive().default(1e-8).describe("added to the root of adamw's second moment"),
  weight_decay: z.number().min(0).default(0).describe("decay of the parameters in adamw"),
  momentum: z.number().min(0).lt(1).default(0).describe("share of sgd's last direction that is kept"),
  clip_norm: z.number().positive().nullable().default(1).describe("longest gradient; null = any"),
  value_lr: z.number().gt(0).max(1).default(0.2).describe("step of the learned table of values, per batch"),
  value_coef: z.number().min(0).default(0.5).describe("weight of the value head's loss, where the policy has one"),
  evaluate_every: z.int().min(1).default(10).describe("updates between evaluations"),
  evaluation_episodes: z.int().min(1).default(64).describe("episodes of an evaluation where no exact value is known"),
  mc_samples: z.int().min(1).default(4).describe("continuations per turn for methods that read Monte Carlo values"),
});

export type TrainingSettings = z.output<typeof trainingSettings>;

/**
 * Settings with defaults filled in.
 * @throws InputError naming the setting, what was expected and what came.
 */
export function settleTraining(given: z.input<typeof trainingSettings>): TrainingSettings {
  const parsed = trainingSettings.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const name = issue.code === "unrecognized_keys" ? issue.keys[0] : String(issue.path[0]);
  if (issue.code === "unrecognized_keys") {
    throw new InputError(`unknown setting ${name}`, {
      expected: `one of ${Object.keys(trainingSettings.shape).join(", ")}`,
    });
  }
  throw new InputError(`setting ${name} is not valid`, {
    expected: issue.message.replace(/^[^:]*: (expected )?/, "").replace(/, received .*$/, ""),
    got: JSON.stringify((given as Record<string, unknown>)[name]),
  });
}
