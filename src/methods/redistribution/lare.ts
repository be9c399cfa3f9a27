import { z } from "zod";
import { rowNumbers } from "../../operators/ranges.ts";
import { reverseSumsInto } from "../../operators/returns.ts";
import { type Batch, InputError, type NumericArray } from "../../rollouts/index.ts";
import { count, functionArgs, numberList, numberRows, sameLength } from "../arguments.ts";
import { defineMethod, type TwoPass } from "../method.ts";
import { unitInterval } from "../parameters.ts";
import { type Decoder, decodeInto, decoderSchema, type EpisodeMeans, fitLinear, readDecoder } from "./lare-decoder.ts";

const ridge = z
  .number()
  .min(0)
  .default(0.001)
  .describe("ridge of the fitted linear decoder; 0 = shortest exact solution");

const params = z.object({
  decoder: decoderSchema
    .nullable()
    .default(null)
    .describe("weights[layer][in][out] and biases[layer][out], ReLU between layers; null = linear, fitted on the call"),
  ridge,
  gamma: unitInterval(1, "discount of the return, per row"),
});
type Params = z.output<typeof params>;

/** Columns `turns.latent_N` in the order of N. */
function latentPaths(batch: Batch): string[] {
  const found = batch.paths.flatMap((path) => {
    const number = /^turns\.latent_(\d+)$/.exec(path)?.[1];
    return number === undefined ? [] : [{ path, number: Number(number) }];
  });
  if (found.length === 0 && batch.size > 0)
    throw batch.missing("turns.latent_0", 0, "one column per factor: turns.latent_0, turns.latent_1, …");
  return found.sort((a, b) => a.number - b.number).map(({ path }) => path);
}

function factorsOf(batch: Batch): NumericArray[] {
  return latentPaths(batch).map((path) => rowNumbers(batch, path));
}

/** Mean factors and reward per row of every rollout, added to those already known. */
function episodeMeans(batch: Batch, factors: readonly NumericArray[], known: EpisodeMeans | null): EpisodeMeans {
  const offsets = batch.offsets("turn");
  const reward = batch.numbers("rollout.reward");
  const { x, y }: Pick<EpisodeMeans, "x" | "y"> = known ?? { x: [], y: [] };
  if (known !== null && known.factors !== factors.length)
    throw new InputError("rollouts have different numbers of factors", {
      rollout: batch.ids[0],
      column: "turns.latent_*",
      expected: `${known.factors}`,
      got: `${factors.length}`,
    });
  for (let i = 0; i < batch.size; i++) {
    const length = offsets[i + 1] - offsets[i];
    if (length === 0)
      throw new InputError("no turns to fit the decoder on", { rollout: batch.ids[i], column: "turns.latent_*" });
    for (const factor of factors) {
      let sum = 0;
      for (let row = offsets[i]; row < offsets[i + 1]; row++) sum += factor[row];
      x.push(sum / length);
    }
    y.push(reward[i] / length);
  }
  return { factors: factors.length, x, y };
}

function fitted(means: EpisodeMeans, strength: number): Decoder {
  if (means.y.length === 0)
    return [
      { inputs: means.factors, outputs: 1, weights: new Float64Array(means.factors), biases: new Float64Array(1) },
    ];
  const { weights, bias } = fitLinear(means, strength);
  return [{ inputs: means.factors, outputs: 1, weights, biases: Float64Array.of(bias) }];
}

/**
 * Latent reward (arXiv 2412.11120): p_t = f(z_t), z_t the factors of row t, and G_t = p_t + γ G_{t+1}. f is the given
 * decoder, else the linear one that makes the mean of p over an episode its reward per row R_i / T_i. Rows may be one
 * agent at one time each.
 */
function assign(batch: Batch, p: Params, given?: EpisodeMeans): Batch {
  const factors = factorsOf(batch);
  const decoder =
    p.decoder === null
      ? fitted(given ?? episodeMeans(batch, factors, null), p.ridge)
      : readDecoder(p.decoder, batch.size === 0 ? p.decoder.weights[0].length : factors.length);
  const proxy = batch.floats("turn", factors[0]);
  decodeInto(decoder, factors, proxy);
  const returns = batch.floats("turn", proxy);
  reverseSumsInto({ offsets: batch.offsets("turn"), rewards: proxy, gamma: p.gamma }, returns);
  return batch.with({ "turns.proxy_reward": proxy, "turns.return": returns });
}

const twoPass: TwoPass<Params, EpisodeMeans> = {
  scope: () => "rollout",
  collect: (batch, _, known) => episodeMeans(batch, factorsOf(batch), known),
  apply: assign,
};

/** Factors that say nothing: constant over all rows. */
function warnings(batch: Batch): string[] {
  return latentPaths(batch).flatMap((path) => {
    const values = batch.numbers(path, { absent: 0 });
    const constant = values.length > 1 && values.every((x: number) => x === values[0]);
    return constant ? [`${path} has the same value in every row: it cannot tell steps apart`] : [];
  });
}

const episodes = { lengths: z.array(count.min(1)), returns: numberList };

/** Checks that every episode has as many rows as its length says. */
function requireRows(rows: readonly (readonly unknown[])[], lengths: readonly number[], name: string): void {
  const short = rows.findIndex((row, i) => row.length < lengths[i]);
  if (short < 0) return;
  throw new InputError(`argument ${name}.${short} is too short`, {
    expected: `at least ${lengths[short]}`,
    got: `${rows[short].length}`,
  });
}

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x / values.length, 0);

const rdArgs = z.object({ rewards: numberRows.min(1, "at least one episode"), ...episodes });

/** Full return decomposition: mean over episodes of ((Σ_{t<T} r_t)/T − R/T)². Entries from T on are padding. */
export function lareRdLoss(args: z.input<typeof rdArgs>): number {
  const { rewards, lengths, returns } = functionArgs(rdArgs, args);
  sameLength({ rewards, lengths, returns });
  requireRows(rewards, lengths, "rewards");
  return mean(rewards.map((row, i) => (mean(row.slice(0, lengths[i])) - returns[i] / lengths[i]) ** 2));
}

const rrdArgs = rdArgs.extend({
  /** Rows drawn from each episode. */
  sampled: z.array(z.array(count).min(1, "at least one row per episode")),
  unbiased: z.boolean().default(true),
});

/**
 * Randomised decomposition: with m the mean reward of the K sampled rows of an episode, mean (m − R/T)², and when
 * `unbiased` less mean v (1 − K/T) / K, v their sample variance: what sampling adds to the square in expectation.
 */
export function lareRrdLoss(args: z.input<typeof rrdArgs>): number {
  const { rewards, lengths, returns, sampled, unbiased } = functionArgs(rrdArgs, args);
  sameLength({ rewards, lengths, returns, sampled });
  requireRows(rewards, lengths, "rewards");
  const losses = sampled.map((rows, i) => {
    const T = lengths[i];
    const K = rows.length;
    const outside = rows.find((t) => t >= T);
    if (outside !== undefined)
      throw new InputError(`argument sampled.${i} not valid`, { expected: `rows 0 to ${T - 1}`, got: `${outside}` });
    if (unbiased && K < 2)
      throw new InputError(`argument sampled.${i} not valid`, {
        expected: "2 rows or more, for unbiased",
        got: `${K}`,
      });
    const drawn = rows.map((t) => rewards[i][t]);
    const m = mean(drawn);
    const square = (m - returns[i] / T) ** 2;
    if (!unbiased) return square;
    const variance = drawn.reduce((sum, r) => sum + (r - m) ** 2, 0) / (K - 1);
    return square - (variance * (1 - K / T)) / K;
  });
  return mean(losses);
}

const maArgs = z.object({ rewards: z.array(numberRows).min(1, "at least one episode"), ...episodes });

/** Decomposition over agents: mean (R − Σ_n Σ_{t<T} r_{n,t})², rewards[episode][agent][t]; in units of R, not of R/T. */
export function lareMaLoss(args: z.input<typeof maArgs>): number {
  const { rewards, lengths, returns } = functionArgs(maArgs, args);
  sameLength({ rewards, lengths, returns });
  const losses = rewards.map((agents, i) => {
    requireRows(
      agents,
      agents.map(() => lengths[i]),
      `rewards.${i}`,
    );
    const total = agents.reduce((sum, row) => row.slice(0, lengths[i]).reduce((own, r) => own + r, sum), 0);
    return (returns[i] - total) ** 2;
  });
  return mean(losses);
}

const fitArgs = z.object({ latents: z.array(numberRows).min(1, "at least one episode"), ...episodes, ridge });

/**
 * Closed form for a linear decoder: x_i = mean factors of episode i (latents[i][t], t < T_i), y_i = R_i/T_i; with centred
 * x and y (X'X/n + ridge I) w = X'y/n, bias = mean y − mean x · w. `loss` = mean (x·w + bias − y)², without the ridge.
 */
export function lareFitLinear(args: z.input<typeof fitArgs>): { weights: number[]; bias: number; loss: number } {
  const { latents, lengths, returns, ridge: strength } = functionArgs(fitArgs, args);
  sameLength({ latents, lengths, returns });
  requireRows(latents, lengths, "latents");
  const factors = latents[0][0].length;
  const x = latents.flatMap((rows, i) => {
    rows.forEach((row, t) => {
      sameLength({ "latents.0.0": latents[0][0], [`latents.${i}.${t}`]: row });
    });
    const used = rows.slice(0, lengths[i]);
    return Array.from({ length: factors }, (_, k) => mean(used.map((row) => row[k])));
  });
  const { weights, bias, loss } = fitLinear({ factors, x, y: returns.map((r, i) => r / lengths[i]) }, strength);
  return { weights: [...weights], bias, loss };
}

export const lare = defineMethod({
  id: "lare",
  title: "LaRe: latent reward",
  summary:
    "A program written by a language model turns each step into a few named factors; a decoder trained on episode returns alone turns the factors into a reward per step.",
  facts: {
    paper: {
      title: "Latent Reward: LLM-Empowered Credit Assignment in Episodic Reinforcement Learning",
      arxiv: "2412.11120",
      date: "2024-12",
      repo: "thu-rllab/LaRe",
    },
    headline:
      "Ahead of eight redistribution methods on MuJoCo with episodic reward and on cooperative tasks with up to 30 agents; on some above the true dense reward.",
    granularity: "turn",
    methodology: ["redistribution", "self-supervised"],
    checked: "official code (losses, decoder), max abs diff 3.6e-14",
    reconstructed: ["the closed form of the linear decoder is an addition: the exact minimiser of the published loss"],
  },
  equations: [
    { text: "p_t = f(z_t), G_t = p_t + γ G_{t+1}", tex: "p_t = f(z_t),\\quad G_t = p_t + \\gamma G_{t+1}" },
    {
      text: "min over f of mean_i (mean_t f(z_it) − R_i/T_i)²",
      tex: "\\min_f \\frac1n \\sum_i \\Bigl(\\tfrac1{T_i}\\sum_t f(z_{it}) - \\tfrac{R_i}{T_i}\\Bigr)^2",
    },
  ],
  params,
  presets: { mpe: { gamma: 1 }, mujoco: { gamma: 0.99 } },
  reads: ["turns.latent_*", "rollout.reward?"],
  writes: ["turns.proxy_reward", "turns.return"],
  scope: (p) => (p.decoder === null ? "batch" : "rollout"),
  functions: { lareRdLoss, lareRrdLoss, lareMaLoss, lareFitLinear },
  warnings,
  twoPass,
  assign: (batch, p) => assign(batch, p),
});
