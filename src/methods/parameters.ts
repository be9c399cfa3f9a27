import { z } from "zod";

/** Parameters that many methods share, with one wording. */
export const rewardColumn = z
  .string()
  .default("rollout.reward")
  .describe(
    "column of the outcome: rollout.reward, rewards.NAME, signals.NAME, or tokens.reward summed over policy tokens",
  );

export const singletonZeroOrReward = z
  .enum(["zero", "reward"])
  .default("zero")
  .describe("advantage of a rollout that is alone in its group: 0, or its own reward");

/** Small positive number added to a spread. */
export const positiveEps = (value: number) =>
  z.number().positive().default(value).describe("added to the standard deviation, outside the root");

export const ddof = (value: 0 | 1) =>
  z
    .union([z.literal(0), z.literal(1)], "0 or 1")
    .default(value)
    .describe("0 = population, 1 = sample standard deviation");

export const unitInterval = (value: number, text: string) => z.number().min(0).max(1).default(value).describe(text);

export const klCoef = (value: number, text: string) => z.number().min(0).default(value).describe(text);

/** Range to which an outcome is cut before anything is added to it. */
export const rewardClip = z
  .tuple([z.number(), z.number()])
  .refine(([low, high]) => low <= high, "the lower bound first, then the upper bound")
  .nullable()
  .default(null)
  .describe("range [low, high] to which the outcome is cut first; null = as it is");

export const correctThreshold = z.number().default(0.5).describe("reward from which a solution counts as correct");
