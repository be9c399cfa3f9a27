import { z } from "zod";
import { sigmoid } from "../../operators/scalars.ts";
import { placedRewards, rowRewards } from "../../operators/token-rewards.ts";
import { type Batch, InputError, type NumericArray } from "../../rollouts/index.ts";
import { functionArgs, numberList, numberRows, probability, sameLength } from "../arguments.ts";
import { defineMethod } from "../method.ts";
import { unitInterval } from "../parameters.ts";
import { linearPreference, type OptimalValues, valueIteration } from "./regret-models.ts";

const model = z
  .enum(["regret", "partial_return"])
  .default("regret")
  .describe("statistic that people compare, in regretPreference; the credit does not use it");
const scale = z.number().positive().default(1).describe("reward scale of regretPreference; the credit does not use it");
const temperature = z
  .number()
  .positive()
  .default(0.001)
  .describe("of the softmax over candidate policies in regretModelLoss; the credit does not use it");
const gamma = unitInterval(1, "discount of the value after a step; the authors compute values with 0.999");

const params = z.object({ gamma, model, scale, temperature });

/** V* of the state after each turn: before the next one, and `signals.end_value` (default 0) after the last. */
function nextValues(batch: Batch, values: NumericArray): Float64Array {
  const ends = batch.numbers("signals.end_value", { absent: 0 });
  const offsets = batch.offsets("turn");
  const next = new Float64Array(values.length);
  for (let i = 0; i < batch.size; i++) {
    const to = offsets[i + 1];
    for (let t = offsets[i]; t < to; t++) next[t] = t + 1 < to ? values[t + 1] : ends[i];
  }
  return next;
}

/**
 * Optimal advantage of every turn (arXiv 2206.02231): minus the regret d_t = V*(s_t) − [r_t + γ V*(s_{t+1})], or
 * d_t = V*(s_t) − Q*(s_t, a_t) where `turns.q_value` is given. The regret of the rollout is Σ d_t, its partial return Σ r_t.
 * Nothing is clipped at 0.
 */
function assign(batch: Batch, p: z.output<typeof params>): Batch {
  const values = batch.numbers("turns.value");
  const rewards = placedRewards(batch, "turn", rowRewards(batch, "turn"));
  const q = batch.numbers("turns.q_value", { absent: 0 });
  const next = nextValues(batch, values);
  const offsets = batch.offsets("turn");
  const advantage = batch.zeros("turn", values);
  const regret = new Float64Array(batch.size);
  const partial = new Float64Array(batch.size);
  for (let i = 0; i < batch.size; i++) {
    const general = batch.hasIn("turns.q_value", i);
    for (let t = offsets[i]; t < offsets[i + 1]; t++) {
      const a = (general ? q[t] : rewards[t] + p.gamma * next[t]) - values[t];
      advantage[t] = a;
      regret[i] -= a;
      partial[i] += rewards[t];
    }
  }
  return batch.with({ "turns.advantage": advantage, "rollout.partial_return": partial, "rollout.regret": regret });
}

/** Regret may be negative by rounding only. */
const rounding = 1e-6;

function warnings(batch: Batch): string[] {
  const better = Array.from(batch.numbers("turns.advantage")).filter((a) => a > rounding).length;
  if (better === 0) return [];
  return [`${better} turns have negative regret: turns.value is not the value of an optimal policy there`];
}

const statistics = { stat1: z.number(), stat2: z.number(), model };
const preferenceArgs = z.object({ ...statistics, scale });

/**
 * P(segment 1 is preferred) from one statistic of each: σ(scale (regret2 − regret1)), or of the partial returns
 * σ(scale (partial1 − partial2)).
 */
export function regretPreference(args: z.input<typeof preferenceArgs>): number {
  const { stat1, stat2, model, scale } = functionArgs(preferenceArgs, args);
  return sigmoid(scale * (model === "regret" ? stat2 - stat1 : stat1 - stat2));
}

const labelArgs = z.object(statistics);

/** Noiseless label of a pair: [1, 0], [0, 1], or [0.5, 0.5] where both statistics are exactly equal. */
export function regretLabel(args: z.input<typeof labelArgs>): [number, number] {
  const { stat1, stat2, model } = functionArgs(labelArgs, args);
  if (stat1 === stat2) return [0.5, 0.5];
  return stat1 < stat2 === (model === "regret") ? [1, 0] : [0, 1];
}

const labels = z.array(z.tuple([probability, probability], "two shares"));
const lossArgs = z.object({ probs: z.array(probability), labels });

/** Smallest probability of which the logarithm is taken. */
const least = 1e-35;

function crossEntropy(probs: readonly number[], labels: readonly (readonly [number, number])[]): number {
  const total = probs.reduce((sum, p, k) => {
    const [first, second] = labels[k];
    return sum - first * Math.log(Math.max(p, least)) - second * Math.log(Math.max(1 - p, least));
  }, 0);
  return probs.length === 0 ? 0 : total / probs.length;
}

/** Cross-entropy of P(1 preferred) against labels [share of 1, share of 2], mean over pairs; no pairs: 0. */
export function regretLoss(args: z.input<typeof lossArgs>): number {
  const { probs, labels } = functionArgs(lossArgs, args);
  sameLength({ probs, labels });
  return crossEntropy(probs, labels);
}

const iterationArgs = z.object({
  next: z.array(z.array(z.int().min(0))),
  reward: numberRows,
  terminal: z.array(z.union([z.boolean(), z.int().min(0)])).default([]),
  gamma,
});

/** One flag per state from flags (true, 1) or, where the list is not as long as the states, from state numbers. */
function terminalFlags(states: number, given: readonly (boolean | number)[]): boolean[] {
  if (given.length === states && given.every((x) => Number(x) <= 1)) return given.map((x) => Number(x) === 1);
  const named = new Set(given.map(Number));
  const unknown = [...named].find((s) => s >= states);
  if (unknown !== undefined) {
    throw new InputError("argument terminal not valid", { expected: `states below ${states}`, got: `${unknown}` });
  }
  return Array.from({ length: states }, (_, s) => named.has(s));
}

/**
 * Optimal values of deterministic tables `next[s][a]` and `reward[s][a]`; V and Q are 0 in terminal states.
 * `terminal`: one flag per state, or the numbers of the terminal states. Stops when no value changes by 1e-10, or after
 * 100000 sweeps: then the result carries a `warning`, as undiscounted rewards go round in a cycle.
 */
export function regretValueIteration(args: z.input<typeof iterationArgs>): OptimalValues {
  const { next, reward, terminal, gamma } = functionArgs(iterationArgs, args);
  sameLength({ next, reward });
  const flags = terminalFlags(next.length, terminal);
  next.forEach((actions, s) => {
    sameLength({ [`next.${s}`]: actions, [`reward.${s}`]: reward[s] });
    if (actions.length === 0 && !flags[s])
      throw new InputError(`argument next.${s} is empty`, { expected: "at least one action" });
    const outside = actions.find((to) => to >= next.length);
    if (outside !== undefined)
      throw new InputError(`argument next.${s} not valid`, {
        expected: `states below ${next.length}`,
        got: `${outside}`,
      });
  });
  return valueIteration(next, reward, flags, gamma);
}

const segmentArg = z.object({
  phi: numberList,
  psi_start: numberRows.min(1, "at least one policy"),
  psi_end: numberRows.min(1, "at least one policy"),
});
const modelLossArgs = z.object({
  segments: z.array(z.tuple([segmentArg, segmentArg], "two segments")),
  w: numberList,
  labels,
  temperature,
});

/**
 * Regret model with linear rewards φ·w: P(1 preferred) = σ(g_1 − g_2), g = φ·w + V(end) − V(start), where V(s) is the
 * softmax-weighted best ψ(s)·w over candidate policies; and its cross-entropy.
 */
export function regretModelLoss(args: z.input<typeof modelLossArgs>): { loss: number; probs: number[] } {
  const { segments, w, labels, temperature } = functionArgs(modelLossArgs, args);
  sameLength({ segments, labels });
  segments.forEach((pair, k) => {
    pair.forEach(({ phi, psi_start, psi_end }, side) => {
      const at = `segments.${k}.${side}`;
      sameLength({ w, [`${at}.phi`]: phi });
      sameLength({ [`${at}.psi_start`]: psi_start, [`${at}.psi_end`]: psi_end });
      for (const features of [...psi_start, ...psi_end]) sameLength({ w, [`${at}.psi`]: features });
    });
  });
  const probs = segments.map((pair) => linearPreference(pair, w, temperature));
  return { loss: crossEntropy(probs, labels), probs };
}

const levelArg = z.union([z.number(), numberList.min(1, "at least one start state")], "a number or a list of them");
const scaledArgs = z.object({ value: levelArg, optimal: levelArg, uniform: levelArg });

/**
 * Return of a policy on the scale from the uniform (0) to the optimal policy (1): (value − uniform) / (optimal − uniform),
 * null where those two are equal. Lists hold one value per start state and are averaged first.
 */
export function regretScaledReturn(args: z.input<typeof scaledArgs>): number | null {
  const given = functionArgs(scaledArgs, args);
  const mean = (x: number | number[]) => (typeof x === "number" ? x : x.reduce((a, b) => a + b, 0) / x.length);
  const uniform = mean(given.uniform);
  const range = mean(given.optimal) - uniform;
  return range === 0 ? null : (mean(given.value) - uniform) / range;
}

export const regretPreferenceMethod = defineMethod({
  id: "regret-preference",
  title: "Regret-based preference models",
  summary:
    "People prefer the segment that strays less from optimal behaviour, not the one that collects more reward: the credit of a step is its optimal advantage, and preferences are modelled by the difference of regrets.",
  facts: {
    paper: {
      title: "Models of human preference for learning reward functions",
      arxiv: "2206.02231",
      date: "2022-06",
      repo: "Stephanehk/Learning-OA-From-Prefs",
    },
    headline:
      "Predicts collected human preferences better than partial return and recovers near-optimal policies more often; regret identifies the reward where partial return cannot.",
    granularity: "segment",
    methodology: ["preference", "reward-model", "temporal-difference"],
    checked: "official code (forward pass and loss of the regret model), max abs diff 4e-16",
  },
  equations: [
    {
      text: "d_t = V*(s_t) − Q*(s_t, a_t) = V*(s_t) − [r_t + γ V*(s_{t+1})] if transitions are deterministic",
      tex: "d_t = V^*(s_t) - Q^*(s_t, a_t)",
    },
    { text: "advantage_t = −d_t, regret = Σ_t d_t", tex: "A_t = -d_t,\\quad \\mathrm{regret} = \\sum_t d_t" },
    {
      text: "P(1 preferred) = σ(scale (regret_2 − regret_1))",
      tex: "P(\\sigma_1 \\succ \\sigma_2) = \\sigma(c\\,(\\mathrm{regret}_2 - \\mathrm{regret}_1))",
    },
  ],
  params,
  presets: { official: { gamma: 0.999 } },
  reads: ["turns.value", "turns.reward | rollout.reward", "turns.q_value?", "signals.end_value?"],
  writes: ["turns.advantage", "rollout.partial_return", "rollout.regret"],
  scope: "rollout",
  functions: {
    regretPreference,
    regretLabel,
    regretLoss,
    regretValueIteration,
    regretModelLoss,
    regretScaledReturn,
  },
  warnings,
  assign,
});
