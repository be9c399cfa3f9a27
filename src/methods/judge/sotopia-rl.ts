import { z } from "zod";
import { type Batch, type ColumnValues, InputError } from "../../rollouts/index.ts";
import { functionArgs, sameLength } from "../arguments.ts";
import { defineMethod, type TwoPass } from "../method.ts";

const attribution = z
  .enum(["direct", "normalized", "discount", "uniform"])
  .default("direct")
  .describe(
    "share of the episode score: judged importance over its scale, over its sum, by distance from the end, or all of it",
  );
const scaleMax = z
  .union([z.literal(3), z.literal(5), z.literal(10)])
  .default(3)
  .describe("largest importance on the judge's scale");
const discount = z.number().gt(0).max(1).default(0.9).describe("factor per later utterance of attribution discount");
const normalize = z
  .enum(["minmax", "none"])
  .default("minmax")
  .describe("scale every dimension to 0 … 1 over the whole data set, or leave the rewards as they are");
const outputScale = z.number().default(10).describe("factor of the combined reward with minmax");
const weight = z.number().min(0);
const weights = z
  .union([z.array(weight), z.record(z.string(), weight)])
  .nullable()
  .default(null)
  .describe("weight of each dimension, in their order or by name; null = equal");

const params = z.object({
  dimensions: z
    .array(z.string())
    .min(1)
    .default(["goal", "relationship", "knowledge"])
    .describe("channels that are combined"),
  attribution,
  scale_max: scaleMax,
  discount,
  agent: z.string().nullable().default(null).describe("speaker that is trained; null = every turn counts"),
  normalize,
  output_scale: outputScale,
  weights,
});
type Params = z.output<typeof params>;
type Sharing = Pick<Params, "attribution" | "scale_max" | "discount">;

/** What the judge writes where it failed. */
const failed = -1;

/** Shares of an episode score for its own utterances, in order; null where no importance was given. */
function shares(importance: readonly (number | null)[], score: number, p: Sharing): (number | null)[] {
  if (p.attribution === "uniform") return importance.map(() => score);
  if (p.attribution === "discount") return importance.map((_, k) => p.discount ** (importance.length - 1 - k) * score);
  if (p.attribution === "direct") {
    return importance.map((a) => (a === null || a === failed ? a : (a / p.scale_max) * score));
  }
  const sum = importance.reduce<number>((total, a) => total + (a ?? 0), 0);
  return importance.map((a) => (a === null ? null : sum === 0 ? 0 : (a / sum) * score));
}

/** Rows of the turns that count: those of the agent, or all; one list per rollout. */
function ownTurns(batch: Batch, agent: string | null): number[][] {
  const offsets = batch.offsets("turn");
  const speakers = agent === null ? null : batch.strings("turns.agent");
  return Array.from({ length: batch.size }, (_, i) => {
    const rows = Array.from({ length: offsets[i + 1] - offsets[i] }, (_, k) => offsets[i] + k);
    return speakers === null ? rows : rows.filter((row) => speakers[row] === agent);
  });
}

interface Channel {
  values: Float64Array;
  valid: Uint8Array;
}

/** Rewards of all own utterances for one dimension, before scaling. */
function channelOf(batch: Batch, own: readonly number[][], dimension: string, p: Params): Channel {
  const path = `turns.attribution_${dimension}`;
  const scores = batch.numbers(`rewards.${dimension}`);
  const given = batch.numbers(path, { absent: 0, missing: 0 });
  const judged = batch.validity(path);
  const values = new Float64Array(batch.count("turn"));
  const valid = new Uint8Array(values.length);
  const importance = (row: number) => {
    if (judged !== null && judged[row] === 0) return null;
    if (given[row] >= failed && given[row] <= p.scale_max) return given[row];
    throw batch.wrongValue(path, row, `an importance from -1 to ${p.scale_max}`, `${given[row]}`);
  };
  const ruled = p.attribution === "discount" || p.attribution === "uniform";
  own.forEach((rows, i) => {
    const earned = shares(rows.map(ruled ? () => null : importance), scores[i], p);
    rows.forEach((row, k) => {
      values[row] = earned[k] ?? 0;
      valid[row] = earned[k] === null ? 0 : 1;
    });
  });
  return { values, valid };
}

/** Smallest and largest reward of a dimension; `null` when it has none. */
type Range = readonly [number, number] | null;

function rangeOf({ values, valid }: Channel, known: Range = null): Range {
  let [low, high] = known ?? [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  values.forEach((x, row) => {
    if (valid[row] === 0) return;
    low = Math.min(low, x);
    high = Math.max(high, x);
  });
  return low <= high ? [low, high] : null;
}

/** Weights in the order of the dimensions, summing to 1. */
function sharesOfWeights(given: Params["weights"], dimensions: readonly string[]): number[] {
  const list =
    given === null ? dimensions.map(() => 1) : Array.isArray(given) ? given : dimensions.map((d) => given[d]);
  const wrong = (got: string) =>
    new InputError("weights not valid", { expected: `one weight for each of ${dimensions.join(", ")}`, got });
  if (list.length !== dimensions.length) throw wrong(`${list.length}`);
  if (list.some((w) => w === undefined)) throw wrong(Object.keys(given ?? {}).join(", "));
  const sum = list.reduce((a, b) => a + b, 0);
  if (!(sum > 0)) throw wrong("weights that sum to 0");
  return list.map((w) => w / sum);
}

interface Scaling {
  normalize: Params["normalize"];
  output_scale: number;
}

/** Weighted mean of the channels, each scaled to its range (v = (r − min) / (max − min), 0 when max = min) and the result to `output_scale`. */
function combined(
  channels: readonly Channel[],
  ranges: readonly Range[],
  share: readonly number[],
  p: Scaling,
): Channel {
  const values = new Float64Array(channels[0].values.length);
  const valid = new Uint8Array(values.length).fill(1);
  channels.forEach((channel, c) => {
    const [low, high] = ranges[c] ?? [0, 0];
    for (let row = 0; row < values.length; row++) {
      if (channel.valid[row] === 0) valid[row] = 0;
      else if (p.normalize === "none") values[row] += share[c] * channel.values[row];
      else if (high > low) values[row] += share[c] * ((channel.values[row] - low) / (high - low)) * p.output_scale;
    }
  });
  return { values: values.map((x, row) => (valid[row] === 1 ? x : 0)), valid };
}

function channelsOf(batch: Batch, p: Params): Channel[] {
  const own = ownTurns(batch, p.agent);
  return p.dimensions.map((dimension) => channelOf(batch, own, dimension, p));
}

/**
 * Utterance rewards of Sotopia-RL (arXiv 2508.03905): an own utterance k earns the share a_k / scale_max of the episode
 * score G_d of each dimension d (−1 where the judge failed); dimensions are scaled by their smallest and largest reward over
 * the whole call and averaged with weights w_d. Turns of other speakers, and those that lack a dimension, get null.
 * The result is the target of a reward model, so there is no token advantage.
 */
function assign(batch: Batch, p: Params, known?: readonly Range[]): Batch {
  const share = sharesOfWeights(p.weights, p.dimensions);
  const channels = channelsOf(batch, p);
  const ranges = known ?? channels.map((channel) => rangeOf(channel));
  const columns: Record<string, ColumnValues> = { "turns.reward": combined(channels, ranges, share, p) };
  for (const [c, dimension] of p.dimensions.entries()) columns[`turns.reward_${dimension}`] = channels[c];
  return batch.with(columns);
}

const twoPass: TwoPass<Params, Range[]> = {
  scope: () => "rollout",
  collect: (batch, p, state) => channelsOf(batch, p).map((channel, c) => rangeOf(channel, state?.[c] ?? null)),
  apply: assign,
};

function warnings(batch: Batch, p: Params): string[] {
  const own = ownTurns(batch, p.agent).reduce((sum, rows) => sum + rows.length, 0);
  if (p.normalize === "none" || own >= 2) return [];
  return [`only ${own} utterances count, so there is nothing to scale between and every reward is 0`];
}

const attributeArgs = z.object({
  attribution: z.array(z.number().min(failed).nullable()),
  score: z.number(),
  mode: attribution,
  scale_max: scaleMax,
  discount,
});

/**
 * Rewards of the utterances of one episode for one dimension, from the judge's importance of each (null = not given, −1 =
 * the judge failed) and the episode score; see the parameter `attribution`.
 * @throws InputError on importances below −1 or above `scale_max`.
 */
export function attributeReward(args: z.input<typeof attributeArgs>): (number | null)[] {
  const { attribution: importance, score, mode, ...rest } = functionArgs(attributeArgs, args);
  const above = importance.findIndex((a) => a !== null && a > rest.scale_max);
  if (above >= 0) {
    const got = `${importance[above]}`;
    throw new InputError(`argument attribution.${above} not valid`, { expected: `at most ${rest.scale_max}`, got });
  }
  return shares(importance, score, { attribution: mode, ...rest });
}

const channel = z.array(z.number().nullable());
const combineArgs = z.object({
  channels: z.union([z.record(z.string(), channel), z.array(channel)]),
  weights,
  normalize,
  output_scale: outputScale,
});

/**
 * Combined reward of each utterance from its rewards per dimension (`channels`: lists of equal length, by name or in order):
 * with `minmax` output_scale · Σ w_d v_d / Σ w_d, v scaled to the range of its list; with `none` the weighted mean of the
 * rewards. Null where any dimension is null.
 */
export function combineDimensions(args: z.input<typeof combineArgs>): (number | null)[] {
  const { channels, weights, ...scaling } = functionArgs(combineArgs, args);
  const names = Object.keys(channels);
  const lists = Object.values(channels);
  if (lists.length === 0) throw new InputError("argument channels not valid", { expected: "at least one dimension" });
  sameLength(Object.fromEntries(names.map((name, c) => [`channels.${name}`, lists[c]])));
  const numbers = lists.map((list) => ({
    values: Float64Array.from(list, (x) => x ?? 0),
    valid: Uint8Array.from(list, (x) => (x === null ? 0 : 1)),
  }));
  const share = sharesOfWeights(weights, names);
  const { values, valid } = combined(
    numbers,
    numbers.map((one) => rangeOf(one)),
    share,
    scaling,
  );
  return Array.from(values, (x, row) => (valid[row] === 1 ? x : null));
}

export const sotopiaRl = defineMethod({
  id: "sotopia-rl",
  title: "Sotopia-RL: utterance-level, multi-dimensional reward design",
  summary:
    "A judge reads a finished dialogue and says how much each utterance mattered for each dimension; importance times the episode score gives utterance rewards, which are scaled over the data set and averaged over dimensions.",
  facts: {
    paper: {
      title: "Sotopia-RL: Reward Design for Social Intelligence",
      arxiv: "2508.03905",
      date: "2025-08",
      repo: "sotopia-lab/sotopia-rl",
    },
    headline:
      "Qwen2.5-7B-Instruct completes goals at 7.17 on Sotopia-hard and 8.31 on Sotopia-full, above the earlier methods compared.",
    granularity: "turn",
    methodology: ["judge", "reward-model"],
    checked: "official attribution, its normalised variant and the merge of three dimensions, max abs diff 0",
  },
  equations: [
    { text: "r_k,d = a_k,d / a_max · G_d", tex: "r_{k,d} = \\frac{a_{k,d}}{a_{\\max}}\\, G_d" },
    {
      text: "R_k = s Σ_d w_d (r_k,d − min_d) / (max_d − min_d) / Σ_d w_d",
      tex: "R_k = s\\,\\frac{\\sum_d w_d\\,(r_{k,d} - \\min_d)/(\\max_d - \\min_d)}{\\sum_d w_d}",
    },
  ],
  params,
  reads: ["rewards.*", "turns.attribution_*?", "turns.agent if agent"],
  writes: ["turns.reward", "turns.reward_*"],
  scope: (p) => (p.normalize === "minmax" ? "batch" : "rollout"),
  functions: { attributeReward, combineDimensions },
  warnings,
  twoPass,
  assign: (batch, p) => assign(batch, p),
});
